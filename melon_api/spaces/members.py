"""The members of a space: who they are, in which role, and that they go."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from melon_api.audit import Event, record
from melon_api.auth.accounts import Caller
from melon_api.errors import Forbidden, LastOwner, NotFound
from melon_api.models.base import db
from melon_api.models.space import OWNER, Membership
from melon_api.models.user import User
from melon_api.spaces.access import check_member, check_owner, is_last_owner, role_in
from melon_api.spaces.changing import Held, Wanted, changing, give_role, leave
from melon_api.storage.transactions import retrying, snapshot

NO_MEMBER = "There is no such member of this space."
_members = Membership.__table__.c


@dataclass(frozen=True)
class Member:
    """As the others see it: by its name, never by its address."""

    user_id: str
    name: str | None
    role: str
    joined_at: datetime


def list_members(caller: Caller, space_id: str) -> list[Member]:
    """The one who has been in it longest first. Raises NotFound."""
    with snapshot(db.engine) as connection:
        check_member(connection, caller.user_id, space_id)
        query = _select(space_id).order_by(_members.joined_at, _members.user_id)
        return [Member(*row) for row in connection.execute(query)]


def set_role(caller: Caller, space_id: str, user_id: str, role: str) -> Member:
    """Raises NotFound, Forbidden, LastOwner. The same role again changes nothing."""

    def plan(connection: Connection) -> Wanted:
        check_owner(connection, caller.user_id, space_id)
        _check_target(connection, user_id, space_id)
        return _about(user_id, space_id)

    def work(held: Held) -> tuple[Member, bool]:
        before = role_in(held.connection, user_id, space_id)
        if before != role:
            _check_owned(held.connection, before, user_id, space_id)
            give_role(held, user_id, space_id, role)
        query = _select(space_id).where(_members.user_id == user_id)
        return Member(*held.connection.execute(query).one()), before != role

    member, is_changed = retrying(lambda: changing(db.engine, plan, work))
    if is_changed:
        facts = {"space_id": space_id, "member_id": user_id, "role": role}
        record(Event.ROLE_CHANGED, caller.user_id, caller.session_id, **facts)
    return member


def remove(caller: Caller, space_id: str, user_id: str) -> None:
    """Somebody goes, by itself or because an owner wants it. Raises NotFound, Forbidden,
    LastOwner."""

    def plan(connection: Connection) -> Wanted:
        role = check_member(connection, caller.user_id, space_id)
        if role != OWNER and user_id != caller.user_id:
            raise Forbidden
        _check_target(connection, user_id, space_id)
        return _about(user_id, space_id)

    def work(held: Held) -> None:
        role = role_in(held.connection, user_id, space_id)
        _check_owned(held.connection, role, user_id, space_id)
        leave(held, user_id, space_id)

    retrying(lambda: changing(db.engine, plan, work))
    facts = {"space_id": space_id, "member_id": user_id}
    record(Event.MEMBER_LEFT, caller.user_id, caller.session_id, **facts)


def _about(user_id: str, space_id: str) -> Wanted:
    return Wanted(frozenset({user_id}), frozenset({space_id}))


def _check_target(connection: Connection, user_id: str, space_id: str) -> None:
    """Raises NotFound."""
    if role_in(connection, user_id, space_id) is None:
        raise NotFound(NO_MEMBER)


def _check_owned(connection: Connection, role: str | None, user_id: str, space_id: str) -> None:
    """Whether it still is without this one as its owner. Raises LastOwner."""
    if role == OWNER and is_last_owner(connection, user_id, space_id):
        raise LastOwner


def _select(space_id: str) -> Select[Any]:
    """What a Member has, of those that are in it."""
    here = (_members.space_id == space_id, _members.left_tick.is_(None))
    people = User.__table__.c
    return (
        select(_members.user_id, people.name, _members.role, _members.joined_at)
        .join(User, people.id == _members.user_id)
        .where(*here)
    )
