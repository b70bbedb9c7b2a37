"""`/healthz` and `/readyz`, for the platform that runs the process."""

import logging
from functools import cache

import redis
from flask import Flask, Response, current_app
from sqlalchemy import select

from melon_api.database import snapshot
from melon_api.errors import Unavailable
from melon_api.extensions import db

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)


def healthz() -> dict[str, str]:
    """The process is up."""
    return {"status": "ok"}


def readyz() -> dict[str, str] | Response:
    """Database and Redis answer. Raises Unavailable, naming the one that does not."""
    checks = {"database": _database_answers}
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


def _database_answers() -> None:
    with snapshot(db.engine) as connection:
        connection.execute(select(1))


def _redis_answers() -> None:
    _redis(current_app.config["REDIS_URL"]).ping()


@cache
def _redis(url: str) -> redis.Redis:
    options = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
    return redis.Redis.from_url(url, **options)
