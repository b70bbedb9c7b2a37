"""The guard before every route that needs a sign-in, and the JWT errors in the contract's words."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import current_app, g, request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import ExpiredSignatureError, PyJWTError

from melon_api.auth.accounts import Caller
from melon_api.auth.callers import authenticate
from melon_api.auth.tokens import verified_tokens
from melon_api.errors import EmailNotVerified, TokenExpired, TokenInvalid, TokenMissing
from melon_api.web.openapi.notes import note

P = ParamSpec("P")
R = TypeVar("R")

ACCESS, REFRESH = ("access",), ("refresh",)
ACCOUNT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
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
            g.claims = _verified_claims(accepted)
            g.caller = authenticate(g.claims["sub"], g.claims["sid"])
            if verified and not is_verified_enough(g.caller, current_app.config):
                raise EmailNotVerified
            return view(*args, **kwargs)

        return note(guarded, tokens=accepted, verified=verified)

    return decorate


def is_verified_enough(who: Caller, config: Mapping[str, Any]) -> bool:
    """Whether the address is verified, where REQUIRE_VERIFIED_EMAIL wants that."""
    if not config["REQUIRE_VERIFIED_EMAIL"]:
        return True
    return who.profile is not None and who.profile.email_verified_at is not None


def caller() -> Caller:
    """Who makes this request; behind `signed_in` only."""
    found: Caller = g.caller
    return found


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


def _verified_claims(accepted: tuple[str, ...]) -> dict[str, Any]:
    header = request.environ.get("HTTP_AUTHORIZATION", "")
    if "access" in accepted and (known := verified_tokens().claims(header)):
        return known
    found = _verify(accepted)
    if found["type"] == "access":
        verified_tokens().remember(header, found)
    return found


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
