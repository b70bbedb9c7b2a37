"""Access and refresh tokens: JWTs that name an account and one of its sessions."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from flask_jwt_extended import create_access_token, create_refresh_token

from melon_api.models.base import utc_now
from melon_api.models.session import Session

# PyJWT refuses a token "issued in the future". Hosts' clocks differ, and jump back by hours when it
# goes badly, so a token says that it was issued earlier than it was; nothing else reads that.
CLOCK_DIFFERENCE = timedelta(days=1)


@dataclass(frozen=True)
class TokenPair:
    """What a device signs its calls with; `expires_in` of the access token, in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a name, RFC 6750


def token_pair(session: Session) -> TokenPair:
    """A new access token, and the refresh token that belongs to the session's row as it stands."""
    lifetime: timedelta = current_app.config["ACCESS_TOKEN_LIFETIME"]
    claims = {"sid": session.id, "iat": _issued(utc_now())}
    access = create_access_token(session.user_id, additional_claims=claims, expires_delta=lifetime)
    return TokenPair(access, refresh_token(session), int(lifetime.total_seconds()))


def refresh_token(session: Session) -> str:
    """The session's current refresh token, always the same for the same row and secret.

    Nothing in it is random, so it can be made again for a phone that lost the answer, although only
    its hash is stored.
    """
    expires = min(
        session.rotated_at + current_app.config["REFRESH_TOKEN_LIFETIME"], session.expires_at
    )
    claims: dict[str, Any] = {
        "sid": session.id,
        "gen": session.generation,
        "jti": f"{session.id}.{session.generation}",
        "iat": _issued(session.rotated_at),
        "exp": int(expires.timestamp()),
    }
    return str(create_refresh_token(session.user_id, additional_claims=claims))


def digest(token: str) -> str:
    """What is stored of a refresh token. SHA-256 is enough: a signed token cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _issued(at: datetime) -> int:
    return int((at - CLOCK_DIFFERENCE).timestamp())
