"""What a pushed record becomes before it is looked at: the client's own `sanitizedRaw`.

A wrong type or a null becomes the column's empty value, 1 and 0 become booleans, unknown columns
are dropped, an absent column stays absent (contract push 5). What is right and what fits is said by
a column's kind.
"""

import functools
import logging
from collections.abc import Iterable
from typing import Any

from melon_api.sync.rules.kinds.kind import Convert, Decide
from melon_api.sync.rules.tables import SyncedTable

log = logging.getLogger(__name__)

NOT_COLUMNS = {"id", "_status", "_changed"}
MOST_DROPPED = 100
_dropped: set[tuple[str, str]] = set()  # that are in the log

Rule = tuple[str, Decide, Convert, Decide]  # column, is_right, put_right, holds


def sanitize(table: SyncedTable, raw: dict[str, Any]) -> tuple[dict[str, Any], list[str], bool]:
    """(values, misfits, as_sent): what to store, the columns that cannot be kept whole, whether
    it is what the device has."""
    values: dict[str, Any] = {}
    misfits: list[str] = []
    as_sent = True
    for name, is_right, put_right, holds in _rules(table):
        if name in raw:
            sent = raw[name]
            if is_right(sent):
                values[name] = sent
                continue
            value = values[name] = put_right(sent)
            if not holds(value):
                misfits.append(name)
            if value is not sent and value != sent:
                as_sent = False
    known = len(values) + ("id" in raw) + ("_status" in raw) + ("_changed" in raw)
    if known != len(raw):
        _log_dropped(table.name, raw.keys() - values.keys() - NOT_COLUMNS)
    return values, misfits, as_sent and known == len(raw)


def _log_dropped(table: str, columns: Iterable[str]) -> None:
    """Once for each: an app is newer than this server, or the server was not started again after a
    migration. The names are anybody's, so there is an end to them."""
    for column in columns:
        if (table, column) not in _dropped and len(_dropped) < MOST_DROPPED:
            _dropped.add((table, column))
            log.warning("pushed, unknown here and dropped: %s.%s", table, ascii(column[:64]))


def changed_columns(table: SyncedTable, raw: dict[str, Any]) -> frozenset[str] | None:
    """The columns that `_changed` names; None when the record has no such key at all.

    One that is not a string, or names no column of the table, counts as empty (contract push 3).
    """
    if "_changed" not in raw:
        return None
    changed = raw["_changed"]
    if not changed or not isinstance(changed, str):
        return frozenset()
    return table.column_names.intersection(changed.split(","))


@functools.cache
def empty_values(table: SyncedTable) -> dict[str, Any]:
    """What a record starts with in the columns that were not sent."""
    return {column.name: column.empty for column in table.columns}


def explain(table: SyncedTable, values: dict[str, Any], misfits: list[str]) -> dict[str, Any]:
    """Why these columns cannot be kept whole: {column: [sentences]}."""
    return {c.name: c.kind.explain(values[c.name]) for c in table.columns if c.name in misfits}


@functools.cache
def _rules(table: SyncedTable) -> tuple[Rule, ...]:
    return tuple(
        (c.name, c.kind.is_right(), c.kind.put_right(c.empty), c.kind.holds())
        for c in table.columns
    )
