"""What is stored of what is pushed, in whichever space of the account it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection

from melon_api.sync.rules.tables import StoredRows, SyncedTable, Tables
from melon_api.sync.spaces import retellings
from melon_api.sync.spaces.locations import Locations, Spot
from melon_api.sync.sql import rows

if TYPE_CHECKING:
    from melon_api.sync.rules.history import History
    from melon_api.sync.rules.pushed import PushedTable
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.had import Had


class LocatedRows(Locations):
    """Few rows are read with where they are, on MySQL and MariaDB: `rows`, by space."""

    def __init__(self, connection: Connection, tables: Tables, atlas: Atlas) -> None:
        super().__init__(connection, tables, atlas)
        self.rows: dict[str, StoredRows] = {}

    def beside(self, asked: dict[SyncedTable, list[str]], table: SyncedTable) -> str:
        dialect = self._connection.dialect
        if dialect.name != "mysql" or sum(map(len, asked.values())) > rows.FEW:
            return super().beside(asked, table)
        return f"JSON_ARRAY({rows.columns_and_table(table, dialect)[0]})"

    def meet(self, table: str, space: str, record_id: str, beside: Any) -> None:
        if beside is not None:
            here = self.rows.setdefault(space, {}).setdefault(table, {})
            here[record_id] = rows.row_maker(self._tables[table])(orjson.loads(beside))


class Stored:
    """`had`: of the device that pushes; `rows`: what there is of what it pushes, living or deleted,
    by space; `lost`: the ids, by table, that were not stored once, and are deleted to this account
    (contract, Spaces 5)."""

    def __init__(self, connection: Connection, tables: Tables, atlas: Atlas, had: Had) -> None:
        self._connection, self._tables, self._atlas = connection, tables, atlas
        self._had = had
        self.locations = LocatedRows(connection, tables, atlas)
        self.rows: dict[str, StoredRows] = {}
        self._named: dict[str, set[str]] = {}
        self.lost: dict[str, set[str]] = {}

    def load(self, pushed: list[PushedTable]) -> None:
        """Of these records and deletions, and of the parents that they name."""
        self._named = rows.named(pushed)
        self.locations.load_all(self._named)
        for name, ids in self._named.items():
            gone = {i for i in ids if not self.locations.spots(self._tables[name], i)}
            user_id = self._atlas.user_id
            self.lost[name] = retellings.known(self._connection, user_id, name, gone)
        self._load_rows()

    def _load_rows(self) -> None:
        wanted: dict[str, dict[str, set[str]]] = {}
        seen = set(self._atlas.ids)
        for name, ids in self._named.items():
            for record_id in ids:
                for space in self.locations.spots(self._tables[name], record_id).keys() & seen:
                    wanted.setdefault(space, {}).setdefault(name, set()).add(record_id)
        for space, ids_here in wanted.items():
            self.rows[space] = self._read(space, ids_here)

    def _read(self, space: str, wanted: dict[str, set[str]]) -> StoredRows:
        """Those that did not come with where they are."""
        known = self.locations.rows.get(space, {})
        missing = {name: ids - known.get(name, {}).keys() for name, ids in wanted.items()}
        found = {
            name: {i: known[name][i] for i in ids - missing[name]} for name, ids in wanted.items()
        }
        if any(missing.values()):
            read = rows.read_rows(self._connection, self._tables, space, missing)
            found = {name: here | read.get(name, {}) for name, here in found.items()}
        return found

    def rows_for(self, space: str, pushed: list[PushedTable]) -> StoredRows:
        """What a merge of this into one of the account's spaces begins with, and may change: rows
        are read once where they can be."""
        wanted = rows.named(pushed)
        if any(ids - self._named.get(name, set()) for name, ids in wanted.items()):
            return rows.read_named(self._connection, self._tables, space, pushed)
        known = self.rows.get(space, {})
        return {
            name: {i: replace(row, values={**row.values}) for i, row in here.items() if i in ids}
            for name, ids in wanted.items()
            for here in [known.get(name, {})]
        }

    def left_with(self, table: SyncedTable, record_id: str, session: int) -> set[str]:
        """The spaces where the account has a record no more that the device has had, neither took
        away itself nor was told the end of: another one deleted it, or the account has left."""
        key, seen = (table.name, record_id), self._atlas.ids
        return {
            space
            for space, spot in self.locations.spots(table, record_id).items()
            if (spot.updated_by != session if spot.is_deleted else space not in seen)
            and self._had.at(key, space, spot)
        }

    def is_mistaken(self, table: SyncedTable, record_id: str, at: str, history: History) -> bool:
        """Whether the device means another record of the id than the one that the account sees by
        now: at T it saw that one, which has gone since, or is hidden now (contract, Spaces 2)."""
        spots = self.locations.spots(table, record_id)
        if len(spots) == 1:
            return False
        order = [*self._atlas.ids, *(space.id for space in self._atlas.left)]
        there = {name for name, spot in spots.items() if self._was_there(spot, name, history)}
        meant = next((name for name in order if name in there), at)
        return meant != at and (at in there or not spots[meant].is_deleted)

    def _was_there(self, spot: Spot, space: str, history: History) -> bool:
        """Whether the device has seen it living at T, and has not taken it away itself."""
        since = self._atlas.since_in(space)
        if since is None:
            return False
        is_known = spot.created <= since or spot.created_by == history.device
        is_old = spot.updated <= since or spot.updated_by == history.session
        return is_known and not (spot.is_deleted and is_old)
