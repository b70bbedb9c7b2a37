"""A pull over all spaces of an account: the rows of each since its clock, each record once
(contract, Spaces 1 to 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, Connection

from melon_api.sync.rules.history import History
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import Scope, Walk
from melon_api.sync.spaces import atlas as atlases
from melon_api.sync.spaces import parts, retellings, told, turns
from melon_api.sync.spaces.had import Had
from melon_api.sync.spaces.locations import Locations, Spot
from melon_api.sync.spaces.parts import RETOLD, Key, Part
from melon_api.sync.spaces.told import ROWS_AT_A_TIME, Told
from melon_api.sync.sql import delta_pull
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.sync.sql.scope import DeltaQuery

if TYPE_CHECKING:
    from melon_api.auth.accounts import Caller
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.sql.clock import AccountClock


ReadWhole = Callable[[Connection, Tables, DeltaQuery, Walk, ChangesText], None]


class Teller:
    """What a device is told, lazily and in the order of the walk; some rows at a time in memory."""

    def __init__(
        self, connection: Connection, tables: Tables, atlas: Atlas, device: int, walk: Walk
    ) -> None:
        self._connection, self._tables, self._atlas = connection, tables, atlas
        self._device, self._walk = device, walk
        self._parts: list[Part] = []
        self._begun: Atlas | None = None
        self._only: str | None = None
        self._had = Had(connection, atlas, device)
        self._at_a_time = ROWS_AT_A_TIME

    def tell(self, begun: Atlas | None, only: str | None = None) -> Iterator[Told]:
        """`begun`: of a pull that goes on, what its timestamp stands for; `only` this table."""
        self._only = only
        self._begun = begun
        self._parts = parts.of(self._atlas, self._walk, begun)
        for part in self._parts:
            if part.key >= self._walk.part:
                yield from self._part(part)
        if self._walk.since:
            yield from self._retold()

    def include(self, changes: ChangesText, limit: int | None, begun: Atlas | None) -> Walk | None:
        """The next `limit` of all, or all of it; where the next page begins, None for nowhere."""
        self._at_a_time = told.rows_at_a_time(limit)
        walk = parts.noted(self._walk, self._atlas, begun)
        return told.include(self.tell(begun), walk, limit, changes)

    def include_whole(self, changes: ChangesText, read_whole: ReadWhole) -> Walk | None:
        """All of it, quickly (first_pull.read_whole), of an account that shares nothing: no id of
        one of its parts is in another. Raises Unavailable when there is no room on the disk."""
        self._parts = parts.of(self._atlas, self._walk, None)
        for part in self._parts:
            here = {table.name: table for table in part.tables(self._tables)}
            query = DeltaQuery(part.space, self._device, part.since)
            walk = replace(self._walk, since=part.since)
            read_whole(self._connection, here, query, walk, changes)
        again = self._retold() if self._walk.since else iter(())
        return told.include(again, self._walk, None, changes)

    def _part(self, part: Part) -> Iterator[Told]:
        is_continued = part.key == self._walk.part and self._walk.table is not None
        history = self._history(part)
        names = [t.name for t in part.tables(self._tables) if self._only in (None, t.name)]
        begin = names.index(str(self._walk.table)) if is_continued else 0
        for name in names[begin:]:
            after = self._walk.after if is_continued and name == self._walk.table else ""
            yield from self._table(part, self._tables[name], history, after)

    def _history(self, part: Part) -> History:
        if not self._walk.since:
            return History(self._device, 0)
        return History(self._device, part.since, self._had.noted(part.space, part.since))

    def _table(
        self, part: Part, table: SyncedTable, history: History, after: str
    ) -> Iterator[Told]:
        scope = Scope(table.name) if part.is_gone else part.scope(self._walk, table)
        for rows in self._rows(part, table, scope, after):
            locations = Locations(self._connection, self._tables, self._atlas)
            locations.load(table, [row[0] for row in rows])
            moved = self._moved(part, table, locations, [row[0] for row in rows])
            for row, values in zip(rows, delta_pull.wire_values(table, rows), strict=True):
                at, spots = locations.at(table, row[0]), locations.spots(table, row[0])
                if at is None:  # gone, or it descends from one that is hidden
                    if self._walk.since and self._tells_gone(part, spots):
                        yield self._deletion(part.key, table.name, row[0])
                elif row[0] in moved or (at == part.space and not part.is_gone):
                    name = history.list_of(scope, row[0], row[-6], row[-5])
                    if part.forgot(spots[part.space].created):
                        name = "created"
                    key, is_new = (table.name, row[0]), name == "created" and self._walk.since
                    if is_new and self._had.elsewhere(key, spots, part.space):
                        name = "updated"
                    text = moved.get(row[0]) or orjson.dumps(values)
                    yield Told(part.key, table.name, row[0], name, text)

    def _rows(
        self, part: Part, table: SyncedTable, scope: Scope, after: str
    ) -> Iterator[list[Any]]:
        query, c = DeltaQuery(part.space, self._device, part.since), table.table.c
        if scope.is_first and part.until is not None:  # beside them what was deleted since
            query, scope = query._replace(since=part.until), Scope(table.name, adds=frozenset())
        most = self._at_a_time
        while True:
            bounds: list[ColumnElement[bool]] = [c.id > after] if after else []
            if part.until is not None:
                bounds.append(c.created_at_ms <= part.until)
            read = delta_pull.read_rows(self._connection, table, scope, query, *bounds, most=most)
            rows = [row for some in read for row in some]
            if rows:
                yield rows
            if len(rows) < most:
                return
            after = rows[-1][0]
            if 2 * most <= ROWS_AT_A_TIME:  # some were not told: there may be many of these
                most *= 2

    def _moved(
        self, part: Part, table: SyncedTable, locations: Locations, ids: list[str]
    ) -> dict[str, bytes]:
        """What went from here to another space of the account's while it pulls page by page: there
        it is new, and comes at the next pull (contract pull 6)."""
        spots = {i: locations.spots(table, i) for i in ids}
        gone = [i for i in ids if part.has_lost(spots[i][part.space])]
        at = {i: locations.at(table, i) for i in gone}
        moved = {i: s for i, s in at.items() if s and not self._is_begun(s, spots[i][s])}
        return dict(delta_pull.texts(self._connection, table, moved))

    def _is_begun(self, space: str, spot: Spot) -> bool:
        """Whether it was there already when the pull began."""
        until = self._begun.since_in(space) if self._begun else None
        return until is not None and spot.created <= until

    def _tells_gone(self, part: Part, spots: dict[str, Spot]) -> bool:
        """Whether this part is the first in which the id is news: a deletion is told once."""
        told = (p for p in self._parts if p.space in spots and p.includes(spots[p.space]))
        return next(told, part) is part

    @staticmethod
    def _deletion(part: Key, table: str, record_id: str) -> Told:
        return Told(part, table, record_id, "deleted", b'"' + record_id.encode() + b'"')

    # --- what is told again

    def _retold(self) -> Iterator[Told]:
        mine, value = self._atlas, self._atlas.account.value
        until = self._begun.own_since if self._begun else value
        keys = retellings.since(self._connection, mine.user_id, mine.own_since, until)
        begun = self._walk.part == RETOLD and (str(self._walk.table), self._walk.after)
        for name, found in groupby(keys, key=lambda key: key[0]):
            if table := self._tables.get(name):
                ids = [i for _, i in found if not begun or (name, i) > begun]
                for start in range(0, len(ids), ROWS_AT_A_TIME):
                    yield from self._again(table, ids[start : start + ROWS_AT_A_TIME])

    def _again(self, table: SyncedTable, ids: list[str]) -> Iterator[Told]:
        locations = Locations(self._connection, self._tables, self._atlas)
        locations.load(table, ids)
        at = {i: locations.at(table, i) for i in ids}
        living = dict(delta_pull.texts(self._connection, table, at))
        for record_id in ids:
            space, spots = at[record_id], locations.spots(table, record_id)
            if space is None:
                if not self._is_told_gone(table, spots):
                    yield self._deletion(RETOLD, table.name, record_id)
            elif not self._is_told(table, space, record_id, spots[space]):
                yield Told(RETOLD, table.name, record_id, "updated", living[record_id])

    def _is_told(self, table: SyncedTable, space: str, record_id: str, spot: Spot) -> bool:
        """As a change of its space."""
        part = next((p for p in self._parts if p.space == space and not p.is_gone), None)
        if part is None:
            return False
        scope = part.scope(self._walk, table)
        if part.is_new or scope.adds == frozenset() or spot.updated > part.since:
            return True
        if not scope.adds:
            return False
        query, this = DeltaQuery(space, self._device, part.since), table.table.c.id == record_id
        return any(delta_pull.read_rows(self._connection, table, scope, query, this))

    def _is_told_gone(self, table: SyncedTable, spots: dict[str, Spot]) -> bool:
        """As a deletion of a space."""
        by_space = {part.space: part for part in self._parts}
        told = ((by_space[name], spot) for name, spot in spots.items() if name in by_space)
        return any(
            part.is_gone or (spot.is_deleted and spot.updated > part.since) for part, spot in told
        )


def begin(connection: Connection, tables: Tables, atlas: Atlas, walk: Walk) -> Walk:
    """The walk of a pull that begins: a replacement, where the device may have missed something."""
    if not walk.since or walk.is_replacement:
        return walk
    is_replacement = atlas.is_stale or turns.since(connection, tables, atlas)
    return replace(walk, is_replacement=is_replacement)


class Reader:
    """All living records that an account sees, a table at a time."""

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        caller: Caller,
        account: AccountClock,
        since: int,
    ) -> None:
        self._connection, self._tables, self._caller = connection, tables, caller
        self._account, self._since = account, since

    @property
    def is_idle(self) -> bool:
        """Whether `since` stands for all that there is."""
        return self._atlas(self._since).is_idle

    def living(self, table: SyncedTable) -> Iterator[dict[str, Any]]:
        """As the app's schema has them; read as they are asked for."""
        if not self._account.beyond:
            query = DeltaQuery(self._caller.user_id, self._caller.device, 0)
            yield from delta_pull.read_living(self._connection, table, query)
            return
        walk = Walk(since=0, timestamp=self._account.value)
        teller = Teller(self._connection, self._tables, self._atlas(0), self._caller.device, walk)
        for one in teller.tell(None, only=table.name):
            yield orjson.loads(one.text)

    def _atlas(self, since: int) -> Atlas:
        return atlases.read(self._connection, self._caller.user_id, self._account, since)
