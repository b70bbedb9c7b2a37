"""Domain errors, and the one place where they become HTTP: problem+json (RFC 9457)."""

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from flask import Flask, Response, current_app, g, got_request_exception
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)

# Every `code` of the contract's error table, with its status.
STATUS_OF = {
    "malformed_json": 400,
    "bad_request": 400,
    "token_missing": 401,
    "token_expired": 401,
    "token_invalid": 401,
    "token_revoked": 401,
    "invalid_credentials": 401,
    "account_disabled": 403,
    "email_not_verified": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "email_taken": 409,
    "sync_conflict": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "unknown_table": 422,
    "unknown_parent": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "unavailable": 503,
}
# What Werkzeug and Flask raise carries a status only.
CODE_OF = {
    status: code
    for code, status in reversed(STATUS_OF.items())
    if code not in ("malformed_json", "unknown_table", "unknown_parent")
}
RETRY_AFTER_SECONDS = 5


class DomainError(Exception):
    """A rule of the contract was broken: `code`, `detail` for people, `errors` by place."""

    code: ClassVar[str]

    def __init__(self, detail: str, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors


class MalformedJson(DomainError):
    code = "malformed_json"


class BadRequest(DomainError):
    code = "bad_request"


class NotAcceptable(DomainError):
    code = "not_acceptable"


class PayloadTooLarge(DomainError):
    code = "payload_too_large"


class UnsupportedMediaType(DomainError):
    code = "unsupported_media_type"


class NotFound(DomainError):
    code = "not_found"


class ValidationFailed(DomainError):
    code = "validation_failed"

    def __init__(self, errors: Mapping[str, Any], detail: str = "Some of it is not valid.") -> None:
        super().__init__(detail, errors)


class TokenMissing(DomainError):
    code = "token_missing"


class TokenExpired(DomainError):
    code = "token_expired"


class TokenInvalid(DomainError):
    code = "token_invalid"


class TokenRevoked(DomainError):
    code = "token_revoked"


class InvalidCredentials(DomainError):
    code = "invalid_credentials"


class AccountDisabled(DomainError):
    code = "account_disabled"


class EmailTaken(DomainError):
    code = "email_taken"


class EmailNotVerified(DomainError):
    """Only with the setting REQUIRE_VERIFIED_EMAIL."""

    code = "email_not_verified"


class SyncConflict(DomainError):
    """`errors`: {table: [ids]} that another device changed."""

    code = "sync_conflict"


class UnknownTable(DomainError):
    code = "unknown_table"


class UnknownParent(DomainError):
    code = "unknown_parent"


class Unavailable(DomainError):
    """A server behind us does not answer; nothing was applied, the client may try again."""

    code = "unavailable"


class OutcomeUnknown(DomainError):
    """A commit was sent and no answer came: a 503 would promise that nothing was applied."""

    code = "internal_error"


def init_app(app: Flask) -> None:
    """Every error of every kind leaves as problem+json."""
    app.register_error_handler(DomainError, domain_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)


def domain_error(error: DomainError) -> Response:
    return problem(error.code, error.detail, error.errors)


def http_error(error: HTTPException) -> ResponseReturnValue:
    """What Werkzeug raised: its status, its headers (`Allow`, `Retry-After`), our body."""
    if error.response is not None or error.code is None or error.code < 400:
        return error  # a redirect is no error
    code = CODE_OF.get(error.code, "bad_request" if error.code < 500 else "internal_error")
    headers = {k: v for k, v in error.get_headers() if not k.startswith("Content-")}
    return problem(code, error.description or "", headers=headers, status=error.code)


def unexpected_error(error: Exception) -> Response:
    """A crash: logged with its traceback, answered without any of it."""
    if is_outage(error):
        log.warning("the database does not answer: %s", type(error).__name__)
        return problem("unavailable", "The database does not answer at the moment.")
    if isinstance(error, DBAPIError):  # its message quotes what people wrote
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("database error %s %s\n%s", type(error).__name__, error_number(error), where)
    else:
        log.error("unexpected error", exc_info=error)
    # Flask sends it for what nobody handles; error trackers listen to it (ops/sentry.py)
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]
    return problem("internal_error", "Something went wrong on our side. It has been logged.")


# MySQL: too many connections, shutdown, cannot connect, gone away, lost, lock wait, read-only,
# deadlock, node not ready (Galera), a statement that took too long (1969 MariaDB, 3024 MySQL)
OUTAGES = {1020, 1040, 1047, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1836, 1927}
OUTAGES |= {0, 1226, 1317, 1969, 2002, 2003, 2006, 2013, 2055, 3024}  # 0: the connection is closed
SQLITE_OUTAGES = ("database is locked", "unable to open", "disk i/o error", "database is full")


def is_outage(error: Exception) -> bool:
    """Whether the database is away or busy, rather than our statement wrong."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    reason = error_number(error)
    if isinstance(reason, int):
        return reason in OUTAGES
    return any(text in str(reason).lower() for text in SQLITE_OUTAGES)


def error_number(error: DBAPIError) -> Any:
    """The driver's number (MySQL), or its sentence (SQLite)."""
    return error.orig.args[0] if error.orig and error.orig.args else None


def problem(
    code: str,
    detail: str,
    errors: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The one renderer of errors; 401 names the scheme (RFC 6750 §3), 429 and 503 a time."""
    status = status or STATUS_OF[code]
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    elif status == 422:
        body["errors"] = {}
    body["request_id"] = g.get("request_id")
    option = orjson.OPT_NON_STR_KEYS
    response = Response(orjson.dumps(body, option=option), status, headers)
    response.content_type = "application/problem+json"
    if status == 401:
        response.headers["WWW-Authenticate"] = _challenge(code)
    if status in (429, 503):
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return response


def _challenge(code: str) -> str:
    if code in ("token_missing", "invalid_credentials"):
        return 'Bearer realm="melon"'
    return f'Bearer realm="melon", error="invalid_token", error_description="{code}"'
