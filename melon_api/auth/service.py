"""Signing in and out. Knows no HTTP; every function runs its own transaction."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from melon_api.auth import passwords, tokens
from melon_api.auth.tokens import TokenPair
from melon_api.database import snapshot, unit_of_work
from melon_api.errors import (
    AccountDisabled,
    EmailTaken,
    InvalidCredentials,
    NotFound,
    TokenInvalid,
    TokenRevoked,
)
from melon_api.extensions import db
from melon_api.models.base import utc_now
from melon_api.models.session import LABEL_LENGTH, Session
from melon_api.models.user import User, new_id

WRONG = "The e-mail address or the password is wrong."
REFRESH_GRACE = timedelta(seconds=30)  # contract, Accounts: a lost answer is answered again


@dataclass(frozen=True)
class Device:
    """What a phone says of itself when it signs in; `key` is the contract's `device_id`."""

    key: str | None = None
    name: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class Caller:
    """Who makes a request. The account's id is the token's; `device` is the session's, as the
    number that records carry (see `device_number`)."""

    user_id: str
    session_id: str
    device: int


@dataclass(frozen=True)
class SignedIn:
    user: User
    tokens: TokenPair


def register(email: str, password: str, name: str | None, device: Device) -> SignedIn:
    """Open an account and sign its first device in. Raises ValidationFailed, EmailTaken."""
    hashed = passwords.hash_password(passwords.check_strength(password))

    def work(unit: Unit) -> SignedIn:
        user = User(email=email, password=hashed, name=name)
        unit.add(user)
        unit.flush()
        return SignedIn(user, _open_session(unit, user, device))

    try:
        return unit_of_work(work)
    except IntegrityError:
        raise EmailTaken("There is an account with this e-mail address already.") from None


def login(email: str, password: str, device: Device) -> SignedIn:
    """Sign a device in. Raises InvalidCredentials, AccountDisabled (to the right password only)."""
    with snapshot(db.engine) as connection:
        stored = connection.scalar(select(User.password).where(User.email == email))
    if not passwords.verify(stored, password) or stored is None:
        raise InvalidCredentials(WRONG)
    better = passwords.rehashed(stored, password)

    def work(unit: Unit) -> SignedIn:
        same = (User.email == email, User.password == stored)  # what was verified
        user = unit.scalar(select(User).where(*same))
        if user is None:
            raise InvalidCredentials(WRONG)
        if not user.is_active:
            raise AccountDisabled("This account has been disabled.")
        user.password = better or stored
        return SignedIn(user, _open_session(unit, user, device))

    try:
        return unit_of_work(work)
    except IntegrityError:  # deleted at this very moment
        raise InvalidCredentials(WRONG) from None


def refresh(caller: Caller, token: str, generation: int) -> TokenPair:
    """Rotate a refresh token. Raises TokenRevoked for one already used; its session then ends.

    Its direct predecessor is answered with the same successor for `REFRESH_GRACE`: a phone lost the
    answer, or refreshed twice at once (contract, Accounts).
    """
    pair = unit_of_work(lambda unit: _refresh(unit, caller, token, generation))
    if pair is None:
        raise TokenRevoked("This refresh token has been used before; the session has been ended.")
    return pair


def _refresh(unit: Unit, caller: Caller, token: str, generation: int) -> TokenPair | None:
    """None when the token was used before; the session's end is committed all the same."""
    session = unit.get(Session, caller.session_id, with_for_update=True)
    now = utc_now()
    if session is None or session.revoked_at or session.expires_at <= now:
        raise TokenRevoked("This session has ended.")
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
    return None


def logout(caller: Caller) -> None:
    """Sign this device out; its tokens stop working at once."""
    own = update(Session).where(Session.id == caller.session_id)
    unit_of_work(lambda unit: unit.execute(own.values(revoked_at=utc_now())))


def logout_all(caller: Caller) -> None:
    """Sign every device out."""
    unit_of_work(lambda unit: end_sessions(unit, caller.user_id))


def end_sessions(unit: Unit, user_id: str, but: str | None = None) -> None:
    """Revoke all living sessions of an account, or all `but` one, in the caller's transaction."""
    living = (Session.user_id == user_id, Session.revoked_at.is_(None))
    others = () if but is None else (Session.id != but,)
    unit.execute(update(Session).where(*living, *others).values(revoked_at=utc_now()))


@dataclass(frozen=True)
class SignIn:
    """A device that is signed in, as its owner sees it; `current` is the one that asks."""

    id: str
    device_name: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    current: bool


def sign_ins(caller: Caller) -> list[SignIn]:
    """The account's sessions that can still be used, the newest first."""
    query = select(Session).where(
        Session.user_id == caller.user_id,
        Session.revoked_at.is_(None),
        Session.expires_at > utc_now(),
    )
    query = query.order_by(Session.created_at.desc(), Session.id)
    return [_sign_in(session, caller) for session in db.session.scalars(query)]


def _sign_in(session: Session, caller: Caller) -> SignIn:
    return SignIn(
        id=session.id,
        device_name=session.device_name,
        user_agent=session.user_agent,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        current=session.id == caller.session_id,
    )


def end_session(caller: Caller, session_id: str) -> None:
    """Sign one of the account's devices out. Raises NotFound for one that is not the caller's."""
    own = (Session.id == session_id, Session.user_id == caller.user_id)
    living = (Session.revoked_at.is_(None), Session.expires_at > utc_now())
    ending = update(Session).where(*own, *living).values(revoked_at=utc_now())
    ended = unit_of_work(lambda unit: cast(CursorResult[Any], unit.execute(ending)).rowcount)
    if not ended:
        raise NotFound("There is no such session of yours.")


def authenticate(user_id: str, session_id: str) -> Caller:
    """The caller whom a verified token names. Raises TokenRevoked, AccountDisabled."""
    query = (
        select(Session.__table__.c["device", "revoked_at", "expires_at"], User.is_active)
        .join(User, User.id == Session.user_id)
        .where(Session.id == session_id, Session.user_id == user_id)
    )
    with snapshot(db.engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None or row.revoked_at is not None or row.expires_at <= utc_now():
        raise TokenRevoked("This session has ended.")
    if not row.is_active:
        raise AccountDisabled("This account has been disabled.")
    return Caller(user_id, session_id, device_number(row.device))


def device_number(key: str) -> int:
    """A device in 63 bits: records carry two of them, so it is short; one account's devices are
    far too few to share one by chance."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 1


def device_key(device_id: str | None, session_id: str) -> str:
    """The phone behind a session: named by the app, or this session alone. Two name spaces, so
    that an app's own id can never be that of somebody's session."""
    return f"d.{device_id}" if device_id else f"s.{session_id}"


def _open_session(unit: Unit, user: User, device: Device) -> TokenPair:
    session_id, now = new_id(), utc_now()
    session = Session(
        id=session_id,
        user_id=user.id,
        device=device_key(device.key, session_id),
        device_name=device.name,
        user_agent=device.user_agent[:LABEL_LENGTH] if device.user_agent else None,
        generation=0,
        rotated_at=now,
        created_at=now,
        last_used_at=now,
        expires_at=now + current_app.config["SESSION_LIFETIME"],
    )
    session.refresh_hash = tokens.digest(tokens.refresh_token(session))
    unit.add(session)
    return tokens.token_pair(session)
