"""Every error that the API answers, one class each: what is sent, and what the app does about it.

The answers (web/problems.py, which finds them by code, too), `/openapi.json` and the tables of
docs/contract.md and docs/api.md are made from these classes or held to them. Pure: neither Flask
nor SQLAlchemy.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple


class Example(NamedTuple):
    """What is said in `detail`, for people, and in `errors`, by place."""

    detail: str
    errors: Any = None


class DomainError(Exception):
    """A rule of the contract was broken. `code` is stable; `advice` is for the app's developer.

    Raised without words of its own, it says what its example says.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    advice: ClassVar[str]
    example: ClassVar[Example]

    def __init__(self, detail: str | None = None, errors: Mapping[str, Any] | None = None) -> None:
        self.detail = self.example.detail if detail is None else detail
        super().__init__(self.detail)
        self.errors = errors


class BadRequest(DomainError):
    code, status = "bad_request", 400
    advice = "mend the app"
    example = Example("The gzip body ends too early.")


class MalformedJson(DomainError):
    code, status = "malformed_json", 400
    advice = "mend the app"
    example = Example("The body is not JSON: unexpected end of data: line 1 column 2 (char 1).")


class TokenMissing(DomainError):
    code, status = "token_missing", 401
    advice = "sign in"
    example = Example("Send the header Authorization: Bearer <token>.")


class TokenExpired(DomainError):
    code, status = "token_expired", 401
    advice = "refresh, then repeat"
    example = Example("The token has expired.")


class TokenInvalid(DomainError):
    code, status = "token_invalid", 401
    advice = "sign in again"
    example = Example("The token is not one of ours.")


class TokenRevoked(DomainError):
    code, status = "token_revoked", 401
    advice = "sign in again"
    example = Example("This session has ended.")


class InvalidCredentials(DomainError):
    code, status = "invalid_credentials", 401
    advice = "the address or the password is wrong; it is not told which"
    example = Example("The e-mail address or the password is wrong.")


class AccountDisabled(DomainError):
    code, status = "account_disabled", 403
    advice = "tell the person"
    example = Example("This account has been disabled.")


class EmailNotVerified(DomainError):
    code, status = "email_not_verified", 403
    advice = "the server, or an invitation, wants the address confirmed: ask for the mail's token"
    example = Example("Confirm your e-mail address first; POST /auth/email/resend.")


class Forbidden(DomainError):
    code, status = "forbidden", 403
    advice = "this account may not do that"
    example = Example("This account has a way in already.")


class NotFound(DomainError):
    code, status = "not_found", 404
    advice = "there is nothing here for this caller"
    example = Example("There is no such session of yours.")


class MethodNotAllowed(DomainError):
    """Raised by Werkzeug."""

    code, status = "method_not_allowed", 405
    advice = "mend the app; `Allow` names the methods"
    example = Example("The method is not allowed for the requested URL.")


class NotAcceptable(DomainError):
    code, status = "not_acceptable", 406
    advice = "accept application/json"
    example = Example("This server answers application/json only.")


class EmailTaken(DomainError):
    code, status = "email_taken", 409
    advice = "sign in instead"
    example = Example("There is an account with this e-mail address already.")


class IdentityTaken(DomainError):
    code, status = "identity_taken", 409
    advice = "another account has it, or this account another one: sign in by that"
    example = Example("Another account has this identity.")


class LastIdentity(DomainError):
    code, status = "last_identity", 409
    advice = "set a password for a confirmed address first"
    example = Example("Nothing else leads into this account.")


class LastOwner(DomainError):
    code, status = "last_owner", 409
    advice = "make somebody else an owner first, or delete the space"
    example = Example("A space needs an owner.")


class IdTaken(DomainError):
    code, status = "id_taken", 409
    advice = "choose another id"
    example = Example("This id is taken.")


class SyncConflict(DomainError):
    """`errors`: {table: [ids]} that another device changed."""

    code, status = "sync_conflict", 409
    advice = "another phone was faster: pull, then push again"
    example = Example(
        "Another device changed some of it; pull, then push again.", {"table": ["id"]}
    )


class ForeignClock(DomainError):
    """A client that went on would never upload what it holds as synced."""

    code, status = "foreign_clock", 409
    advice = "the phone synced with another server: have it upload all (docs/adopting.md)"
    example = Example("lastPulledAt is older than the account; no pull of this server gave it.")


class PushOutdated(DomainError):
    """`errors`: {"pushNumber": the newest of the session that is stored}."""

    code, status = "push_outdated", 409
    advice = "a late copy; the session has pushed since: forget it"
    example = Example("A newer push of this session is stored.", {"pushNumber": 7})


class PayloadTooLarge(DomainError):
    code, status = "payload_too_large", 413
    advice = "push in smaller parts"
    example = Example("The body is larger than 65536 bytes.")


class UnsupportedMediaType(DomainError):
    code, status = "unsupported_media_type", 415
    advice = "send JSON, plain or as gzip"
    example = Example("Send application/json, not text/html.")


class ValidationFailed(DomainError):
    code, status = "validation_failed", 422
    advice = "`errors` names each place"
    example = Example("Some of it is not valid.", {"field": ["Missing data for required field."]})

    def __init__(self, errors: Mapping[str, Any], detail: str | None = None) -> None:
        super().__init__(detail, errors)


class UnknownTable(DomainError):
    code, status = "unknown_table", 422
    advice = "`errors` names it; nothing was stored"
    example = Example(
        "Some of it cannot be stored; nothing was.",
        {"changes": {"table": ["There is no such table."]}},
    )


class UnknownSpace(DomainError):
    code, status = "unknown_space", 422
    advice = "create or join the space, then push again; nothing was stored"
    example = Example(
        "Some of it cannot be stored; nothing was.",
        {"changes": {"table": {"created": {"0": {"space_id": ["You are in no space 'id'."]}}}}},
    )


class UnknownParent(DomainError):
    code, status = "unknown_parent", 422
    advice = "`errors` names each record; nothing was stored"
    example = Example(
        "Some of it cannot be stored; nothing was.",
        {"changes": {"table": {"created": {"0": {"column": ["No record 'id' in parents."]}}}}},
    )


class Refused(DomainError):
    code, status = "refused", 422
    advice = "a rule of the app: show `errors` to the person; nothing was stored"
    example = Example(
        "A rule of the app refused some of it; nothing was stored.",
        {"changes": {"table": {"created": {"0": {"column": ["Why."]}}}}},
    )


class RateLimited(DomainError):
    code, status = "rate_limited", 429  # raised by the limiter
    advice = "wait for `Retry-After` seconds"
    example = Example("10 per 1 minute")


class InternalError(DomainError):
    code, status = "internal_error", 500  # a crash
    advice = "report the `request_id`"
    example = Example("Something went wrong on our side. It has been logged.")


class OutcomeUnknown(InternalError):
    """A commit was sent and no answer came: a 503 would promise that nothing was applied."""


class Unavailable(DomainError):
    """A server behind us does not answer; nothing was applied, the client may try again."""

    code, status = "unavailable", 503
    advice = "wait for `Retry-After` seconds; nothing was applied"
    example = Example("The database does not answer at the moment.")
