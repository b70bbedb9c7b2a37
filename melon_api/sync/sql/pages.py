"""Walking through what a device is to be told, table by table, parents first (contract, Pull).

A page ends anywhere; the next one goes on behind the last id, in the order of the primary key. That
order never changes, so no record is skipped or told twice, whatever is pushed between the pages.
"""

from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, or_

from melon_api.auth.callers import Caller
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import History
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.rules.walk import Walk
from melon_api.sync.sql import changes, log, reading
from melon_api.sync.sql.changes_text import LISTS, ChangesText
from melon_api.sync.sql.clock import Learned


@dataclass(frozen=True)
class Page:
    """What a device is told, to be closed when it is; `rest` is None on the last page. `learned` is
    to be remembered when the device has its answer, which need not wait for that."""

    changes: ChangesText
    walk: Walk
    rest: Walk | None
    learned: Learned | None = None


def read_page(connection: Connection, caller: Caller, walk: Walk, limit: int | None) -> Page:
    """The next `limit` records and deletions, or all that is left. Raises Unavailable when there is
    no room on the disk for all."""
    told = ChangesText(synced_tables())
    if walk.is_idle:
        return Page(told, walk, None)
    try:
        if limit is not None or walk.table is not None:
            return Page(told, walk, _read_rows(connection, caller, walk, limit, told))
        _read_all(connection, caller, walk, told)
    except BaseException:
        told.close()
        raise
    return Page(told, walk, None)


def read_living(connection: Connection, caller: Caller) -> ChangesText:
    """All living records, under `created`; to be closed. Raises Unavailable like `read_page`."""
    everything = Walk(since=0, timestamp=1)
    return read_page(connection, caller, everything, None).changes


def nothing_new(walk: Walk) -> Page:
    """The answer to a device that has everything."""
    return Page(ChangesText(synced_tables()), walk, None)


def _read_all(connection: Connection, caller: Caller, walk: Walk, told: ChangesText) -> None:
    scopes = tuple(_scope(name, walk) for name in synced_tables())
    asks = reading.Asks(caller.user_id, caller.device, walk.since)
    left = reading.read_text(connection, scopes, asks, told)
    if left:
        seen = _seen(connection, caller, walk)
    for name, after in left.items():
        table = synced_tables()[name]
        wanted = and_(_changed(table, walk), changes.is_behind(table, after))
        for rows in changes.stream_records(connection, table, caller.user_id, wanted):
            _tell(told, table, rows, seen, walk)


def _read_rows(
    connection: Connection, caller: Caller, walk: Walk, limit: int | None, told: ChangesText
) -> Walk | None:
    """One page, row by row; where the next one begins."""
    seen = _seen(connection, caller, walk)
    room, is_continued = limit, walk.table is not None
    for name, table in synced_tables().items():
        if walk.table not in (None, name):
            continue
        here = replace(walk, table=name, after=walk.after if walk.table else "")
        wanted = _wanted(table, here, is_continued)
        most = None if room is None else room + 1  # one more tells whether this page is the last
        for rows in changes.stream_records(connection, table, caller.user_id, wanted, most):
            fitting = rows[:room]
            _tell(told, table, fitting, seen, walk)
            here = replace(here, after=fitting[-1][0]) if fitting else here
            if len(fitting) < len(rows):
                return here
            room = None if room is None else room - len(rows)
        walk = replace(walk, table=None, after="")
    return None


def _scope(name: str, walk: Walk) -> reading.Scope:
    """What `_changed` and `_tell` say, for `reading`."""
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
    return log.read(connection, caller.user_id, caller.device, walk.since)


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


def _tell(told: ChangesText, table: SyncedTable, rows: Any, seen: History, walk: Walk) -> None:
    """Created, updated or deleted, as the asking device sees it (contract pull 3)."""
    lists: dict[str, list[Any]] = {key: [] for key in LISTS}
    is_added = table.name in walk.migration.tables  # of which the device has only its own
    for record in changes.wire_records(table, rows):
        values, born = record.values, (record.created_at, record.created_by)
        if record.is_deleted:
            lists["deleted"].append(values["id"])
        elif not walk.since or (is_added and record.created_at <= walk.since):
            lists["created"].append(values)
        elif seen.has_had(table.name, values["id"], *born):
            lists["updated"].append(values)
        else:
            lists["created"].append(values)
    for key, found in lists.items():
        told.add(table.name, key, orjson.dumps(found)[1:-1], len(found))
