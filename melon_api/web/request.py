"""What every route shares: the request's id, what it accepts, the headers of an answer."""

import re
import uuid
from collections.abc import Callable, Mapping
from inspect import CO_COROUTINE
from types import FunctionType
from typing import Any

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from melon_api.errors import NotAcceptable
from melon_api.sockets import has_hung_up

API = "/api/v1"
REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
JSON_TYPES = {"application/json", "application/problem+json", "application/*", "*/*"}
OTHER_KINDS = {"live"}  # of endpoints that look themselves at what is accepted: no JSON alone
# What phones send, fetch and axios among them; all of it takes JSON.
PLAIN_ACCEPTS = {None, "*/*", "application/json", "application/json, text/plain, */*"}


class Application(Flask):
    """Flask asks `inspect` of a dozen functions, in every request, whether they are coroutines."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func`, to be called as it is, or as Flask wraps a coroutine."""
        is_plain = type(func) is FunctionType and not func.__code__.co_flags & CO_COROUTINE
        return func if is_plain else super().ensure_sync(func)


def init_app(app: Flask) -> None:
    app.before_request(name_request)
    app.teardown_request(forget_request)
    app.before_request(check_accept)
    app.after_request(complete_answer)


def request_id(environ: Mapping[str, Any]) -> str:
    """The caller's `X-Request-ID` when it is a decent one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def name_request() -> None:
    g.request_id = name = request_id(request.environ)
    bind_contextvars(request_id=name, client=request.remote_addr)


def forget_request(_error: BaseException | None) -> None:
    """The thread may do something else next."""
    clear_contextvars()


def check_accept() -> None:
    """The API speaks JSON; a client that takes none of it is told so. Raises NotAcceptable."""
    if request.environ.get("HTTP_ACCEPT") in PLAIN_ACCEPTS:
        return
    if request.routing_exception or not request.path.startswith(API):
        return
    if request.endpoint in OTHER_KINDS:
        return
    named = [(k.partition(";")[0].strip().lower(), q) for k, q in request.accept_mimetypes]
    if any(kind for kind, _ in named) and not {kind for kind, q in named if q} & JSON_TYPES:
        raise NotAcceptable


def complete_answer(response: Response) -> Response:
    if request.method == "OPTIONS" and not response.is_streamed and not response.get_data():
        response.headers.pop("Content-Type", None)  # Flask's own, of nothing
    response.headers["X-Request-ID"] = g.get("request_id", "")
    response.headers["Cache-Control"] = "no-store"
    return response


def is_gone(environ: Mapping[str, Any]) -> bool:
    """Whether the client has closed its connection since it sent this request; False where that
    cannot be seen. Who has closed its sending side alone counts as gone, too, as with nginx and Go:
    the network says the same of both, and nothing is lost but an answer of 503."""
    connection = environ.get("gunicorn.socket")
    return connection is not None and bool(has_hung_up(connection))
