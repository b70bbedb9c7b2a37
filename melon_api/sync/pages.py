"""Walking through what a device is to be told, table by table, parents first (contract, Pull).

A page ends anywhere; the next one goes on behind the last id, in the order of the primary key. That
order never changes, so no record is skipped or told twice, whatever is pushed between the pages.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_

from melon_api.auth.sessions import Caller
from melon_api.sync import changes, history, reading
from melon_api.sync.history import History
from melon_api.sync.tables import SyncedTable, synced_tables

TableChanges = dict[str, Any]  # of lists, or of their text


@dataclass(frozen=True)
class Migration:
    """What the app's own database has just added (contract pull 5)."""

    tables: frozenset[str] = frozenset()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Walk:
    """A pull and how far it has come: next is the record behind `after` in `table`.

    `since` and `timestamp` are clocks in ms, the latter that of the first page's snapshot.
    """

    since: int
    timestamp: int
    is_replacement: bool = False
    migration: Migration = field(default_factory=Migration)
    table: str | None = None
    after: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing can have changed, so that no table need be read."""
        asks_more = self.is_replacement or self.migration.tables or self.migration.columns
        return self.since == self.timestamp and not asks_more


@dataclass(frozen=True)
class Page:
    """What a device is told; `rest` is None on the last page."""

    changes: dict[str, TableChanges]
    walk: Walk
    rest: Walk | None


def read_page(connection: Connection, caller: Caller, walk: Walk, limit: int | None) -> Page:
    """The next `limit` records and deletions, or all that is left."""
    if walk.is_idle:
        return nothing_new(walk)
    if limit is not None or walk.table is not None:
        return _read_rows(connection, caller, walk, limit, {})
    scopes = tuple(_scope(name, walk) for name in synced_tables())
    told = reading.read_text(connection, scopes, caller.user_id, caller.device, walk.since)
    if len(told) == len(scopes):
        return Page(told, walk, None)
    return _read_rows(connection, caller, walk, None, told)


def _read_rows(
    connection: Connection, caller: Caller, walk: Walk, limit: int | None, known: dict[str, Any]
) -> Page:
    """The same, row by row, but for the tables that are `known` already."""
    told: dict[str, TableChanges] = {name: _nothing() for name in synced_tables()} | known
    seen = _seen(connection, caller, walk)
    room, is_continued = limit, walk.table is not None
    for name, table in synced_tables().items():
        if walk.table not in (None, name) or name in known:
            continue
        here = replace(walk, table=name, after=walk.after if walk.table else "")
        most = None if room is None else room + 1  # one more tells whether this page is the last
        condition = _wanted(table, here, is_continued)
        rows = changes.read_records(connection, table, caller.user_id, condition, most)
        if room is not None and len(rows) > room:
            told[name] = _sorted(table, rows[:room], seen, walk)
            after = rows[room - 1][0] if room else here.after
            return Page(told, walk, replace(here, after=after))
        told[name] = _sorted(table, rows, seen, walk)
        room = None if room is None else room - len(rows)
        walk = replace(walk, table=None, after="")
    return Page(told, walk, None)


def _scope(name: str, walk: Walk) -> reading.Scope:
    """What `_changed` and `_sorted` say, for `reading`."""
    if not walk.since:
        return reading.Scope(name, is_first=True)
    is_new = name in walk.migration.tables
    if walk.is_replacement or is_new:
        return reading.Scope(name, adds=frozenset(), is_new=is_new)
    names = synced_tables()[name].column_names.intersection(walk.migration.columns.get(name, ()))
    return reading.Scope(name, adds=names or None)


def _seen(connection: Connection, caller: Caller, walk: Walk) -> History:
    if not walk.since:
        return History(caller.device, walk.since)
    return history.read(connection, caller.user_id, caller.device, walk.since)


def nothing_new(walk: Walk) -> Page:
    """The answer to a device that has everything."""
    return Page({name: _nothing() for name in synced_tables()}, walk, None)


def _nothing() -> dict[str, list[Any]]:
    return {"created": [], "updated": [], "deleted": []}


def _wanted(table: SyncedTable, walk: Walk, is_continued: bool) -> ColumnElement[bool]:
    """What is to be told of a table. What was born after the first page comes at the next pull:
    its parent may be in a table that has been told already."""
    told = _changed(table, walk)
    if not is_continued:
        return told
    return and_(
        told, changes.is_behind(table, walk.after), changes.is_born_by(table, walk.timestamp)
    )


def _changed(table: SyncedTable, walk: Walk) -> ColumnElement[bool]:
    if not walk.since:
        return changes.is_living(table)
    changed = changes.changed_since(table, walk.since)
    if walk.is_replacement or table.name in walk.migration.tables:
        return or_(changed, changes.is_living(table))
    if names := walk.migration.columns.get(table.name):
        return or_(changed, changes.holds_something(table, names))
    return changed


def _sorted(table: SyncedTable, rows: Any, seen: History, walk: Walk) -> dict[str, list[Any]]:
    """Created, updated or deleted, as the asking device sees it (contract pull 3)."""
    told = _nothing()
    is_added = table.name in walk.migration.tables  # of which the device has only its own
    for record in changes.wire_records(table, rows):
        values, born = record.values, (record.created_at, record.created_by)
        if record.is_deleted:
            told["deleted"].append(values["id"])
        elif not walk.since or (is_added and record.created_at <= walk.since):
            told["created"].append(values)
        elif seen.has_had(table.name, values["id"], *born):
            told["updated"].append(values)
        else:
            told["created"].append(values)
    return told
