"""The parts of a pull: a space each, and what of it the device is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import Scope, Walk
from melon_api.sync.spaces.points import LAST, Reach

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.locations import Spot

FIRST, RETOLD = (0, ""), (LAST + 1, "")  # the own space, and what is told again

Key = tuple[int, str]  # in their order: no membership that begins or ends moves another


@dataclass(frozen=True)
class Part:
    """A space since a clock of it. `is_new`: the device has never pulled it, and may have pushed
    there; `is_gone`: the account is in it no more. `until`: what was born later comes at the next
    pull (contract pull 6). `told_until`: what was born by then the device was told the deletion of,
    as the account was out of the space meanwhile."""

    key: Key
    space: str
    reach: str
    since: int
    is_new: bool = False
    is_gone: bool = False
    until: int | None = None
    told_until: int | None = None

    def forgot(self, created: int) -> bool:
        """Whether the device had it at most before it was told that all of the space is gone."""
        return self.told_until is not None and created <= self.told_until

    def includes(self, spot: Spot) -> bool:
        """Whether a record, or a tombstone, is among what it tells."""
        is_born = self.until is None or spot.created <= self.until
        return is_born and (self.is_gone or self.is_new or spot.updated > self.since)

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
    others = (_part(atlas, walk, space, begun) for space in spaces)
    return [*([own] if is_told else []), *(part for part in others if part)]


def _part(atlas: Atlas, walk: Walk, space: Reach, begun: Atlas | None) -> Part | None:
    key, until = (space.joined_tick, space.id), begun.since_in(space.id) if begun else None
    if not space.is_member:
        has_ended = walk.since and space.has_ended(atlas.own_since)
        is_old = begun is None or (space.left_tick or 0) <= begun.own_since
        gone = Part(key, space.id, reaches.SHARED, 0, is_gone=True)
        return gone if has_ended and is_old else None
    is_told = until is not None if begun else space.has_news or not walk.is_delta
    reach = reaches.CATALOGUE if space.id == CATALOGUE else reaches.SHARED
    is_new = bool(walk.since) and space.since is None
    told_until = space.told_until(atlas.own_since)
    since = space.since or 0
    part = Part(key, space.id, reach, since, is_new, until=until, told_until=told_until)
    return part if is_told else None
