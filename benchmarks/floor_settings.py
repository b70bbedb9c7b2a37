"""gunicorn's settings for `floor_app.py`: its own threads, none of what `gunicorn.conf.py` adds."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
worker_class = "gthread"
threads = 4  # as WEB_THREADS
keepalive = 30
