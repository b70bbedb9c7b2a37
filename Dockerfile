# The server alone, for a platform that takes images. The commands are the Procfile's:
#   release: docker run --env-file … melon flask --app wsgi release
#   web:     docker run --env-file … -p 8000:8000 melon
#   live:    docker run --env-file … -e PORT=8001 -p 8001:8001 melon python -m melon_api.live
#   worker:  docker run --env-file … --no-healthcheck melon flask --app wsgi events work
# The base by its digest; raise it with the tag: docker buildx imagetools inspect python:3.11-slim
ARG BASE=python:3.11-slim@sha256:be1575ed968de893bd54f4c56315ff7c4736ce522c1bca08fd521731aafc0d76
FROM $BASE AS build
COPY requirements*.txt .
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM $BASE
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# Where development keeps its secret; a volume takes its owner from here.
RUN install -d -o 10001 -g 10001 instance
# A number: a platform can see that it is not root's.
USER 10001:10001
EXPOSE 8000
# Whether the process is up; a platform that can should ask /readyz, which says when it drains.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
# gunicorn drains and stops on SIGTERM within 25 s: docker stop --time 30
STOPSIGNAL SIGTERM
CMD ["gunicorn", "wsgi:app"]
