"""In which of an account's spaces an id is, and which of them it sees (contract, Spaces 2).

Where two of its spaces hold the same id, an account sees the one it has had longer, its own first,
and nothing of what descends from the other. Deleted records hide nothing; what descends from a
hidden one is hidden, and hides others all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import Connection, Dialect

from melon_api.models.space import CATALOGUE
from melon_api.storage.prepared import ask, one_of_texts, texts_parameter
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.kinds.texts import text_literal
from melon_api.sync.rules.tables import Parent, SyncedTable, Tables, portions

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
        self.load_all({table.name: ids})

    def load_all(self, wanted: Mapping[str, Iterable[str]]) -> None:
        """The same of several tables."""
        pending = {name: set(ids) for name, ids in wanted.items()}
        while pending:
            pending = self._load(pending)

    def _load(self, pending: dict[str, set[str]]) -> dict[str, set[str]]:
        """What those belong to that another record may hide."""
        asked: dict[SyncedTable, list[str]] = {}
        for name, ids in pending.items():
            if some := [i for i in sorted(ids) if (name, i) not in self._spots]:
                asked[self._tables[name]] = some
                self._spots |= {(name, i): {} for i in some}
        named: dict[str, set[str]] = {}
        for portion in portions(asked, IDS_PER_STATEMENT):
            for table, record_id, space, spot in self._find(portion):
                self._spots[table, record_id][space] = spot
                if space != self._atlas.user_id and not spot.is_deleted:
                    for parent, parent_id in spot.above:
                        named.setdefault(parent, set()).add(parent_id)
        return named

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
        for space in self._order(self._tables[key[0]]):
            spot = spots.get(space)
            if spot is not None and not spot.is_deleted:
                return space
        return None

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

    def _find(self, asked: dict[SyncedTable, list[str]]) -> Iterator[tuple[str, str, str, Spot]]:
        """Table, id, space and where it is, of these ids."""
        dialect = self._connection.dialect
        queries: list[str] = []
        values: list[Any] = []
        for table, ids in asked.items():
            spaces = self._order(table) + (self._left if table.reach == reaches.SHARED else [])
            queries.append(_query(table, dialect, self.beside(asked, table)))
            values += (texts_parameter(dialect, some, text_literal) for some in (spaces, ids))
        for text, beside in ask(self._connection, " UNION ALL ".join(queries), values):
            table_name, space, record_id, born, born_by, changed, by, dead, above = orjson.loads(
                text
            )
            self.meet(table_name, space, record_id, beside)
            ways = zip(_ways(self._tables[table_name]), above, strict=True)
            named = tuple((way.table, parent_id) for way, parent_id in ways if parent_id)
            yield table_name, record_id, space, Spot(born, born_by, changed, by, bool(dead), named)

    def beside(self, asked: dict[SyncedTable, list[str]], table: SyncedTable) -> str:
        """What else is read of each record of a table, in SQL; for `meet`."""
        return "NULL"

    def meet(self, table: str, space: str, record_id: str, beside: Any) -> None:
        """What was read beside a record; None also where it is larger than the server sends."""


def _ways(table: SyncedTable) -> list[Parent]:
    return [parent for parent in table.parents if parent.on_delete == "cascade"]


@functools.cache
def _query(table: SyncedTable, dialect: Dialect, beside: str) -> str:
    """The parameters are the spaces and the ids."""
    quote = dialect.identifier_preparer.quote
    above = ",".join(quote(table.column(way.column).name) for way in _ways(table))
    facts = "user_id,id,created_at_ms,created_by,updated_at_ms,updated_by,is_deleted"
    columns, one_of = f"{text_literal(table.name)},{facts}", one_of_texts(dialect)
    here = f"FROM {quote(table.table.name)} WHERE user_id {one_of} AND id {one_of}"
    return f"SELECT JSON_ARRAY({columns},JSON_ARRAY({above})),{beside} {here}"
