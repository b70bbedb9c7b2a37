"""What a pushed record becomes before it is looked at: the client's own `sanitizedRaw`.

A wrong type or a null becomes the column's empty value, 1 and 0 become booleans, unknown columns
are dropped, an absent column stays absent (contract push 5). What is right and what fits is said by
a column's kind.
"""

import functools
from collections.abc import Collection
from itertools import islice
from typing import Any

from melon_api.sync.rules.kinds.kind import Convert, Decide, Repair
from melon_api.sync.rules.tables import SyncedTable

NOT_COLUMNS = {"id", "_status", "_changed"}
MOST_UNKNOWN = 20  # columns of one record that are named; an older server knows a few less

Rule = tuple[str, Decide, Convert, Decide]  # column, is_right, put_right, holds


def sanitize(
    table: SyncedTable, raw: dict[str, Any]
) -> tuple[dict[str, Any], list[str], Collection[Repair]]:
    """(values, misfits, repairs): what to store, the columns that cannot be kept whole, and what
    was put right; where nothing was, the values are what the device has."""
    values: dict[str, Any] = {}
    misfits: list[str] = []
    repairs: list[Repair] = []
    for name, is_right, put_right, holds in _rules(table):
        if name in raw:
            sent = raw[name]
            if is_right(sent):
                values[name] = sent
                continue
            value = values[name] = put_right(sent)
            if not holds(value):
                misfits.append(name)
            if value is not sent and (value != sent or sent is False):  # which equals 0
                repairs.append((name, "null" if sent is None else "type"))
    known = len(values) + ("id" in raw) + ("_status" in raw) + ("_changed" in raw)
    if known != len(raw):
        unknown = (name for name in raw if name not in values and name not in NOT_COLUMNS)
        repairs.extend((name, "unknown") for name in islice(unknown, MOST_UNKNOWN))
    return values, misfits, repairs or ()


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
