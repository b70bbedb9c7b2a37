"""Opening an account, signing in, refreshing. Knows no HTTP; each call is its own transaction."""

from datetime import timedelta

from sqlalchemy import bindparam, select

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery, tokens
from melon_api.auth.accounts import (
    PROFILE_COLUMNS,
    Caller,
    Profile,
    change,
    lock_account,
    unique_address,
)
from melon_api.auth.passwords.decoys import stored_for
from melon_api.auth.sessions import Device, SignedIn, invalidate, open_session
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

LOGIN_ATTEMPTS = 3  # another sign-in, at the same time, may have renewed the hash
REFRESH_GRACE = timedelta(seconds=30)  # contract, Accounts 2: a lost answer is answered again
# Held, and asked for what was verified: or a sign-in by an old password could slip past the change
# that ends all of them.
USERS = User.__table__.c
_IS_VERIFIED = (USERS.id == bindparam("id"), USERS.password == bindparam("password"))
VERIFIED = select(*PROFILE_COLUMNS).where(*_IS_VERIFIED).with_for_update()


def register(email: str, password: str, name: str | None, device: Device) -> SignedIn:
    """Open an account and sign its first device in. Raises ValidationFailed, EmailTaken."""
    hashed = passwords.hash_password(passwords.check_strength(password, email))

    def work(unit: Unit) -> SignedIn:
        user = User(email=email, password=hashed, name=name)
        unit.add(user)
        unit.flush()
        return SignedIn(Profile.of(user), *open_session(unit, user.id, device))

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
    for _ in range(LOGIN_ATTEMPTS):
        with snapshot(db.engine) as connection:
            found = stored_for(connection, email)
        is_it = passwords.verify(found.password, password, found.decoy)
        if not is_it or found.user_id is None or found.password is None:
            reason = "password" if found.user_id else "address"
            record(Event.SIGN_IN_FAILED, found.user_id, reason=reason)
            raise InvalidCredentials
        if answer := _sign_in(found.user_id, found.password, password, device):
            record(Event.SIGNED_IN, answer.user.id, answer.session_id)
            return answer
    raise InvalidCredentials


def _sign_in(user_id: str, stored: str, password: str, device: Device) -> SignedIn | None:
    """By a password that was checked against `stored`; None when that is there no more. Raises
    AccountDisabled."""
    better = passwords.rehashed(stored, password)

    def work(unit: Unit) -> SignedIn | None:
        row = unit.execute(VERIFIED, {"id": user_id, "password": stored}).one_or_none()
        if row is None:
            return None
        if not row.is_active:
            raise AccountDisabled
        if better:
            change(lock_account(unit, row.id), password=better)
        return SignedIn(Profile.of(row), *open_session(unit, row.id, device))

    try:
        return unit_of_work(work)
    except AccountDisabled:
        record(Event.SIGN_IN_FAILED, user_id, reason="disabled")
        raise


def refresh(caller: Caller, token: str, generation: int) -> TokenPair:
    """Rotate a refresh token. Raises TokenRevoked for one already used; its session then ends.

    Its direct predecessor is answered with the same successor for `REFRESH_GRACE`, and for as long
    as nothing of that answer has been used: a phone lost it, or refreshed twice at once (contract,
    Accounts 2).
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
        if session.used_generation is None:
            session.used_generation = session.generation
        session.generation += 1
        session.rotated_at = session.last_used_at = now
        return tokens.new_pair(session)
    if generation >= session.generation:
        raise TokenInvalid("This is not the session's refresh token.")
    used = session.used_generation
    is_unused = used is not None and used < session.generation
    is_late = now - session.rotated_at > REFRESH_GRACE
    if generation == session.generation - 1 and (is_unused or not is_late):
        return tokens.token_pair(session)
    session.revoked_at = now
    invalidate(caller.user_id, [caller.session_id])
    return None
