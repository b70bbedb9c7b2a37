"""Idle pulls, answered in front of Flask.

Nearly every pull of a fleet of phones finds nothing new, and Flask's own work on a request costs
several times what such an answer does (benchmarks/README.md). So a plain pull is answered here when
nothing can have changed and this process knows its token and account. Whatever is out of the
ordinary, in its headers or its body, goes on to Flask, which answers alike.
"""

import io
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from flask import Flask
from gunicorn.http.errors import ParseException

from melon_api import measures
from melon_api.auth import callers
from melon_api.auth.accounts import Caller
from melon_api.auth.guard import is_verified_enough
from melon_api.auth.tokens import VerifiedTokens
from melon_api.ops import logs
from melon_api.storage.cache import Cache
from melon_api.sync.discovery import synced_tables
from melon_api.sync.requests import CLOCK, plain_since
from melon_api.sync.sql import clock
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.web import limits
from melon_api.web.request import API, PLAIN_ACCEPTS, request_id

Environ = dict[str, Any]

PATH = f"{API}/sync/pull"
MOST_BYTES = 1_024  # of a body; a plain pull's has about 70
LENGTH = re.compile(r"[0-9]{1,4}")  # Python refuses to read a number of thousands of digits
PLAIN_TYPES = {"application/json", "application/json; charset=utf-8", "text/plain;charset=UTF-8"}
# They change the answer, or how the body is read.
UNUSUAL = {"HTTP_ORIGIN", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"}


def init_app(app: Flask) -> None:
    """Stand in front of what serves the application by now; not where the database is asked."""
    cache: Cache = app.extensions["account_cache"]
    if not cache.remembers:
        return
    app.wsgi_app = IdlePulls(app, app.wsgi_app)  # type: ignore[method-assign]


class IdlePulls:
    """A WSGI application in front of another one (PEP 3333)."""

    def __init__(self, app: Flask, behind: Callable[..., Iterable[bytes]]) -> None:
        self._behind = behind
        self._app, self._config = app, app.config
        self._tokens: VerifiedTokens = app.extensions["verified_tokens"]
        self._cache: Cache = app.extensions["account_cache"]
        changes = b"".join(ChangesText(synced_tables()))
        self._answer = b'{"changes":' + changes + b',"timestamp":%d}'

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        started = time.perf_counter()
        since = _since(environ) if self._is_plain(environ) else None
        caller = self._caller(environ) if since else None
        if caller is None:
            return self._behind(environ, start_response)
        known = environ[CLOCK] = clock.remembered(self._cache, caller.user_id)
        if since != known:
            return self._behind(environ, start_response)
        limited = self._limits(environ, caller)
        if limited is None:
            return self._behind(environ, start_response)
        answer, name = self._answer % since, request_id(environ)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer))),
            *limited,
            ("X-Request-ID", name),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept-Encoding"),
        ]
        start_response("200 OK", headers)
        self._log(environ, caller, started, name, len(answer))
        return [answer]

    def _log(
        self, environ: Environ, caller: Caller, started: float, request_id: str, size: int
    ) -> None:
        measures.begin_request()
        measures.pulled("idle", 0)
        facts = measures.request_facts() | {
            "request_id": request_id,
            "client": environ.get("REMOTE_ADDR"),
            "account_id": caller.user_id,
            "session_id": caller.session_id,
            "bytes_in": int(environ["CONTENT_LENGTH"]),
            "bytes_out": size,
        }
        logs.log_answer("POST", PATH, 200, started, facts)

    def _caller(self, environ: Environ) -> Caller | None:
        """Who asks; None for what is Flask's to refuse or to look up."""
        claims = self._tokens.claims(environ.get("HTTP_AUTHORIZATION"))
        if claims is None:
            return None
        caller = callers.remembered(self._cache, claims["sub"], claims["sid"])
        return caller if caller and is_verified_enough(caller, self._config) else None

    def _limits(self, environ: Environ, caller: Caller) -> list[tuple[str, str]] | None:
        """The headers about limits; None when one is reached, which is Flask's to say."""
        if not self._config["RATELIMIT_ENABLED"]:
            return []
        key = limits.key_of("PULL", caller.user_id, None, environ.get("REMOTE_ADDR"))
        verdict = environ[limits.VERDICT] = limits.limiter_of(self._app).hit("PULL", key)
        return verdict.headers if verdict.is_allowed else None

    def _is_plain(self, environ: Environ) -> bool:
        return (
            environ["PATH_INFO"] == PATH
            and environ["REQUEST_METHOD"] == "POST"
            and not environ.get("QUERY_STRING")
            and environ.get("CONTENT_TYPE") in PLAIN_TYPES
            and environ.get("HTTP_ACCEPT") in PLAIN_ACCEPTS
            and UNUSUAL.isdisjoint(environ)
            and not self._is_compressed(environ)
        )

    def _is_compressed(self, environ: Environ) -> bool:
        is_large = len(self._answer) >= self._config["COMPRESS_MIN_SIZE"]
        return is_large and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "")


def _since(environ: Environ) -> int | None:
    """`lastPulledAt` of a plain body, which is left to be read again."""
    length = environ.get("CONTENT_LENGTH", "")
    if not LENGTH.fullmatch(length) or int(length) > MOST_BYTES:
        return None
    try:
        body = environ["wsgi.input"].read(int(length))
    except (OSError, ParseException):
        return None  # the stream is as broken for Flask, which says so
    environ["wsgi.input"] = io.BytesIO(body)
    if len(body) < int(length):
        return None  # cut on its way, whatever it looks like
    try:
        return plain_since(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
