"""The caller's spaces: made, named."""

from typing import Any

from sqlalchemy import Connection, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from melon_api.audit import Event, record
from melon_api.auth.accounts import Caller
from melon_api.errors import IdTaken
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.space import CATALOGUE, OWNER, Membership, Space
from melon_api.models.user import User
from melon_api.spaces.access import (
    SharedSpace,
    check_room,
    select_spaces,
    space_of,
    spaces_of,
)
from melon_api.spaces.changing import Held, Wanted, by_owner, changing
from melon_api.storage.transactions import retrying, snapshot

_spaces = Space.__table__.c


def list_spaces(caller: Caller) -> list[SharedSpace]:
    with snapshot(db.engine) as connection:
        return spaces_of(connection, caller.user_id)


def create(caller: Caller, name: str, space_id: str | None = None) -> tuple[SharedSpace, bool]:
    """The space, and whether it is new: the same id again is a repeated call, whose answer was
    lost. Raises ValidationFailed where the caller is in too many, IdTaken."""
    mine = Wanted(frozenset({caller.user_id}))

    def work(held: Held) -> tuple[SharedSpace, bool]:
        if space_id and (found := _made_before(held.connection, caller.user_id, space_id)):
            return found, False
        check_room(held.connection, caller.user_id)
        if space_id and _is_taken(held.connection, space_id):
            raise IdTaken
        return _create(held, caller.user_id, name, space_id or new_id()), True

    def attempt() -> tuple[SharedSpace, bool]:
        return retrying(lambda: changing(db.engine, lambda _: mine, work))

    try:
        space, is_new = attempt()
    except IntegrityError:  # somebody has taken the id at this very moment: now it is seen
        space, is_new = attempt()
    if is_new:
        record(Event.SPACE_CREATED, caller.user_id, caller.session_id, space_id=space.id)
    return space, is_new


def check_create(caller: Caller, _body: dict[str, Any]) -> None:
    """What `create` would refuse as well. Raises ValidationFailed."""
    with snapshot(db.engine) as connection:
        check_room(connection, caller.user_id)


def rename(caller: Caller, space_id: str, name: str) -> SharedSpace:
    """Raises NotFound, Forbidden."""

    def work(held: Held) -> SharedSpace:
        held.connection.execute(update(Space).where(_spaces.id == space_id).values(name=name))
        return space_of(held.connection, caller.user_id, space_id)

    return retrying(lambda: changing(db.engine, by_owner(caller, space_id), work))


def _create(held: Held, user_id: str, name: str, space_id: str) -> SharedSpace:
    now, tick = utc_now(), held.tick(user_id)
    space = {"id": space_id, "name": name, "created_by": user_id, "created_at": now}
    held.connection.execute(insert(Space).values(**space, sync_clock=0, purged_clock=0))
    member = {"user_id": user_id, "space_id": space_id, "role": OWNER, "joined_at": now}
    clocks = {"joined_tick": tick, "first_clock": 0, "joined_clock": 0}
    held.connection.execute(insert(Membership).values(**member, **clocks))
    return SharedSpace(space_id, name, OWNER, 1, now)


def _made_before(connection: Connection, user_id: str, space_id: str) -> SharedSpace | None:
    """The caller's own, in which it still is."""
    its = select_spaces(user_id).where(_spaces.id == space_id, _spaces.created_by == user_id)
    row = connection.execute(its).one_or_none()
    return SharedSpace(*row) if row else None


def _is_taken(connection: Connection, space_id: str) -> bool:
    """By a space, also one that was deleted, or an account, whose own space has its id."""
    used = exists().where(_spaces.id == space_id)
    account = exists().where(User.__table__.c.id == space_id)
    return space_id == CATALOGUE or bool(connection.scalar(select(or_(used, account))))
