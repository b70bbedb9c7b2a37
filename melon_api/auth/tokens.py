"""Access and refresh tokens: JWTs that name an account and one of its sessions.

Signed with `JWT_SECRET_KEY`; those signed with one of `JWT_PREVIOUS_KEYS` are good, too, so that
the key can be changed without signing anyone out. `kid` says which (RFC 7515 §4.1.4).
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token
from jwt import InvalidKeyError

from melon_api.errors import TokenInvalid
from melon_api.models.base import utc_now
from melon_api.models.session import Session

# PyJWT refuses a token "issued in the future". Hosts' clocks differ, and jump back by hours when it
# goes badly, so a token says that it was issued earlier than it was; nothing else reads that.
CLOCK_DIFFERENCE = timedelta(days=1)

MOST_VERIFIED = 4_096  # about 1 KiB each

jwt = JWTManager()
_signing_key: ContextVar[str | None] = ContextVar("signing_key", default=None)


@dataclass(frozen=True)
class TokenPair:
    """What a device signs its calls with; `expires_in` of the access token, in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a name, RFC 6750


class VerifiedTokens:
    """The claims of access tokens by the `Authorization` header that they came in.

    A signature that was good stays good; that the token has not expired is checked each time, and
    that its session lives is not known here.
    """

    def __init__(self) -> None:
        self._claims: dict[str, dict[str, Any]] = {}

    def claims(self, header: str | None) -> dict[str, Any] | None:
        """None for a token that was not verified here, or has expired."""
        found = self._claims.get(header) if header else None
        return found if found and found["exp"] > time.time() else None

    def remember(self, header: str, claims: dict[str, Any]) -> None:
        """The oldest are forgotten first."""
        self._claims[header] = claims
        while len(self._claims) > MOST_VERIFIED:
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread did it
                del self._claims[next(iter(self._claims))]


def init_app(app: Flask) -> None:
    """Bind the keys, which are found by their ids."""
    jwt.init_app(app)
    app.extensions["verified_tokens"] = VerifiedTokens()
    keys = [app.config["JWT_SECRET_KEY"], *app.config["JWT_PREVIOUS_KEYS"]]
    app.extensions["token_keys"] = {key_id(key): key for key in keys}
    jwt.encode_key_loader(lambda _identity: _signing_key.get() or keys_now()[0])
    jwt.decode_key_loader(lambda header, _claims: _key_of(header))


def is_signed_here(keys: Mapping[str, str], header: str) -> bool:
    """Whether a value of `Authorization` has a signature of ours, by one of the keys, by their ids;
    not, whether the token has expired or its session lives: cheap, to tell a crowd from phones."""
    signed, _, signature = header.removeprefix("Bearer ").rpartition(".")
    try:
        given = base64.urlsafe_b64decode(signature + "==")
        said = signed.encode("ascii")
    except ValueError:
        return False
    return any(
        hmac.compare_digest(hmac.digest(key.encode(), said, "sha256"), given)
        for key in keys.values()
    )


def key_id(key: str) -> str:
    """The public name of a secret key."""
    return hashlib.sha256(b"melon key id:" + key.encode()).hexdigest()[:16]


def keys_now() -> list[str]:
    """The keys that count, the one that signs first."""
    return list(current_app.extensions["token_keys"].values())


def verified_tokens() -> VerifiedTokens:
    """Those that this process has verified."""
    found: VerifiedTokens = current_app.extensions["verified_tokens"]
    return found


def _key_of(header: dict[str, Any]) -> str:
    """Raises InvalidKeyError for a key that we do not have."""
    keys: dict[str, str] = current_app.extensions["token_keys"]
    kid = header.get("kid", key_id(keys_now()[0]))
    if not isinstance(kid, str) or kid not in keys:
        raise InvalidKeyError("unknown key")
    return keys[kid]


def new_pair(session: Session) -> TokenPair:
    """Both tokens of a session whose generation is new; the refresh token's digest goes into it."""
    refresh = refresh_token(session)
    session.refresh_hash = digest(refresh)
    return _pair(session, refresh)


def token_pair(session: Session) -> TokenPair:
    """A new access token, and the refresh token that belongs to the session's row as it stands."""
    return _pair(session, _stored_token(session))


def _pair(session: Session, refresh: str) -> TokenPair:
    lifetime: timedelta = current_app.config["ACCESS_TOKEN_LIFETIME"]
    access = create_access_token(
        session.user_id,
        additional_claims={
            "sid": session.id,
            "gen": session.generation,
            "iat": _issued(utc_now()),
        },
        additional_headers={"kid": key_id(keys_now()[0])},
        expires_delta=lifetime,
    )
    return TokenPair(access, refresh, int(lifetime.total_seconds()))


def _stored_token(session: Session) -> str:
    """The refresh token whose digest is stored, whichever key signed it. Raises TokenInvalid when
    that key counts no more."""
    made = (refresh_token(session, key) for key in keys_now())
    found = next((token for token in made if digest(token) == session.refresh_hash), None)
    if found is None:
        raise TokenInvalid("The key of this session's refresh token counts no more.")
    return found


def refresh_token(session: Session, key: str | None = None) -> str:
    """The session's current refresh token, always the same for the same row and key.

    Nothing in it is random, so it can be made again for a phone that lost the answer, although only
    its hash is stored.
    """
    key = key or keys_now()[0]
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
    token = _signing_key.set(key)
    try:
        headers = {"kid": key_id(key)}
        return str(
            create_refresh_token(
                session.user_id, additional_claims=claims, additional_headers=headers
            )
        )
    finally:
        _signing_key.reset(token)


def digest(token: str) -> str:
    """What is stored of a token. SHA-256 is enough: a signed or random token cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _issued(at: datetime) -> int:
    return int((at - CLOCK_DIFFERENCE).timestamp())
