"""The one renderer of errors: problem+json (RFC 9457)."""

import logging
import traceback
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, current_app, g, got_request_exception
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from melon_api.errors import (
    BadRequest,
    DomainError,
    Example,
    InternalError,
    InvalidCredentials,
    TokenMissing,
    Unavailable,
)
from melon_api.storage.transactions import error_number, is_outage

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
# https://www.iana.org/assignments/link-relations: where the docs are served, what a code means
HELP = '</docs/errors#{}>; rel="help"'


def init_app(app: Flask) -> None:
    """Every error of every kind leaves as problem+json."""
    app.register_error_handler(DomainError, domain_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)


def domain_error(error: DomainError) -> Response:
    return problem(type(error), Example(error.detail, error.errors))


def http_error(error: HTTPException) -> ResponseReturnValue:
    """What Werkzeug raised: its status, its headers (`Allow`, `Retry-After`), our body."""
    if error.response is not None or error.code is None or error.code < 400:
        return error  # a redirect is no error
    headers = {k: v for k, v in error.get_headers() if not k.startswith("Content-")}
    return problem(of_status(error.code), Example(error.description or ""), headers, error.code)


def unexpected_error(error: Exception) -> Response:
    """A crash: logged with its traceback, answered without any of it."""
    if is_outage(error):
        log.warning("the database does not answer: %s", type(error).__name__)
        return problem(Unavailable)
    if isinstance(error, DBAPIError):  # its message quotes what people wrote
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("database error %s %s\n%s", type(error).__name__, error_number(error), where)
    else:
        log.error("unexpected error", exc_info=error)
    # Flask sends it for what nobody handles; error trackers listen to it (ops/sentry.py)
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]
    return problem(InternalError)


def problem(
    kind: type[DomainError],
    said: Example | None = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The one renderer of errors; 401 names the scheme (RFC 6750 §3), 429 and 503 a time."""
    status = status or kind.status
    body = as_problem(kind, said or kind.example, g.get("request_id"), status)
    response = Response(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, headers)
    response.content_type = "application/problem+json"
    if "docs" in current_app.blueprints:
        response.headers["Link"] = HELP.format(kind.code)
    if status == 401:
        response.headers["WWW-Authenticate"] = _challenge(kind)
    if status in (429, 503):
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return response


def _challenge(kind: type[DomainError]) -> str:
    if kind in (TokenMissing, InvalidCredentials):
        return 'Bearer realm="melon"'
    return f'Bearer realm="melon", error="invalid_token", error_description="{kind.code}"'


def by_code() -> dict[str, type[DomainError]]:
    """Every error there is, in the order of their statuses; those of the app, too."""
    return {kind.code: kind for kind in sorted(_below(DomainError), key=lambda kind: kind.status)}


def _below(base: type[DomainError]) -> Iterator[type[DomainError]]:
    for kind in base.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from _below(kind)


def of_status(status: int) -> type[DomainError]:
    """What an error becomes that has a status only, as those of Werkzeug: the first with it."""
    other = BadRequest if status < 500 else InternalError
    return next((kind for kind in by_code().values() if kind.status == status), other)


def as_problem(
    kind: type[DomainError], said: Example, request_id: str | None, status: int | None = None
) -> dict[str, Any]:
    """The body of an answer (RFC 9457); 422 always has `errors` (contract, Errors 2)."""
    status = status or kind.status
    errors = {} if said.errors is None and status == 422 else said.errors
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": kind.code,
        "detail": said.detail,
        **({} if errors is None else {"errors": errors}),
        "request_id": request_id,
    }
