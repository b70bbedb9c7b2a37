"""Whether a change turns what an account sees, where two of its spaces hold the same id (contract,
Spaces 2): it uncovers a record whose stamp is old, or hides one, and all that descends from it.
Such a pull is a replacement. Ids made at random never meet, and each look here finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    literal,
    not_,
    or_,
    select,
)

from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.tables import SyncedTable, Tables

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas

NEVER = -1


def since(connection: Connection, tables: Tables, atlas: Atlas) -> bool:
    """Whether anything has turned since T."""
    shared = [table for table in tables.values() if table.reach == reaches.SHARED]
    return any(_any(connection, shared, *asked) for asked in _asked(atlas)) or any(
        _any(connection, shared, space, below, lambda a, _: a.c.is_deleted.is_(False))
        for space, below in _reparented(connection, tables, atlas)
    )


def at_tick(connection: Connection, tables: Tables, atlas: Atlas, ticks: dict[str, int]) -> bool:
    """Whether what a push has just deleted uncovers anything that it has not written itself; by
    space, the tick of what it wrote there."""
    shared = [table for table in tables.values() if table.reach == reaches.SHARED]
    for space, tick in ticks.items():
        others = [name for name in atlas.ids if name != space]
        for table in shared if others else ():
            a, b = table.table.alias("above"), table.table.alias("below")
            is_gone = and_(a.c.updated_at_ms == tick, a.c.is_deleted.is_(True))
            new = (and_(b.c.user_id == s, b.c.updated_at_ms == t) for s, t in ticks.items())
            if _exists(connection, a, b, space, others, and_(is_gone, not_(or_(*new)))):
                return True
    return False


def _asked(atlas: Atlas) -> Iterator[tuple[str, list[str], Any]]:
    """(a space, those that its records may hide, what turns)."""
    known = [name for name in atlas.ids if atlas.since_in(name) is not None]
    for place, space in enumerate(known):
        clock = atlas.account.value if space == atlas.user_id else atlas.clocks[space]
        if atlas.since_in(space) != clock:
            yield space, known[place + 1 :], lambda a, b, s=space: _turns(atlas, s, a, b)
    for left in atlas.left:
        if left.has_ended(atlas.own_since):
            yield left.id, known, lambda a, b, s=left.id: _is_left(atlas, s, a, b)
    for member in atlas.members:  # it was left and joined again, and is younger now
        if member.since is not None and atlas.own_since < member.joined_tick <= atlas.account.value:
            others = [name for name in known if name != member.id]
            yield member.id, others, lambda a, _: a.c.is_deleted.is_(False)


def _since(atlas: Atlas, b: Any) -> ColumnElement[int]:
    known = ((name, atlas.since_in(name)) for name in atlas.ids)
    cases = [(b.c.user_id == name, literal(at)) for name, at in known if at is not None]
    return case(*cases, else_=literal(NEVER))


def _turns(atlas: Atlas, space: str, a: Any, b: Any) -> ColumnElement[bool]:
    before = atlas.since_in(space)
    uncovers = a.c.is_deleted.is_(True)
    hides = and_(a.c.is_deleted.is_(False), a.c.created_at_ms > before)
    return and_(a.c.updated_at_ms > before, or_(uncovers, hides), _was_there(atlas, b))


def _is_left(atlas: Atlas, space: str, a: Any, b: Any) -> ColumnElement[bool]:
    before = atlas.since_in(space)
    was_there = false() if before is None else a.c.updated_at_ms > before
    return and_(or_(a.c.is_deleted.is_(False), was_there), _was_there(atlas, b))


def _was_there(atlas: Atlas, b: Any) -> ColumnElement[bool]:
    """Whether it was at T: although it was changed since, and so is told, what descends from it may
    be as it was."""
    is_old: ColumnElement[bool] = b.c.created_at_ms <= _since(atlas, b)
    return is_old


def _reparented(
    connection: Connection, tables: Tables, atlas: Atlas
) -> Iterator[tuple[str, list[str]]]:
    """Spaces in which a record with descendants was changed, which may descend from another one
    now, that is hidden or is not."""
    above = {parent.table for table in tables.values() for parent in table.parents}
    between = [t for t in tables.values() if t.reach == reaches.SHARED and t.parents]
    for space in atlas.ids[1:]:
        before = atlas.since_in(space)
        if before is None or before == atlas.clocks[space]:
            continue
        for table in between:
            c = table.table.c
            news = select(c.id).where(c.user_id == space, c.updated_at_ms > before).limit(1)
            if table.name in above and connection.execute(news).first():
                yield space, atlas.ids[: atlas.ids.index(space)]
                break


def _any(
    connection: Connection, tables: list[SyncedTable], space: str, others: list[str], turns: Any
) -> bool:
    for table in tables if others else ():
        a, b = table.table.alias("above"), table.table.alias("below")
        condition = turns(a, b) if callable(turns) else turns
        if _exists(connection, a, b, space, others, condition):
            return True
    return False


def _exists(
    connection: Connection, a: Any, b: Any, space: str, others: Iterable[str], condition: Any
) -> bool:
    query = (
        select(a.c.id)
        .join_from(a, b, and_(b.c.user_id.in_(list(others)), b.c.id == a.c.id))
        .where(a.c.user_id == space, b.c.is_deleted.is_(False), condition)
        .limit(1)
    )
    return connection.execute(query).first() is not None
