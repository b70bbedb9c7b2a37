"""The WSGI application in front of Flask's own (PEP 3333), and what is common to its calls: who may
make them, and what their answers carry.

Whatever is out of the ordinary, in its headers or its body, goes on to Flask, which answers alike.
"""

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any

from flask import Flask
from gunicorn.http.errors import ParseException
from structlog.contextvars import bind_contextvars, clear_contextvars

from melon_api import measures
from melon_api.auth import callers
from melon_api.auth.accounts import Caller, is_verified_enough
from melon_api.auth.tokens import VerifiedTokens
from melon_api.ops import logs
from melon_api.storage.cache import Cache
from melon_api.sync.front.attempt import ATTEMPT, Attempt
from melon_api.web.request import API, PLAIN_ACCEPTS, request_id

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Answer = Iterable[bytes] | None
Count = Callable[[Flask, str, str, Environ], Headers | None]
Keep = Callable[[str, Caller, str, bytes], None]

LENGTH = re.compile(r"[0-9]{1,5}")  # Python refuses to read a number of thousands of digits
PLAIN_TYPES = {"application/json", "application/json; charset=utf-8", "text/plain;charset=UTF-8"}
# They change the answer, or how the body is read.
UNUSUAL = {"HTTP_ORIGIN", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"}
OURS = ("melon_api.", "flask_limiter.", "flask_cors.", "flask_compress.", "flask_sqlalchemy.")


class PlainCall:
    """`name`: of its path under /sync, and of its limit. `count`: limits.counted. `keep` is told
    of a call that is answered here: its name, who made it, the request's id, and the answer."""

    name: str

    def __init__(self, app: Flask, count: Count, keep: Keep) -> None:
        self.app, self.config, self._count, self._keep = app, app.config, count, keep
        self.path = f"{API}/sync/{self.name}"
        self.cache: Cache = app.extensions["account_cache"]
        self._tokens: VerifiedTokens = app.extensions["verified_tokens"]

    def answer(self, environ: Environ, start_response: Any, started: float) -> Answer:
        """None where it is Flask's to answer, or to say why not; `started` by perf_counter."""
        raise NotImplementedError

    @cached_property
    def is_watched(self) -> bool:
        """Whether a tracer, or the app's own code, wants to see each request: known by the first
        one, from which on Flask takes no more hooks."""
        return bool(self.config["OTEL_EXPORTER_OTLP_ENDPOINT"]) or any(_strange_hooks(self.app))

    def caller(self, environ: Environ) -> Caller | None:
        """Who asks; None for what is Flask's to refuse or to look up."""
        claims = self._tokens.claims(environ.get("HTTP_AUTHORIZATION"))
        if claims is None:
            return None
        caller = callers.remembered(self.cache, claims["sub"], claims["sid"])
        return caller if caller and is_verified_enough(caller, self.config) else None

    def limits(self, environ: Environ, caller: Caller) -> Headers | None:
        """The headers about limits; None when one is reached, which is Flask's to say."""
        return self._count(self.app, self.name.upper(), caller.user_id, environ)

    def attempt(
        self,
        environ: Environ,
        start_response: Any,
        started: float,
        caller: Caller,
        limited: Headers,
        work: Callable[[], bytes | None],
    ) -> Answer:
        """Do the work of a call and answer with what comes of it; None where it is Flask's to tell
        (`Attempt`), or to do, where the work says None."""
        name = environ["HTTP_X_REQUEST_ID"] = request_id(environ)
        bind_contextvars(request_id=name, client=environ.get("REMOTE_ADDR"))
        measures.begin_request()
        try:
            with self.app.app_context():
                outcome: bytes | Exception | None = work()
        except Exception as error:
            outcome = error
        finally:
            clear_contextvars()
        if outcome is None:
            environ[measures.FACTS] = measures.request_facts()
            return None
        if isinstance(outcome, Exception) or self.compresses(environ, len(outcome)):
            environ[ATTEMPT] = Attempt(outcome, caller, started, measures.request_facts())
            del outcome  # an error's traceback holds this frame
            return None
        self.begin(start_response, outcome, limited, name)
        self.log(environ, caller, started, name, len(outcome))
        self._keep(self.name, caller, name, outcome)
        return [outcome]

    def compresses(self, environ: Environ, size: int) -> bool:
        """Whether Flask's answer of so many bytes would be packed."""
        is_large = size >= self.config["COMPRESS_MIN_SIZE"]
        return is_large and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "")

    def begin(self, start_response: Any, answer: bytes, limited: Headers, request_id: str) -> None:
        """Send the head of an answer."""
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer))),
            *limited,
            ("X-Request-ID", request_id),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept-Encoding"),
        ]
        start_response("200 OK", headers)

    def log(
        self, environ: Environ, caller: Caller, started: float, request_id: str, size: int
    ) -> None:
        """The line of the request, with what was noted on its way."""
        facts = measures.request_facts() | {
            "request_id": request_id,
            "client": environ.get("REMOTE_ADDR"),
            "account_id": caller.user_id,
            "session_id": caller.session_id,
            "bytes_in": int(environ["CONTENT_LENGTH"]),
            "bytes_out": size,
        }
        logs.log_answer("POST", self.path, 200, started, facts)


def init_app(
    app: Flask, count: Count, keep: Keep, *calls: Callable[[Flask, Count, Keep], PlainCall]
) -> None:
    """Stand in front of what serves the application by now; not where the database is asked who
    calls."""
    if app.extensions["account_cache"].remembers:
        made = [call(app, count, keep) for call in calls]
        app.wsgi_app = Front(made, app.wsgi_app)  # type: ignore[method-assign]


class Front:
    def __init__(self, calls: list[PlainCall], behind: Callable[..., Iterable[bytes]]) -> None:
        self._behind, self._calls = behind, {call.path: call for call in calls}

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        started = time.perf_counter()
        call = self._calls.get(environ["PATH_INFO"])
        if call is not None and is_plain(environ):
            answer = call.answer(environ, start_response, started)
            if answer is not None:
                return answer
        return self._behind(environ, start_response)


def is_plain(environ: Environ) -> bool:
    """Nothing of its head is out of the ordinary."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ.get("QUERY_STRING")
        and environ.get("CONTENT_TYPE") in PLAIN_TYPES
        and environ.get("HTTP_ACCEPT") in PLAIN_ACCEPTS
        and UNUSUAL.isdisjoint(environ)
    )


def body_of(environ: Environ, most_bytes: int) -> bytes | None:
    """All of a short body, which is left to be read again; None for what Flask has to look at."""
    length = length_of(environ, most_bytes)
    if length is None:
        return None
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except (OSError, ParseException):
        return None  # the stream is as broken for Flask, which says so
    environ["wsgi.input"] = io.BytesIO(body)
    return body if len(body) == length else None  # cut on its way, whatever it looks like


def length_of(environ: Environ, most_bytes: int) -> int | None:
    """Of the body, in bytes; None for none, or more."""
    length = environ.get("CONTENT_LENGTH", "")
    return int(length) if LENGTH.fullmatch(length) and int(length) <= most_bytes else None


def _strange_hooks(app: Flask) -> Iterator[Any]:
    """Of the app's own, on every call."""
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for hook in hooks.get(None, []):
            made_by: Any = hook.func if isinstance(hook, partial) else hook
            if not made_by.__module__.startswith(OURS):
                yield hook
