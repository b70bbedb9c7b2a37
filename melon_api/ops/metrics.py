"""`/metrics` for Prometheus, of all workers of this host together.

They write into files of `PROMETHEUS_MULTIPROC_DIR`, which gunicorn.conf.py makes; whichever worker
is asked adds them up. One process alone needs no files.
"""

import hmac
import os

from flask import Flask, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from melon_api.errors import NotFound, TokenInvalid, TokenMissing
from melon_api.events import counts


def init_app(app: Flask) -> None:
    app.add_url_rule("/metrics", view_func=metrics)


def metrics() -> Response:
    """Counts for Prometheus

    Counts and times for Prometheus, of all workers of this host, and how many events wait to be
    told. In staging and production it wants the bearer METRICS_TOKEN; without that setting it is
    404 there.
    """
    _check_token()
    text = generate_latest(_registry()) + counts.metrics()
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _check_token() -> None:
    wanted: str | None = current_app.config["METRICS_TOKEN"]
    if wanted is None:
        if current_app.config["METRICS_ARE_OPEN"]:
            return
        raise NotFound("METRICS_TOKEN is not set on this server.")
    given = request.headers.get("Authorization", "")
    if not given:
        raise TokenMissing("Send the header Authorization: Bearer <METRICS_TOKEN>.")
    if not hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode()):
        raise TokenInvalid("This is not the METRICS_TOKEN.")


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
