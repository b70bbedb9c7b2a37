"""What a provider grants for an `authorization_code`: exchanged at a sign-in, kept with the
identity, revoked with it. Apple wants that when an account is deleted ("Sign in with Apple REST
API": /auth/token, /auth/revoke).

What is to be revoked is noted in the transaction that ends it (auth/accounts.py:void_identities),
and tried until the provider has taken it. The addresses are those of the discovery document; this
server signs in there with a token of its own key.
"""

import logging
import time
from datetime import timedelta

import jwt
from flask import Flask
from jwt import PyJWTError
from sqlalchemy import delete, select

from melon_api.auth.accounts import REVOKING
from melon_api.errors import Unavailable
from melon_api.models.base import db, utc_now
from melon_api.models.user import Revocation
from melon_api.passwordless.oidc import fetching
from melon_api.passwordless.oidc.fetching import NotFetched
from melon_api.passwordless.oidc.keys import Issuer, issuers, waiting
from melon_api.passwordless.oidc.provider import Vouched
from melon_api.storage.transactions import snapshot, writing

log = logging.getLogger(__name__)
SECRET_SECONDS = 300
GIVEN_UP = timedelta(days=30)
ROWS = Revocation.__table__


def exchanged(issuer: Issuer, vouched: Vouched, code: str | None) -> str | None:
    """The refresh token that Apple gives for the code. None, and a line in the log, where it gives
    none: nobody's sign-in fails for that."""
    if code is None or issuer.provider.key is None:
        return None
    form = {"grant_type": "authorization_code", "code": code}
    try:
        answer = _ask(issuer, "token_endpoint", vouched.client_id, form)
        said = jwt.decode(str(answer.get("id_token")), options={"verify_signature": False})
    except (NotFetched, Unavailable, PyJWTError, ValueError, RecursionError) as error:
        log.warning("an authorization code was not exchanged: %s", type(error).__name__)
        return None
    token = answer.get("refresh_token")
    if said.get("sub") != vouched.subject or not isinstance(token, str):
        log.warning("an authorization code was not exchanged: it is another person's")
        return None
    return token


def init_app(app: Flask) -> None:
    app.extensions[REVOKING] = settle


def settle(names: list[str] | None = None) -> tuple[int, int]:
    """Revoke what was noted, all or `names`: (how many were, how many are left). What nobody has
    taken for 30 days is given up, and said in the log."""
    which = ROWS.c.id.in_(names) if names is not None else ROWS.c.id != ""
    if names == []:
        return 0, 0
    with snapshot(db.engine) as connection:
        rows = connection.execute(select(ROWS).where(which)).all()
    done = 0
    for row in rows:
        is_late = row.created_at < utc_now() - GIVEN_UP
        if _is_revoked(row.provider, row.client_id, row.refresh_token):
            done += 1
        elif is_late:
            log.error("%s has not taken a revocation for 30 days: given up", row.provider)
        else:
            continue
        with writing(db.engine) as connection:
            connection.execute(delete(ROWS).where(ROWS.c.id == row.id))
    return done, len(rows) - done


def _is_revoked(provider: str, client_id: str, refresh_token: str) -> bool:
    issuer = issuers().get(provider)
    if issuer is None:
        return False
    try:
        _revoke(issuer, client_id, refresh_token)
    except (NotFetched, Unavailable) as error:
        log.warning("%s did not take a revocation: %s", provider, type(error).__name__)
        return False
    return True


def _revoke(issuer: Issuer, client_id: str, refresh_token: str) -> None:
    """Raises NotFetched, Unavailable where Apple did not take it."""
    form = {"token": refresh_token, "token_type_hint": "refresh_token"}
    _ask(issuer, "revocation_endpoint", client_id, form)


def _ask(issuer: Issuer, name: str, client_id: str, form: dict[str, str]) -> dict[str, object]:
    where = issuer.endpoint(name)
    if not isinstance(where, str):
        raise NotFetched(f"its document has no {name}")
    form |= {"client_id": client_id, "client_secret": _secret(issuer, client_id)}
    with waiting.seat():
        return fetching.post(where, form, loopback=issuer.loopback)


def _secret(issuer: Issuer, client_id: str) -> str:
    """Apple, "Creating a client secret"."""
    key, now = issuer.provider.key, int(time.time())
    if key is None:
        raise NotFetched("OIDC_APPLE_PRIVATE_KEY is not set")
    claims = {"iss": key.team_id, "iat": now, "exp": now + SECRET_SECONDS}
    claims |= {"aud": issuer.provider.issuer, "sub": client_id}
    return jwt.encode(claims, key.private_key, algorithm="ES256", headers={"kid": key.key_id})
