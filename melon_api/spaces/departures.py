"""How a space ends, and what becomes of an account's spaces when it is deleted (contract, Spaces
7)."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from melon_api.audit import Event, record
from melon_api.auth.accounts import Caller
from melon_api.events import outbox
from melon_api.models.base import db, now_ms, utc_now
from melon_api.models.space import (
    EDITOR,
    OWNER,
    Invitation,
    Membership,
    Retelling,
    Space,
    SyncPoint,
)
from melon_api.models.user import CLOCK
from melon_api.spaces.access import check_owner, members_of
from melon_api.spaces.changing import Held, Wanted, changing, forget_tokens, give_role, leave
from melon_api.storage.cache import cache
from melon_api.storage.transactions import retrying
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import SERVER, History
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Problems
from melon_api.sync.sql import deletions

_members, _spaces = Membership.__table__.c, Space.__table__.c
_invitations = Invitation.__table__.c


def delete_space(caller: Caller, space_id: str) -> None:
    """End it for everybody. Raises NotFound, Forbidden."""

    def plan(connection: Connection) -> Wanted:
        check_owner(connection, caller.user_id, space_id)
        return Wanted(frozenset(members_of(connection, space_id)), frozenset({space_id}))

    retrying(lambda: changing(db.engine, plan, lambda held: end(held, space_id)))
    record(Event.SPACE_DELETED, caller.user_id, caller.session_id, space_id=space_id)


def end(held: Held, space_id: str) -> None:
    """Of a space that is locked, and all its members: its records are tombstones, everybody is out,
    no invitation works. Its row stays, so that its id is nobody else's."""
    connection = held.connection
    tick = _end_records(connection, space_id, held.space(space_id).sync_clock)
    values = {"deleted_at": utc_now(), "sync_clock": tick}
    connection.execute(update(Space).where(_spaces.id == space_id).values(values))
    for user_id in sorted(members_of(connection, space_id)):
        leave(held, user_id, space_id)
    connection.execute(delete(Invitation).where(_invitations.space_id == space_id))


def _end_records(connection: Connection, space_id: str, before: int) -> int:
    """All living records of a locked space become tombstones; the space's clock behind that, which
    was `before`."""
    tables, tick = synced_tables(), max(now_ms(), before + 1)
    if deletions.mark_all_deleted(connection, tables, space_id, tick, SERVER):
        history = History(SERVER, tick, session=SERVER)
        change = Merge({}, history, tick, policy="", is_partial=False, problems=Problems())
        outbox.write(connection, tables, space_id, change, is_cascaded=True)
    cache().invalidate(space_id, {CLOCK: tick})
    return tick


@dataclass(frozen=True)
class Departure:
    """Of one account: `spaces` that it is or was in; `heirs`, who owns those that would be without
    an owner; `ended`, those that nobody may own."""

    user_id: str
    spaces: frozenset[str]
    heirs: dict[str, str]
    ended: frozenset[str]

    def tell(self) -> None:
        """Behind the commit, for who asks later."""
        for space_id, heir in self.heirs.items():
            facts = {"space_id": space_id, "member_id": heir, "role": OWNER}
            record(Event.ROLE_CHANGED, self.user_id, **facts)
        for space_id in self.ended:
            record(Event.SPACE_DELETED, self.user_id, space_id=space_id)


def find_departure(connection: Connection, user_id: str) -> Departure:
    """As of this transaction."""
    columns = (_members.space_id, _members.role, _members.left_tick)
    rows = connection.execute(select(*columns).where(_members.user_id == user_id)).all()
    owned = [row.space_id for row in rows if row.role == OWNER and row.left_tick is None]
    found = {space_id: _next_owner(connection, user_id, space_id) for space_id in owned}
    return Departure(
        user_id,
        frozenset(row.space_id for row in rows),
        {space_id: heir for space_id, (heir, is_owner) in found.items() if heir and not is_owner},
        frozenset(space_id for space_id, (heir, _) in found.items() if heir is None),
    )


def concerned(connection: Connection, user_id: str) -> Wanted:
    """What has to be locked when an account goes."""
    found = find_departure(connection, user_id)
    others = [members_of(connection, space_id) for space_id in found.ended]
    accounts = {user_id, *found.heirs.values()}.union(*others)
    return Wanted(frozenset(accounts), found.spaces)


def depart(held: Held, user_id: str) -> Departure:
    """Of an account that is about to be deleted, in the same transaction."""
    connection, found = held.connection, find_departure(held.connection, user_id)
    for space_id, heir in found.heirs.items():
        give_role(held, heir, space_id, OWNER)
    for space_id in found.ended:
        end(held, space_id)
    for space_id in found.spaces:
        forget_tokens(connection, user_id, space_id)
    for model, space in ((Space, _spaces.id), (Invitation, _invitations.space_id)):
        made = (space.in_(found.spaces), model.__table__.c.created_by == user_id)
        connection.execute(update(model).where(*made).values(created_by=None))
    for kind in (Membership, SyncPoint, Retelling):
        connection.execute(delete(kind).where(kind.__table__.c.user_id == user_id))
    return found


def _next_owner(connection: Connection, user_id: str, space_id: str) -> tuple[str | None, bool]:
    """The longest-standing other owner, else editor, and whether it is an owner already."""
    others = (_members.space_id == space_id, _members.user_id != user_id)
    able = (_members.left_tick.is_(None), _members.role.in_((OWNER, EDITOR)))
    query = select(_members.user_id, _members.role).where(*others, *able)
    rows = connection.execute(query.order_by(_members.joined_at, _members.user_id)).all()
    first = min(rows, key=lambda row: row.role != OWNER, default=None)
    return (first.user_id, first.role == OWNER) if first else (None, False)
