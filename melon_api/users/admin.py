"""What an operator may do to accounts; seen by every worker at once, like all changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery
from melon_api.auth.accounts import change, lock_account, unique_address
from melon_api.auth.sessions import end, is_usable, named
from melon_api.errors import NotFound
from melon_api.models.base import db, utc_now
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.storage.transactions import Unit, snapshot, unit_of_work
from melon_api.users.deletion import end_account

ACCOUNTS_PER_QUERY = 500


@dataclass(frozen=True)
class Overview:
    """An account in a list; `sessions` that can still be used."""

    id: str
    email: str | None
    is_active: bool
    is_verified: bool
    created_at: datetime
    sessions: int


def overview(text: str = "", *, only_inactive: bool = False) -> Iterator[Overview]:
    """Every account whose address or name holds `text`, by address; at the end those without."""
    for key, which in ((User.email, User.email.is_not(None)), (User.id, User.email.is_(None))):
        last = ""
        while page := _page(key, which & (key > last), text, only_inactive):
            yield from page
            last = (page[-1].id if key is User.id else page[-1].email) or ""


def _page(key: Any, which: ColumnElement[bool], text: str, only_inactive: bool) -> list[Overview]:
    usable = select(func.count()).where(Session.user_id == User.id, is_usable()).scalar_subquery()
    verified = User.email_verified_at.is_not(None)
    query = select(User.id, User.email, User.is_active, verified, User.created_at, usable)
    query = query.where(which).order_by(key).limit(ACCOUNTS_PER_QUERY)
    if text:
        columns = (User.email, func.lower(User.name))
        holds = (column.contains(text.lower(), autoescape=True) for column in columns)
        query = query.where(or_(*holds))
    if only_inactive:
        query = query.where(User.is_active.is_(False))
    with snapshot(db.engine) as connection:
        return [Overview(*row) for row in connection.execute(query)]


def create(email: str, password: str, name: str | None, *, is_verified: bool) -> str:
    """Open an account without signing anybody in: its id. Raises ValidationFailed, EmailTaken."""
    hashed = passwords.hash_password(passwords.check_strength(password, email))
    user = User(email=email, password=hashed, name=name)
    user.email_verified_at = utc_now() if is_verified else None
    with unique_address():
        unit_of_work(lambda unit: unit.add(user))
    record(Event.REGISTERED, user.id)
    return user.id


def set_active(user_id: str, *, is_active: bool) -> None:
    """Let an account in or not; its sessions stay, for the day when it may again."""
    unit_of_work(lambda unit: change(lock_account(unit, user_id), is_active=is_active))
    record(Event.ACTIVATED if is_active else Event.DEACTIVATED, user_id)


def set_password(user_id: str, password: str) -> None:
    """Set a new password and sign every device out. Raises ValidationFailed."""
    with snapshot(db.engine) as connection:
        known = connection.scalar(select(User.email).where(User.id == user_id)) or ""
    hashed = passwords.hash_password(passwords.check_strength(password, known))

    def work(unit: Unit) -> str | None:
        user = lock_account(unit, user_id)
        recovery.replace_password(unit, user, hashed)
        return user.email

    email = unit_of_work(work)
    record(Event.PASSWORD_CHANGED, user_id)
    recovery.notify("password_changed", email)


def delete(user_id: str) -> None:
    """The account and all its data, gone for good."""
    end_account(user_id)
    record(Event.DELETED, user_id)


def end_sessions(user_id: str, session_id: str | None = None) -> int:
    """Sign one device out, or all; how many. Raises NotFound for one that is not signed in."""
    which = None if session_id is None else named(session_id)

    def work(unit: Unit) -> list[str]:
        lock_account(unit, user_id)
        return end(unit, user_id, which)

    ended = unit_of_work(work)
    if session_id is not None and not ended:
        raise NotFound(f"There is no such session: {session_id}.")
    record(Event.SESSIONS_REVOKED, user_id, session_id, count=len(ended))
    return len(ended)
