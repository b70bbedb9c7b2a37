"""In which of an account's spaces an id is, and which of them it sees (contract, Spaces 2).

Where two of its spaces hold the same id, an account sees the one it has had longer, its own first,
and nothing of what descends from the other. Deleted records hide nothing; what descends from a
hidden one is hidden, and hides others all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import orjson
from sqlalchemy import Connection, Dialect

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.sql import rows

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas

IDS_PER_STATEMENT = 1_000


class Spot(NamedTuple):
    """A record, or its tombstone, in one space; clocks are the space's. `above`: the ids of what it
    belongs to, by table."""

    created: int
    created_by: int
    updated: int
    updated_by: int
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
        pending = {table.name: set(ids)}
        while pending:
            name, some = pending.popitem()
            for parent, parent_id in self._load(self._tables[name], some):
                if (parent, parent_id) not in self._spots:
                    pending.setdefault(parent, set()).add(parent_id)

    def _load(self, table: SyncedTable, ids: set[str]) -> set[RecordKey]:
        """What those belong to that another record may hide."""
        wanted = sorted(i for i in ids if (table.name, i) not in self._spots)
        above: set[RecordKey] = set()
        for record_id in wanted:
            self._spots[table.name, record_id] = {}
        for start in range(0, len(wanted), IDS_PER_STATEMENT):
            some = wanted[start : start + IDS_PER_STATEMENT]
            for name, record_id, spot in self._find(table, some):
                self._spots[table.name, record_id][name] = spot
                if name != self._atlas.user_id and not spot.is_deleted:
                    above.update(spot.above)
        return above

    def spots(self, table: SyncedTable, record_id: str) -> dict[str, Spot]:
        """By space."""
        return self._spots.get((table.name, record_id), {})

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
            first = self._first(key)
            self._seen[key] = first if first and self._is_seen(key, first) else None
        return self._seen[key]

    def _first(self, key: RecordKey) -> str | None:
        """The first space where it lives, whether or not that is seen."""
        spots = self._spots.get(key, {})
        order = self._order(self._tables[key[0]])
        return next((s for s in order if s in spots and not spots[s].is_deleted), None)

    def _is_seen(self, key: RecordKey, space: str) -> bool:
        """Unless it descends from a record that another one hides. What is in a circle descends
        from none."""
        if space in (self._atlas.user_id, CATALOGUE):
            return True
        climbed, steps = {key}, [key]
        while steps:
            for above in self._spots[steps.pop()][space].above:
                spot = self._spots.get(above, {}).get(space)
                if above in climbed or spot is None or spot.is_deleted:
                    continue  # what is gone hides nothing
                if self._first(above) != space:
                    return False
                if self._seen.get(above) != space:
                    climbed.add(above)
                    steps.append(above)
        self._seen |= dict.fromkeys(climbed, space)
        return True

    def _find(self, table: SyncedTable, ids: list[str]) -> Iterable[tuple[str, str, Spot]]:
        spaces = self._order(table) + (self._left if table.reach == reaches.SHARED else [])
        asked, ways = _query(table, self._connection.dialect)
        listed = rows.listed_for(self._connection.dialect)
        found = self._connection.exec_driver_sql(asked, (listed(spaces), listed(ids))).scalars()
        for name, record_id, born, born_by, changed, by, is_deleted, *parents in map(
            orjson.loads, found
        ):
            above = tuple((way, i) for way, i in zip(ways, parents, strict=True) if i)
            yield name, record_id, Spot(born, born_by, changed, by, bool(is_deleted), above)


@functools.cache
def _query(table: SyncedTable, dialect: Dialect) -> tuple[str, list[str]]:
    """The parameters are the spaces and the ids; and the tables of what a record belongs to."""
    ways = [p for p in table.parents if p.on_delete == "cascade"]
    quote = dialect.identifier_preparer.quote
    above = [quote(table.column(parent.column).name) for parent in ways]
    names = ("user_id", "id", "created_at_ms", "created_by", "updated_at_ms", "updated_by")
    columns, one_of = ",".join([*names, "is_deleted", *above]), rows.one_of(dialect)
    here = f"FROM {quote(table.table.name)} WHERE user_id {one_of} AND id {one_of}"
    return f"SELECT JSON_ARRAY({columns}) {here}", [parent.table for parent in ways]
