"""Guests: accounts of whoever has not said yet who they are, and how one becomes somebody's.

A guest has no address, no password and no identity (contract, Accounts 18): its sessions are all
that leads into it.
"""

from typing import Any

from melon_api.audit import Event, record
from melon_api.auth import passwords, recovery
from melon_api.auth.accounts import Caller, Profile, change, lock_caller, unique_address
from melon_api.auth.sessions import Device, SignedIn, open_session
from melon_api.errors import Forbidden
from melon_api.models.user import NO_PASSWORD, User
from melon_api.passwordless.sentences import NO_GUEST
from melon_api.storage.transactions import Unit, unit_of_work


def open_guest(name: str | None, device: Device) -> SignedIn:
    """Open an account of nobody known, and sign its only device in."""

    def work(unit: Unit) -> SignedIn:
        user = User(email=None, password=NO_PASSWORD, name=name)
        unit.add(user)
        unit.flush()
        return SignedIn(Profile.of(user), *open_session(unit, user.id, device))

    answer = unit_of_work(work)
    record(Event.REGISTERED, answer.user.id, answer.session_id, way="guest")
    return answer


def check_upgrade(body: dict[str, str | None]) -> None:
    """What `upgrade` would refuse of a body, as far as it is known. Raises ValidationFailed."""
    if password := body.get("password"):
        passwords.check_strength(password, body.get("email") or "")


def upgrade(caller: Caller, body: dict[str, Any]) -> Profile:
    """Give a guest an address, and what else the body holds: it keeps its id, sessions and records.
    The address is asked to be confirmed. Raises ValidationFailed, Forbidden, EmailTaken."""
    email, password = body["email"], body.get("password")
    strong = password and passwords.check_strength(password, email)
    if caller.profile is None or not caller.profile.is_guest:
        raise Forbidden(NO_GUEST)
    values = {"email": email} | ({"name": body["name"]} if "name" in body else {})
    values |= {"password": passwords.hash_password(strong)} if strong else {}

    def work(unit: Unit) -> Profile:
        user = lock_caller(unit, caller)
        if not Profile.of(user).is_guest:
            raise Forbidden(NO_GUEST)
        change(user, **values)
        unit.flush()
        return Profile.of(user)

    with unique_address():
        upgraded = unit_of_work(work)
    record(Event.UPGRADED, caller.user_id, caller.session_id)
    recovery.send_verification(caller.user_id, email)
    return upgraded
