"""`/healthz` and `/readyz`, for the platform that runs the process."""

import logging
import threading
from functools import cache
from typing import Any

from flask import Flask, Response, current_app

from melon_api.errors import Unavailable
from melon_api.storage.engine import probe
from melon_api.storage.redis import connect

log = logging.getLogger(__name__)

_is_stopping = threading.Event()


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)


def announce_stop() -> None:
    """Have `/readyz` say from now on that no more requests should be sent here."""
    _is_stopping.set()


def healthz() -> dict[str, str]:
    """Is the process up?

    The process is up.
    """
    return {"status": "ok"}


def readyz() -> dict[str, str] | Response:
    """Can it serve?

    The database and, where there is one, Redis answer, and the process is not about to stop. 503
    names what is in the way.
    """
    if _is_stopping.is_set():
        raise Unavailable("This process stops soon.", {"process": ["is stopping"]})
    checks = {"database": probe}
    if current_app.config["REDIS_URL"]:
        checks["redis"] = _redis_answers
    errors = {}
    for name, check in checks.items():
        try:
            check()
        except Exception:
            log.warning("%s does not answer", name)
            errors[name] = ["does not answer"]
    if errors:
        raise Unavailable(f"No answer from: {', '.join(errors)}.", errors)
    return dict.fromkeys(checks, "ok")


def _redis_answers() -> None:
    """Of a cluster, each master."""
    _redis(current_app.config["REDIS_URL"]).ping()


@cache
def _redis(url: str) -> Any:
    return connect(url)
