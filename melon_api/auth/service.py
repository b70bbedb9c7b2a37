"""Opening an account, signing in, refreshing. Knows no HTTP; each call is its own transaction."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery, tokens
from melon_api.auth.accounts import Caller, change, lock_account_where, unique_address
from melon_api.auth.sessions import Device, invalidate, open_session
from melon_api.auth.tokens import TokenPair
from melon_api.errors import (
    AccountDisabled,
    InvalidCredentials,
    TokenInvalid,
    TokenRevoked,
)
from melon_api.models.base import db, utc_now
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.storage.transactions import Unit, snapshot, unit_of_work

REFRESH_GRACE = timedelta(seconds=30)  # contract, Accounts 2: a lost answer is answered again


@dataclass(frozen=True)
class SignedIn:
    user: User
    tokens: TokenPair
    session_id: str


def register(email: str, password: str, name: str | None, device: Device) -> SignedIn:
    """Open an account and sign its first device in. Raises ValidationFailed, EmailTaken."""
    hashed = passwords.hash_password(passwords.check_strength(password, email))

    def work(unit: Unit) -> SignedIn:
        user = User(email=email, password=hashed, name=name)
        unit.add(user)
        unit.flush()
        return SignedIn(user, *open_session(unit, user, device))

    with unique_address():
        answer = unit_of_work(work)
    record(Event.REGISTERED, answer.user.id, answer.session_id)
    recovery.send_verification(answer.user.id, email)
    return answer


def check_registration(body: dict[str, str | None]) -> None:
    """What `register` would refuse of a body, as far as it is known. Raises ValidationFailed."""
    if password := body.get("password"):
        passwords.check_strength(password, body.get("email") or "")


def login(email: str, password: str, device: Device) -> SignedIn:
    """Sign a device in. Raises InvalidCredentials, AccountDisabled (to the right password only)."""
    with snapshot(db.engine) as connection:
        query = select(User.id, User.password).where(User.email == email)
        user_id, stored = connection.execute(query).one_or_none() or (None, None)
    if not passwords.verify(stored, password) or stored is None:
        record(Event.SIGN_IN_FAILED, user_id, reason="password" if user_id else "address")
        raise InvalidCredentials
    better = passwords.rehashed(stored, password)

    def work(unit: Unit) -> SignedIn:
        # Held, and asked for what was verified: or a sign-in by an old password could slip past
        # the change that ends all of them.
        user = lock_account_where(unit, User.id == user_id, User.password == stored)
        if user is None:
            raise InvalidCredentials
        if not user.is_active:
            raise AccountDisabled
        if better:
            change(user, password=better)
        return SignedIn(user, *open_session(unit, user, device))

    try:
        answer = unit_of_work(work)
    except AccountDisabled:
        record(Event.SIGN_IN_FAILED, user_id, reason="disabled")
        raise
    record(Event.SIGNED_IN, answer.user.id, answer.session_id)
    return answer


def refresh(caller: Caller, token: str, generation: int) -> TokenPair:
    """Rotate a refresh token. Raises TokenRevoked for one already used; its session then ends.

    Its direct predecessor is answered with the same successor for `REFRESH_GRACE`: a phone lost the
    answer, or refreshed twice at once (contract, Accounts 2).
    """
    pair = unit_of_work(lambda unit: _refresh(unit, caller, token, generation))
    if pair is None:
        record(Event.TOKEN_REUSED, caller.user_id, caller.session_id)
        raise TokenRevoked("This refresh token has been used before; the session has been ended.")
    return pair


def _refresh(unit: Unit, caller: Caller, token: str, generation: int) -> TokenPair | None:
    """None when the token was used before; the session's end is committed all the same."""
    session = unit.get(Session, caller.session_id, with_for_update=True)
    now = utc_now()
    if session is None or session.revoked_at or session.expires_at <= now:
        raise TokenRevoked
    if tokens.digest(token) == session.refresh_hash:
        session.generation += 1
        session.rotated_at = session.last_used_at = now
        session.refresh_hash = tokens.digest(tokens.refresh_token(session))
        return tokens.token_pair(session)
    if generation >= session.generation:
        raise TokenInvalid("This is not the session's refresh token.")
    if generation == session.generation - 1 and now - session.rotated_at <= REFRESH_GRACE:
        return tokens.token_pair(session)
    session.revoked_at = now
    invalidate(caller.user_id, [caller.session_id])
    return None
