"""The caller's own account."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from melon_api.auth import passwords
from melon_api.auth.service import Caller, SignIn, end_sessions, sign_ins
from melon_api.database import retrying, snapshot, unit_of_work, writing
from melon_api.errors import EmailTaken, TokenRevoked, ValidationFailed
from melon_api.extensions import db
from melon_api.models.session import Session as SignedInDevice
from melon_api.models.synced import SyncPush
from melon_api.models.user import User
from melon_api.sync import changes, clock
from melon_api.sync.tables import synced_tables


@dataclass(frozen=True)
class Export:
    user: User
    sessions: list[SignIn]
    records: dict[str, list[dict[str, Any]]]


def profile(caller: Caller) -> User:
    """The account. Raises TokenRevoked when it is gone."""
    return _found(db.session.get(User, caller.user_id))


def change_profile(caller: Caller, changes: dict[str, str | None]) -> User:
    """Change `name`, `email` or both. Raises ValidationFailed, EmailTaken.

    A new address needs `current_password`, so that a borrowed phone cannot take the account over.
    """
    if "email" in changes:
        check_password(caller, changes.get("current_password"))

    def work(unit: Session) -> User:
        user = _found(unit.get(User, caller.user_id))
        if "name" in changes:
            user.name = changes["name"]
        if email := changes.get("email"):
            user.email = email
        return user

    try:
        return unit_of_work(work)
    except IntegrityError:
        raise EmailTaken("There is an account with this e-mail address already.") from None


def change_password(caller: Caller, current: str, new: str) -> None:
    """Set a new password and sign every other device out. Raises ValidationFailed."""
    check_password(caller, current)
    hashed = passwords.hash_password(passwords.check_strength(new, "new_password"))

    def work(unit: Session) -> None:
        _found(unit.get(User, caller.user_id)).password = hashed
        end_sessions(unit, caller.user_id, but=caller.session_id)

    unit_of_work(work)


def delete_account(caller: Caller, password: str) -> None:
    """The account and all its data, gone for good. Raises ValidationFailed for a wrong password."""
    check_password(caller, password, "password")
    retrying(lambda: erase(db.engine, caller.user_id))


def erase(engine: Engine, user_id: str) -> None:
    """Everything that is stored of an account, in one transaction."""
    with writing(engine) as connection:
        clock.lock(connection, user_id)
        changes.delete_all(connection, synced_tables().values(), user_id)
        for model in (SyncPush, SignedInDevice):
            connection.execute(delete(model).where(model.user_id == user_id))
        connection.execute(delete(User).where(User.id == user_id))


def export(caller: Caller) -> Export:
    """Everything that is stored of the caller, as of one moment."""
    with snapshot(db.engine) as connection:
        records = {
            name: changes.living_records(connection, table, caller.user_id)
            for name, table in synced_tables().items()
        }
    return Export(profile(caller), sign_ins(caller), records)


def check_password(caller: Caller, password: str | None, field: str = "current_password") -> None:
    """Raises ValidationFailed: a 401 would send the app to its refresh (contract, Accounts)."""
    if not password:
        raise ValidationFailed({field: ["Missing data for required field."]})
    stored = profile(caller).password
    db.session.rollback()  # no connection is held while the password is hashed
    if not passwords.verify(stored, password):
        raise ValidationFailed({field: ["This is not the account's password."]})


def _found(user: User | None) -> User:
    if user is None:
        raise TokenRevoked("This account does not exist any more.")
    return user
