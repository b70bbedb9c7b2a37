"""The parts of a pull: a space each, and what of it the device is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import LAST_PART, Scope, Walk
from melon_api.sync.spaces.points import Reach

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.locations import Spot

Key = tuple[int, str]  # in their order, which no membership that begins, or ends, changes
FIRST, RETOLD = (0, ""), (LAST_PART, "")  # the own space, and what is told again


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

    def has_lost(self, spot: Spot) -> bool:
        """Whether a record was deleted here since a pull began that goes on."""
        return self.until is not None and spot.is_deleted and spot.updated > self.until

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
    spaces = sorted((*atlas.members, *atlas.left), key=_key)
    others = (_part(atlas, walk, space, begun) for space in spaces)
    return [*([own] if is_told else []), *(part for part in others if part)]


def is_overtaken(atlas: Atlas, walk: Walk, begun: Atlas) -> bool:
    """Whether a pull that goes on has missed something: a deletion that is forgotten by now, or
    what it left out of a space while the account was out of it, and is in it again."""
    if atlas.is_stale and not walk.is_replacement:
        return True
    again = (s for s in atlas.members if begun.own_since < s.joined_tick <= atlas.account.value)
    return walk.is_short and any(begun.since_in(s.id) is not None for s in again)


def noted(walk: Walk, atlas: Atlas, begun: Atlas | None) -> Walk:
    """With that it leaves out a space that the account has left since the pull began."""
    if begun is None:
        return walk
    gone = (s for s in atlas.left if (s.left_tick or 0) > begun.own_since)
    is_short = any(begun.since_in(s.id) is not None for s in gone)
    return replace(walk, is_short=walk.is_short or is_short)


def _key(space: Reach) -> Key:
    return (2 if space.id == CATALOGUE else 1), space.id


def _part(atlas: Atlas, walk: Walk, space: Reach, begun: Atlas | None) -> Part | None:
    key, until = _key(space), begun.since_in(space.id) if begun else None
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
