"""How somebody comes in: by an invitation's token, once."""

from typing import Any

from flask import current_app
from sqlalchemy import Connection, Row, insert, select, update

from melon_api.audit import Event, record
from melon_api.auth.accounts import Caller
from melon_api.auth.tokens import digest
from melon_api.errors import EmailNotVerified, ValidationFailed
from melon_api.models.base import db, utc_now
from melon_api.models.space import Invitation, Membership
from melon_api.models.user import User
from melon_api.refusals import Refusals
from melon_api.spaces.access import SharedSpace, check_room, members_of, role_in, space_of
from melon_api.spaces.changing import Held, Wanted, changing
from melon_api.storage.transactions import retrying, snapshot

BAD_TOKEN = {"token": ["Unknown, used, too old, or somebody else's; ask for a new one."]}
NOT_CONFIRMED = "Confirm the e-mail address first that the invitation was sent to."
_invitations, _members = Invitation.__table__.c, Membership.__table__.c


def join(caller: Caller, token: str) -> SharedSpace:
    """The space that the token leads into. Who is in it already stays as it is, and the token is
    not used; nor is it by who repeats the call. Raises ValidationFailed, EmailNotVerified."""

    def plan(connection: Connection) -> Wanted:
        found = _found(connection, token)
        return Wanted(frozenset({caller.user_id}), frozenset({found.space_id}))

    def work(held: Held) -> tuple[SharedSpace, bool]:
        found = _found(held.connection, token)
        is_new = _check(held.connection, caller.user_id, found)
        if is_new:
            _enter(held, caller.user_id, found)
        return space_of(held.connection, caller.user_id, found.space_id), is_new

    space, is_new = retrying(lambda: changing(db.engine, plan, work))
    if is_new:
        facts = {"space_id": space.id, "role": space.role}
        record(Event.MEMBER_JOINED, caller.user_id, caller.session_id, **facts)
    return space


def check_join(caller: Caller, token: str | None) -> None:
    """What `join` would refuse as well; None is what was refused already. Raises
    ValidationFailed."""
    if token is None:
        return
    with snapshot(db.engine) as connection:
        try:
            _check(connection, caller.user_id, _found(connection, token))
        except EmailNotVerified:
            return  # a 403 comes only where there is no 422


def _found(connection: Connection, token: str) -> Row[Any]:
    """The invitation. Raises ValidationFailed; those of a deleted space are gone with it."""
    query = select(Invitation.__table__).where(_invitations.digest == digest(token))
    found = connection.execute(query).one_or_none()
    if found is None:
        raise ValidationFailed(BAD_TOKEN)
    return found


def _check(connection: Connection, user_id: str, invitation: Row[Any]) -> bool:
    """Whether there is anything to do. Raises ValidationFailed, EmailNotVerified."""
    is_in = role_in(connection, user_id, invitation.space_id) is not None
    if is_in and invitation.used_by == user_id:
        return False
    if invitation.used_by is not None or invitation.expires_at <= utc_now():
        raise ValidationFailed(BAD_TOKEN)
    if invitation.email is not None:
        _check_address(connection, user_id, invitation.email)
    if not is_in:
        _check_limits(connection, user_id, invitation.space_id)
    return not is_in


def _check_address(connection: Connection, user_id: str, email: str) -> None:
    """Whether it was sent to this account. Raises ValidationFailed, EmailNotVerified."""
    row = User.__table__.c
    query = select(row.email, row.email_verified_at).where(row.id == user_id)
    account = connection.execute(query).one_or_none()
    if account is None or account.email != email:
        raise ValidationFailed(BAD_TOKEN)
    if account.email_verified_at is None:
        raise EmailNotVerified(NOT_CONFIRMED)


def _check_limits(connection: Connection, user_id: str, space_id: str) -> None:
    """Raises ValidationFailed."""
    refusals, most = Refusals(), current_app.config["MAX_MEMBERS_PER_SPACE"]
    with refusals.noted():
        check_room(connection, user_id)
    if len(members_of(connection, space_id)) >= most:
        refusals.errors["members"] = [f"No space has more than {most}."]
    refusals.raise_any()


def _enter(held: Held, user_id: str, invitation: Row[Any]) -> None:
    """The account is a member from its clock's tick on; of one that was before, its row is."""
    space_id = invitation.space_id
    values = {
        "role": invitation.role,
        "joined_at": utc_now(),
        "joined_tick": held.tick(user_id),
        "joined_clock": held.space(space_id).sync_clock,
        "left_tick": None,
    }
    mine = (_members.user_id == user_id, _members.space_id == space_id)
    if not held.connection.execute(update(Membership).where(*mine).values(values)).rowcount:
        first = {"first_clock": values["joined_clock"]}
        row = values | first | {"user_id": user_id, "space_id": space_id}
        held.connection.execute(insert(Membership).values(row))
    used = update(Invitation).where(_invitations.id == invitation.id).values(used_by=user_id)
    held.connection.execute(used)
