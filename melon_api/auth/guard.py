"""The guard before every route that needs a sign-in, and the JWT errors in the contract's words."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import current_app, g, request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import ExpiredSignatureError, PyJWTError

from melon_api.auth.accounts import Caller, is_verified_enough
from melon_api.auth.callers import authenticate
from melon_api.auth.sessions import Device, note_use
from melon_api.auth.tokens import verified_tokens
from melon_api.errors import EmailNotVerified, TokenExpired, TokenInvalid, TokenMissing
from melon_api.web.openapi.notes import note

P = ParamSpec("P")
R = TypeVar("R")

ACCESS, REFRESH = ("access",), ("refresh",)
ACCOUNT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
MOST_GENERATIONS = 1 << 31  # that the database counts
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750 §2.1, b64token


def signed_in(*kinds: str, verified: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a request in that carries a living token of one of `kinds` (default: access).

    `verified`: with REQUIRE_VERIFIED_EMAIL, only that of an account whose address is verified.
    Raises TokenMissing, TokenExpired, TokenInvalid, TokenRevoked, AccountDisabled,
    EmailNotVerified.
    """
    accepted = kinds or ACCESS

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            header = request.environ.get("HTTP_AUTHORIZATION", "")
            known = verified_tokens().claims(header) if "access" in accepted else None
            g.claims = claims = known or _verify(accepted)
            g.caller = caller = authenticate(claims["sub"], claims["sid"])
            if known is None and claims["type"] == "access":
                _take_in(header, claims)
            if verified and not is_verified_enough(caller, current_app.config):
                raise EmailNotVerified
            return view(*args, **kwargs)

        return note(guarded, tokens=accepted, verified=verified)

    return decorate


def caller() -> Caller:
    """Who makes this request; behind `signed_in` only."""
    found: Caller = g.caller
    return found


def device_of(body: Mapping[str, Any]) -> Device:
    """What a sign-in's body and headers say of the phone."""
    return Device(body["device_id"], body["device_name"], request.headers.get("User-Agent"))


def bearer_token() -> str:
    """The token, as it was sent (RFC 6750 §2.1). Raises TokenMissing, TokenInvalid."""
    header = request.headers.get("Authorization", "").strip()
    if not header:
        raise TokenMissing
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not TOKEN.fullmatch(token.strip()):
        raise TokenInvalid("Send one header: Authorization: Bearer <token>.")
    return token.strip()


def claims() -> dict[str, Any]:
    """What the verified token says; behind `signed_in` only."""
    found: dict[str, Any] = g.claims
    return found


def _take_in(header: str, claims: dict[str, Any]) -> None:
    """An access token that is new to this process; those of a sign-in have nothing before them. It
    is remembered last: nothing answers it, in front of Flask either, before its use is noted."""
    generation = claims.get("gen")
    if type(generation) is int and 0 < generation < MOST_GENERATIONS:
        note_use(claims["sid"], generation)
    verified_tokens().remember(header, claims)


def _verify(accepted: tuple[str, ...]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = decode_token(bearer_token())
    except ExpiredSignatureError:
        raise TokenExpired from None
    except (PyJWTError, JWTExtendedException):
        raise TokenInvalid from None
    numbers = ("exp", "gen") if accepted == REFRESH else ("exp",)
    is_whole = all(isinstance(found.get(name), int) for name in numbers)
    ids = (found.get("sub"), found.get("sid"))
    if not is_whole or not all(isinstance(i, str) and ACCOUNT_ID.fullmatch(i) for i in ids):
        raise TokenInvalid
    if found["type"] not in accepted:
        raise TokenInvalid(f"This call takes the {' or '.join(accepted)} token.")
    return found
