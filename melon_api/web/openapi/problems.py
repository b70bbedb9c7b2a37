"""Errors as `/openapi.json` shows them: an example of each code, what to do about it, its headers.

tests/api/test_openapi.py has the server say every one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from melon_api.errors import STATUS_OF

REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PROBLEM = "#/components/schemas/Problem"


@dataclass(frozen=True)
class Problem:
    """What the server says in `detail` and `errors`; `request` is a body that it says so to."""

    detail: str
    errors: Any = None
    request: Any = None

    def answer(self, code: str) -> dict[str, Any]:
        """The whole of it, as errors.py writes it."""
        status = STATUS_OF[code]
        body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
        body |= {"code": code, "detail": self.detail}
        body |= {} if self.errors is None else {"errors": self.errors}
        return body | {"request_id": REQUEST_ID}


# What any call of its kind says; a call's own table may say it otherwise.
USUAL = {
    "malformed_json": Problem(
        "The body is not JSON: unexpected end of data: line 1 column 2 (char 1)."
    ),
    "bad_request": Problem("The gzip body ends too early."),
    "token_missing": Problem("Send the header Authorization: Bearer <token>."),
    "token_expired": Problem("The token has expired."),
    "token_invalid": Problem("The token is not one of ours."),
    "token_revoked": Problem("This session has ended."),
    "invalid_credentials": Problem("The e-mail address or the password is wrong."),
    "account_disabled": Problem("This account has been disabled."),
    "email_not_verified": Problem("Confirm your e-mail address first; POST /auth/email/resend."),
    "not_found": Problem("There is no such session of yours."),
    "method_not_allowed": Problem("The method is not allowed for the requested URL."),
    "not_acceptable": Problem("This server answers application/json only."),
    "email_taken": Problem("There is an account with this e-mail address already."),
    "sync_conflict": Problem(
        "Another device changed some of it; pull, then push again.", {"table": ["id"]}
    ),
    "payload_too_large": Problem("The body is larger than 33554432 bytes."),
    "unsupported_media_type": Problem("Send application/json, not text/html."),
    "validation_failed": Problem(
        "Some of it is not valid.", {"field": ["Missing data for required field."]}
    ),
    "unknown_table": Problem(
        "Some of it cannot be stored; nothing was.",
        {"changes": {"table": ["There is no such table."]}},
    ),
    "unknown_parent": Problem(
        "Some of it cannot be stored; nothing was.",
        {"changes": {"table": {"created": {"0": {"column": ["No record 'id' in parents."]}}}}},
    ),
    "rate_limited": Problem("10 per 1 minute"),
    "internal_error": Problem("Something went wrong on our side. It has been logged."),
    "unavailable": Problem("The database does not answer at the moment."),
}

ADVICE = {
    "malformed_json": "mend the app",
    "bad_request": "mend the app",
    "token_missing": "sign in",
    "token_expired": "refresh, then repeat",
    "token_invalid": "sign in again",
    "token_revoked": "sign in again",
    "invalid_credentials": "the address or the password is wrong; it is not told which",
    "account_disabled": "tell the person",
    "email_not_verified": "only with REQUIRE_VERIFIED_EMAIL: ask for the token of the mail",
    "not_found": "there is nothing here for this caller",
    "method_not_allowed": "mend the app; `Allow` names the methods",
    "not_acceptable": "accept application/json",
    "email_taken": "sign in instead",
    "sync_conflict": "another phone was faster: pull, then push again",
    "payload_too_large": "push in smaller parts",
    "unsupported_media_type": "send JSON, plain or as gzip",
    "validation_failed": "`errors` names each place",
    "unknown_table": "`errors` names it; nothing was stored",
    "unknown_parent": "`errors` names each record; nothing was stored",
    "rate_limited": "wait for `Retry-After` seconds",
    "internal_error": "report the `request_id`",
    "unavailable": "wait for `Retry-After` seconds; nothing was applied",
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's name in the logs: the caller's own `X-Request-ID` (8 to 64 "
        "of `A-Z a-z 0-9 _ . -`), or a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{8,64}$"},
        "example": REQUEST_ID,
    },
    "WWW-Authenticate": {
        "description": "The scheme, and why the token is not good (RFC 6750 §3).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer realm="melon", error="invalid_token"',
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "RateLimit-Limit": {
        "description": "Calls in a period, where limits are counted.",
        "schema": {"type": "integer"},
        "example": 300,
    },
    "RateLimit-Remaining": {
        "description": "How many are left of them.",
        "schema": {"type": "integer"},
        "example": 299,
    },
    "RateLimit-Reset": {
        "description": "Seconds to the period's end.",
        "schema": {"type": "integer"},
        "example": 60,
    },
}
LIMIT_HEADERS = tuple(name for name in HEADERS if name.startswith("RateLimit-"))
OF_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After", *LIMIT_HEADERS)}
OF_STATUS[503] = ("Retry-After",)


def headers(*names: str) -> dict[str, Any]:
    """These headers, and the one that every answer has, as references."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def responses(codes: Iterable[str], own: Mapping[str, Problem]) -> dict[str, Any]:
    """The error responses by status, with an example of each code."""
    by_status: dict[int, dict[str, Problem]] = defaultdict(dict)
    for code in codes:
        by_status[STATUS_OF[code]][code] = own.get(code) or USUAL[code]
    return {str(status): _response(status, by_status[status]) for status in sorted(by_status)}


def _response(status: int, problems: dict[str, Problem]) -> dict[str, Any]:
    narrowed: dict[str, Any] = {
        "properties": {"status": {"const": status}, "code": {"enum": list(problems)}}
    }
    if status == 422:
        narrowed["required"] = ["errors"]
    examples = {
        code: {"summary": code, "description": ADVICE[code], "value": problem.answer(code)}
        for code, problem in problems.items()
    }
    content = {"schema": {"allOf": [{"$ref": PROBLEM}, narrowed]}, "examples": examples}
    return {
        "description": f"{HTTPStatus(status).phrase}. "
        + "; ".join(f"`{code}`: {ADVICE[code]}" for code in problems),
        "headers": headers(*OF_STATUS.get(status, ())),
        "content": {"application/problem+json": content},
    }
