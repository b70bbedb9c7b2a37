"""The guard before every route that needs a sign-in, and the JWT errors in the contract's words."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import g, request
from flask_jwt_extended import get_jwt, verify_jwt_in_request
from flask_jwt_extended.exceptions import (
    InvalidHeaderError,
    JWTExtendedException,
    NoAuthorizationError,
)
from jwt import ExpiredSignatureError, PyJWTError

from melon_api.auth.service import Caller, authenticate
from melon_api.errors import TokenExpired, TokenInvalid, TokenMissing

P = ParamSpec("P")
R = TypeVar("R")


def signed_in(*kinds: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a request in that carries a living token of one of `kinds` (default: access).

    Raises TokenMissing, TokenExpired, TokenInvalid, TokenRevoked, AccountDisabled.
    """
    accepted = kinds or ("access",)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.caller = authenticate(_verified_claims(accepted))
            return view(*args, **kwargs)

        # for /openapi.json: which calls want a token
        guarded._apidoc = {  # type: ignore[attr-defined]
            **getattr(view, "_apidoc", {}),
            "signed_in": True,
        }
        return guarded

    return decorate


def caller() -> Caller:
    """Who makes this request; behind `signed_in` only."""
    found: Caller = g.caller
    return found


def bearer_token() -> str:
    """The token itself, as it was sent (RFC 6750 §2.1)."""
    return request.headers["Authorization"].split()[-1]


def _verified_claims(accepted: tuple[str, ...]) -> dict[str, object]:
    try:
        verify_jwt_in_request(verify_type=False)
    except ExpiredSignatureError:
        raise TokenExpired("The token has expired.") from None
    except (NoAuthorizationError, InvalidHeaderError) as error:
        if "Authorization" in request.headers and isinstance(error, InvalidHeaderError):
            raise TokenInvalid("Send one header: Authorization: Bearer <token>.") from None
        raise TokenMissing("Send the header Authorization: Bearer <token>.") from None
    except (PyJWTError, JWTExtendedException):
        raise TokenInvalid("The token is not one of ours.") from None
    claims: dict[str, object] = get_jwt()
    if claims.get("type") not in accepted:
        raise TokenInvalid(f"This call takes the {' or '.join(accepted)} token.")
    return claims
