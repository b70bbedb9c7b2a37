"""The parts of a pull: a space each, and what of it the device is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, Select, and_, case, literal, or_, select

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import Scope, Walk
from melon_api.sync.spaces.points import LAST, Reach

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas

FIRST, RETOLD = (0, ""), (LAST + 1, "")  # the own space, and what is told again

Key = tuple[int, str]  # in their order: no membership that begins or ends moves another


@dataclass(frozen=True)
class Part:
    """A space since a clock of it. `is_new`: the device has never pulled it, and may have pushed
    there; `is_gone`: the account is in it no more. `until`: what was born later comes at the next
    pull (contract pull 6)."""

    key: Key
    space: str
    reach: str
    since: int
    is_new: bool = False
    is_gone: bool = False
    until: int | None = None

    def tables(self, tables: Tables) -> Iterator[SyncedTable]:
        """Those that have records here, parents first."""
        here = (self.reach, reaches.SHARED) if self.reach == reaches.OWN else (self.reach,)
        return (table for table in tables.values() if table.reach in here)

    def scope(self, walk: Walk, table: SyncedTable) -> Scope:
        """What is read of a table (contract, pull 2, 5, 7 and Spaces 3)."""
        if self.is_new:
            return Scope(table.name)
        return walk.scope(table.name, table.column_names)


def of(atlas: Atlas, walk: Walk, begun: Atlas | None) -> list[Part]:
    """In their order. `begun`: of a pull that goes on, what its timestamp stands for."""
    until = begun.own_since if begun else None
    own = Part(FIRST, atlas.user_id, reaches.OWN, atlas.own_since, until=until)
    is_told = not walk.is_delta or atlas.own_since != atlas.account.value or begun
    spaces = sorted((*atlas.members, *atlas.left), key=lambda s: (s.joined_tick, s.id))
    others = (_part(walk, space, begun) for space in spaces)
    return [*([own] if is_told else []), *(part for part in others if part)]


def _part(walk: Walk, space: Reach, begun: Atlas | None) -> Part | None:
    key, until = (space.joined_tick, space.id), begun.since_in(space.id) if begun else None
    if not space.is_member:
        has_ended = walk.since and space.has_ended(walk.since)
        is_old = begun is None or (space.left_tick or 0) <= walk.timestamp
        gone = Part(key, space.id, reaches.SHARED, 0, is_gone=True)
        return gone if has_ended and is_old else None
    is_told = until is not None if begun else space.has_news or not walk.is_delta
    reach = reaches.CATALOGUE if space.id == CATALOGUE else reaches.SHARED
    is_new = bool(walk.since) and space.since is None
    return Part(key, space.id, reach, space.since or 0, is_new, until=until) if is_told else None


def turns(connection: Connection, tables: Tables, atlas: Atlas) -> bool:
    """Whether a change since T hides what the device has seen, or uncovers what it has not: of two
    records with one id (contract, Spaces 2). All that descends from them changes with it, however
    old: such a pull is a replacement."""
    known = [s for s in atlas.ids if atlas.since_in(s) is not None]
    for place, space in enumerate(known):
        below = known[place + 1 :]
        clock = atlas.account.value if space == atlas.user_id else atlas.clocks[space]
        if not below or atlas.since_in(space) == clock:
            continue
        for table in tables.values():
            if table.reach == reaches.SHARED:
                query = _turned(table, atlas, space, below).limit(1)
                if connection.execute(query).first():
                    return True
    return False


def _turned(table: SyncedTable, atlas: Atlas, space: str, below: list[str]) -> Select[str]:
    a, b = table.table.alias("above"), table.table.alias("below")
    since: ColumnElement[int] = case(
        *((b.c.user_id == name, literal(atlas.since_in(name))) for name in below), else_=0
    )
    uncovered = and_(a.c.is_deleted.is_(True), b.c.updated_at_ms <= since)
    is_born = a.c.created_at_ms > atlas.since_in(space)
    hidden = and_(a.c.is_deleted.is_(False), is_born, b.c.created_at_ms <= since)
    return (
        select(a.c.id)
        .join_from(a, b, and_(b.c.user_id.in_(below), b.c.id == a.c.id))
        .where(
            a.c.user_id == space,
            a.c.updated_at_ms > atlas.since_in(space),
            b.c.is_deleted.is_(False),
            or_(uncovered, hidden),
        )
    )
