"""In which of an account's spaces an id is, and which of them it sees (contract, Spaces 2).

Where two of its spaces hold the same id, an account sees the one it has had longer, its own first,
and nothing of what descends from the other. Deleted records hide nothing; what descends from a
hidden one is hidden, and hides others all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import Connection, select, text

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.tables import SyncedTable, Tables

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas

IDS_PER_STATEMENT = 1_000


class Spot(NamedTuple):
    """A record, or its tombstone, in one space; clocks are the space's. `above`: the ids of what it
    belongs to, by table."""

    created: int
    created_by: int
    updated: int
    is_deleted: bool
    above: tuple[tuple[str, str], ...]


class Locations:
    """Of the ids that were loaded; nothing is known of others."""

    def __init__(self, connection: Connection, tables: Tables, atlas: Atlas) -> None:
        self._connection, self._tables, self._atlas = connection, tables, atlas
        self._left = [space.id for space in atlas.left]
        self._spots: dict[tuple[str, str], dict[str, Spot]] = {}
        self._seen: dict[tuple[str, str], str | None] = {}

    def load(self, table: SyncedTable, ids: Iterable[str]) -> None:
        """Find these ids in all spaces that the account sees, or saw; and what hides them."""
        wanted = sorted({i for i in ids if (table.name, i) not in self._spots})
        above: dict[str, set[str]] = {}
        for start in range(0, len(wanted), IDS_PER_STATEMENT):
            for name, record_id, spot in self._find(
                table, wanted[start : start + IDS_PER_STATEMENT]
            ):
                self._spots.setdefault((table.name, record_id), {})[name] = spot
                if name != self._atlas.user_id and not spot.is_deleted:
                    for parent, parent_id in spot.above:
                        above.setdefault(parent, set()).add(parent_id)
        for record_id in wanted:
            self._spots.setdefault((table.name, record_id), {})
        for parent, parent_ids in above.items():
            self.load(self._tables[parent], parent_ids)

    def spots(self, table: SyncedTable, record_id: str) -> dict[str, Spot]:
        """By space."""
        return self._spots[table.name, record_id]

    def at(self, table: SyncedTable, record_id: str) -> str | None:
        """The space of the living record that the account sees; None where there is none."""
        return self._at(table.name, record_id)

    def deleted_at(self, table: SyncedTable, record_id: str) -> list[str]:
        """The spaces that the account sees where it is deleted."""
        spots = self.spots(table, record_id)
        return [s for s in self._order(table) if s in spots and spots[s].is_deleted]

    def _order(self, table: SyncedTable) -> list[str]:
        return [CATALOGUE] if table.reach == reaches.CATALOGUE else self._atlas.ids

    def _at(self, table: str, record_id: str) -> str | None:
        key = (table, record_id)
        if key not in self._seen:
            self._seen[key] = None  # of a circle, which no app can look at either
            spots = self._spots.get(key, {})
            order = self._order(self._tables[table])
            first = next((s for s in order if s in spots and not spots[s].is_deleted), None)
            if first is not None and self._is_seen(spots[first], first):
                self._seen[key] = first
        return self._seen[key]

    def _is_seen(self, spot: Spot, space: str) -> bool:
        """Unless it descends from a record that another one hides."""
        if space in (self._atlas.user_id, CATALOGUE):
            return True
        return not any(
            self._at(parent, parent_id) != space
            for parent, parent_id in spot.above
            if not self._is_gone(parent, parent_id, space)
        )

    def _is_gone(self, parent: str, parent_id: str, space: str) -> bool:
        """Whether there is no such living record in this space, which then hides nothing."""
        spot = self._spots.get((parent, parent_id), {}).get(space)
        return spot is None or spot.is_deleted

    def _find(self, table: SyncedTable, ids: list[str]) -> Iterable[tuple[str, str, Spot]]:
        c = table.table.c
        ways = [p for p in table.parents if p.on_delete == "cascade"]
        named = [table.column(parent.column) for parent in ways]
        own = (c.created_at_ms, c.created_by, c.updated_at_ms, c.is_deleted)
        spaces = self._order(table) + (self._left if table.reach == reaches.SHARED else [])
        query = select(c.user_id, c.id, *own, *named).where(c.user_id.in_(spaces))
        if self._connection.dialect.name == "sqlite":  # which takes few parameters
            query = query.where(text("id IN (SELECT value FROM json_each(:ids))"))
            found: Any = self._connection.execute(query, {"ids": orjson.dumps(ids).decode()})
        else:
            found = self._connection.execute(query.where(c.id.in_(ids)))
        for name, record_id, born, born_by, changed, is_deleted, *parents in found:
            above = tuple((way.table, i) for way, i in zip(ways, parents, strict=True) if i)
            yield name, record_id, Spot(born, born_by, changed, bool(is_deleted), above)
