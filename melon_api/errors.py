"""Domain errors: a broken rule of the contract, with what a client is told. Pure."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

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
