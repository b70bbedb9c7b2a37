"""The caller's own account."""

from dataclasses import dataclass

from sqlalchemy import select

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery
from melon_api.auth.accounts import (
    Caller,
    Profile,
    change,
    lock_account,
    unique_address,
)
from melon_api.auth.sessions import SignIn, sign_ins
from melon_api.errors import TokenRevoked, ValidationFailed
from melon_api.models.base import db
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.refusals import Refusals
from melon_api.storage.transactions import Unit, retrying, snapshot, unit_of_work
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.sync.sql.first_pull import read_living
from melon_api.users.deletion import NOT_THE_PASSWORD, erase


@dataclass(frozen=True)
class Export:
    user: Profile
    sessions: list[SignIn]
    records: ChangesText  # all under `created`


def profile(caller: Caller) -> Profile:
    """The account, as of this request."""
    if caller.profile is None:
        raise TokenRevoked("This account does not exist any more.")
    return caller.profile


def change_profile(caller: Caller, changes: dict[str, str | None]) -> Profile:
    """Change `name`, `email` or both. Raises ValidationFailed, EmailTaken.

    A new address needs `current_password`, so that a borrowed phone cannot take the account over;
    the old address is told, the new one asked to be confirmed.
    """
    stored = check_profile(caller, changes)

    def work(unit: Unit) -> tuple[str, Profile]:
        user = lock_account(unit, caller.user_id)
        before = user.email
        if stored is not None:
            _still(user, stored)
        if "name" in changes:
            change(user, name=changes["name"])
        if (email := changes.get("email")) and email != before:
            change(user, email=email, email_verified_at=None)
            recovery.forget_tokens(unit, user.id, recovery.RESET, recovery.VERIFY)
        unit.flush()
        return before, Profile.of(user)

    with unique_address():
        before, now = unit_of_work(work)
    if now.email != before:
        record(Event.EMAIL_CHANGED, caller.user_id, caller.session_id)
        recovery.notify("email_changed", before)
        recovery.send_verification(caller.user_id, now.email)
    return now


def check_profile(caller: Caller, changes: dict[str, str | None]) -> str | None:
    """The stored hash where a change needs the password. Raises ValidationFailed."""
    if "email" not in changes:
        return None
    return check_password(caller, changes.get("current_password"))


def change_password(caller: Caller, current: str, new: str) -> None:
    """Set a new password and sign every other device out. Raises ValidationFailed."""
    strong, stored = check_change(caller, current, new)
    hashed = passwords.hash_password(strong)

    def work(unit: Unit) -> str:
        user = lock_account(unit, caller.user_id)
        _still(user, stored)
        recovery.replace_password(unit, user, hashed, Session.id != caller.session_id)
        return user.email

    email = unit_of_work(work)
    record(Event.PASSWORD_CHANGED, caller.user_id, caller.session_id)
    recovery.notify("password_changed", email)


def check_change(caller: Caller, current: str | None, new: str | None) -> tuple[str, str]:
    """The new password as it will be hashed, the stored hash of the old one.

    None is what was refused already. Raises ValidationFailed for all that is wrong.
    """
    refusals, strong, stored = Refusals(), "", ""
    if new is not None:
        with refusals.noted():
            strong = passwords.check_strength(new, profile(caller).email, "new_password")
    with refusals.noted():
        stored = check_password(caller, current)
    refusals.raise_any()
    return strong, stored


def delete_account(caller: Caller, password: str) -> None:
    """The account and all its data, gone for good. Raises ValidationFailed for a wrong password."""
    stored = check_password(caller, password, "password")
    retrying(lambda: erase(db.engine, caller.user_id, stored))
    record(Event.DELETED, caller.user_id, caller.session_id)


def export(caller: Caller) -> Export:
    """Everything that is stored of the caller, as of one moment; `records` are to be closed."""
    with snapshot(db.engine) as connection:
        records = read_living(connection, synced_tables(), caller.user_id)
    record(Event.EXPORTED, caller.user_id, caller.session_id)
    return Export(profile(caller), sign_ins(caller, ended=True), records)


def check_password(caller: Caller, password: str | None, field: str = "current_password") -> str:
    """The stored hash, if the password is right.

    Raises ValidationFailed: a 401 would send the app to its refresh (contract, Accounts 8).
    """
    if not password:
        raise ValidationFailed({field: ["Missing data for required field."]})
    with snapshot(db.engine) as connection:
        stored = connection.scalar(select(User.password).where(User.id == caller.user_id))
    if stored is None:
        raise TokenRevoked("This account does not exist any more.")
    if not passwords.verify(stored, password):
        record(Event.PASSWORD_REFUSED, caller.user_id, caller.session_id)
        raise ValidationFailed({field: [NOT_THE_PASSWORD]})
    return stored


def _still(user: User, stored: str) -> None:
    """Raises ValidationFailed when the password was changed since it was checked."""
    if user.password != stored:
        raise ValidationFailed({"current_password": [NOT_THE_PASSWORD]})
