"""The caller's own account."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery
from melon_api.auth.accounts import (
    Caller,
    Profile,
    change,
    lock_caller,
    unique_address,
)
from melon_api.auth.sessions import SignIn, sign_ins
from melon_api.errors import TokenRevoked
from melon_api.models.base import db
from melon_api.models.session import Session
from melon_api.models.space import OWNER
from melon_api.passwordless import proofs
from melon_api.passwordless.proofs import Proof
from melon_api.refusals import Refusals
from melon_api.spaces.access import SharedSpace, spaces_of
from melon_api.storage.transactions import Unit, reading, unit_of_work
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.sync.sql.first_pull import read_living
from melon_api.users.deletion import end_account

CURRENT = "current_password"


@dataclass(frozen=True)
class Export:
    user: Profile
    sessions: list[SignIn]
    spaces: list[SharedSpace]
    records: ChangesText  # all under `created`


def profile(caller: Caller) -> Profile:
    """The account, as of this request."""
    if caller.profile is None:
        raise TokenRevoked("This account does not exist any more.")
    return caller.profile


def change_profile(caller: Caller, changes: dict[str, Any]) -> Profile:
    """Change `name`, `email` or both. Raises ValidationFailed, EmailTaken.

    A new address needs a proof, so that a borrowed phone cannot take the account over; the old
    address is told, the new one asked to be confirmed.
    """
    proof = check_profile(caller, changes)

    def work(unit: Unit) -> tuple[str | None, Profile]:
        user = lock_caller(unit, caller)
        before = user.email
        if proof is not None:
            proof.confirm(unit.connection())
        if "name" in changes:
            change(user, name=changes["name"])
        if (email := changes.get("email")) and email != before:
            change(user, email=email, email_verified_at=None)
            recovery.forget_tokens(unit, user.id, recovery.RESET, recovery.VERIFY)
        unit.flush()
        return before, Profile.of(user)

    with unique_address():
        before, now = unit_of_work(work)
    if now.email is not None and now.email != before:
        record(Event.EMAIL_CHANGED, caller.user_id, caller.session_id)
        recovery.notify("email_changed", before)
        recovery.send_verification(caller.user_id, now.email)
    return now


def check_profile(caller: Caller, changes: dict[str, Any]) -> Proof | None:
    """The proof where a change needs one. Raises ValidationFailed."""
    return proofs.check(caller, changes, CURRENT) if "email" in changes else None


def change_password(caller: Caller, body: dict[str, Any]) -> None:
    """Set a new password and sign every other device out. Raises ValidationFailed."""
    strong, proof = check_change(caller, body)
    hashed = passwords.hash_password(strong)

    def work(unit: Unit) -> str | None:
        user = lock_caller(unit, caller)
        proof.confirm(unit.connection())
        recovery.replace_password(unit, user, hashed, Session.id != caller.session_id)
        return user.email

    email = unit_of_work(work)
    record(Event.PASSWORD_CHANGED, caller.user_id, caller.session_id)
    recovery.notify("password_changed", email)


def check_change(caller: Caller, body: dict[str, Any]) -> tuple[str, Proof]:
    """The new password as it will be hashed, and what proves that it may be changed.

    None is what was refused already. Raises ValidationFailed for all that is wrong.
    """
    refusals, strong, proof = Refusals(), "", proofs.NOTHING
    if (new := body.get("new_password")) is not None:
        with refusals.noted():
            strong = passwords.check_strength(new, profile(caller).email or "", "new_password")
    with refusals.noted():
        proof = proofs.check(caller, body, CURRENT)
    refusals.raise_any()
    return strong, proof


def delete_account(caller: Caller, body: dict[str, Any]) -> None:
    """The account and all its data, gone for good. Raises ValidationFailed where nothing proves
    whose it is."""
    proof = proofs.check(caller, body, "password")
    end_account(caller.user_id, proof.confirm)
    record(Event.DELETED, caller.user_id, caller.session_id)


def export(caller: Caller) -> Export:
    """Everything that is stored of the caller, as of one moment; `records` are to be closed."""

    def work(connection: Connection) -> tuple[list[SharedSpace], ChangesText]:
        spaces = spaces_of(connection, caller.user_id)
        owned = (space.id for space in spaces if space.role == OWNER)
        return spaces, read_living(connection, synced_tables(), caller.user_id, *owned)

    spaces, records = reading(db.engine, work)
    record(Event.EXPORTED, caller.user_id, caller.session_id)
    return Export(profile(caller), sign_ins(caller, ended=True), spaces, records)
