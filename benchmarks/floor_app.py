"""A bare WSGI application: the least that a request can cost under gunicorn.

`/empty` answers an idle pull with a constant, `/redis` does so after one Redis round trip,
`/login` verifies one Argon2id hash, `/push/N` stores what a small push stores, by hand-written SQL:
lock, write two tasks, log the push, store the clock, commit.

Nothing is imported for the whole application that only one of them needs.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

IDLE = (
    b'{"changes":{"projects":{"created":[],"updated":[],"deleted":[]},'
    b'"tasks":{"created":[],"updated":[],"deleted":[]}},"timestamp":1700000000000}'
)
PASSWORD = b"correct-Pferd-battery-9"
_local = threading.local()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    name, _, rest = environ["PATH_INFO"].removeprefix("/floor/").partition("/")
    body = ANSWERS.get(name, empty)(rest)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def empty(_rest: str) -> bytes:
    return IDLE


def redis_round_trip(_rest: str) -> bytes:
    _redis().get("floor")
    return IDLE


def login(_rest: str) -> bytes:
    argon2id, stored = _password()
    argon2id.verify(stored, PASSWORD)
    return b"{}"


def push(user_id: str) -> bytes:
    from benchmarks import raw  # noqa: PLC0415

    if not hasattr(_local, "connection"):
        connection = _connection()
        _local.names = raw.columns(connection, "tasks")
        connection.rollback()
        _local.connection = connection
    now_ms = time.time_ns() // 1_000_000
    ids = [uuid.uuid4().hex[:16] for _ in range(2)]
    raw.small_push(_local.connection, _local.names, user_id, now_ms, ids)
    return b'{"timestamp":%d}' % now_ms


ANSWERS = {"empty": empty, "redis": redis_round_trip, "login": login, "push": push}


def _connection() -> Any:
    from benchmarks.database import connect  # noqa: PLC0415

    return connect(os.environ["FLOOR_DATABASE_URL"])


@cache
def _redis() -> Any:
    import redis  # noqa: PLC0415

    return redis.Redis.from_url(os.environ["FLOOR_REDIS_URL"])


@cache
def _password() -> tuple[Any, bytes]:
    from nacl.pwhash import argon2id  # noqa: PLC0415

    return argon2id, argon2id.str(PASSWORD, 2, 19_456 * 1024)
