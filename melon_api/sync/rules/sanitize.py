"""What a pushed record becomes before it is looked at: the client's own `sanitizedRaw`.

A wrong type or a null becomes the column's empty value, 1 and 0 become booleans, unknown columns
are dropped, an absent column stays absent (contract push 5). Pure, and fast: Marshmallow is asked
only to explain a record that does not fit.
"""

import functools
import logging
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from melon_api.sync.rules.tables import Column, SyncedTable

log = logging.getLogger(__name__)

NOT_COLUMNS = {"id", "_status", "_changed"}
MOST_TOLD = 100
_dropped: set[tuple[str, str]] = set()  # that were told of

Rule = tuple[str, Callable[[Any], bool], Callable[[Any], Any], Callable[[Any], bool]]
EXACT_BITS, LONG_BITS = 53, 63  # of a double's whole numbers; of the JSON library's


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
        _tell_dropped(table.name, raw.keys() - values.keys() - NOT_COLUMNS)
    return values, misfits, as_sent and known == len(raw)


def _tell_dropped(table: str, columns: Iterable[str]) -> None:
    """Once for each: an app is newer than this server, or the server was not started again after a
    migration. The names are anybody's, so there is an end to them."""
    for column in columns:
        if (table, column) not in _dropped and len(_dropped) < MOST_TOLD:
            _dropped.add((table, column))
            log.warning("pushed, unknown here and dropped: %s.%s", table, ascii(column[:64]))


def as_javascript_writes(number: float) -> int | float:
    """A whole double as `JSON.stringify` writes it, where our JSON library can."""
    if abs(number) < 1 << EXACT_BITS:
        return int(number)
    return shortest_digits(number) if abs(number) < 1 << LONG_BITS else number


def shortest_digits(number: float) -> int:
    """The digits that tell a whole double from its neighbours, then zeros."""
    return int(Decimal(repr(number)))


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


@functools.cache
def _rules(table: SyncedTable) -> tuple[Rule, ...]:
    return tuple((c.name, _is_right(c), _put_right(c), _holds(c)) for c in table.columns)


def _is_right(column: Column) -> Callable[[Any], bool]:
    """Whether a value is plainly as it should be, which nearly all are; False decides nothing."""
    if column.kind == "boolean":
        return lambda value: value is True or value is False
    if column.kind == "string":
        most = column.characters or (column.octets or 0) // 4
        return lambda value: type(value) is str and len(value) <= most
    limit = 1 << ((column.bits - 1) if column.bits else EXACT_BITS)
    return lambda value: type(value) is int and -limit < value < limit


def _put_right(column: Column) -> Callable[[Any], Any]:
    empty = column.empty

    def string(value: Any) -> Any:
        return value if type(value) is str else empty

    def boolean(value: Any) -> Any:
        if type(value) is bool:
            return value
        return bool(value) if type(value) in (int, float) and value in (0, 1) else empty

    def number(value: Any) -> Any:
        if type(value) is int or (type(value) is float and math.isfinite(value)):
            return value or 0  # -0 is 0
        return empty

    def double(value: Any) -> Any:
        value = number(value)
        if type(value) is int and value.bit_length() > EXACT_BITS:
            exact = float(value)
            return exact if value in (int(exact), shortest_digits(exact)) else value
        return value

    def integer(value: Any) -> Any:
        value = number(value)
        return int(value) if type(value) is float and value.is_integer() else value

    return {"string": string, "boolean": boolean, "number": double, "integer": integer}[column.kind]


def _holds(column: Column) -> Callable[[Any], bool]:
    characters, octets = column.characters or 0, column.octets or 0

    def short(value: Any) -> bool:
        return value is None or len(value) <= characters

    def light(value: Any) -> bool:
        return value is None or len(value) * 4 <= octets or len(value.encode()) <= octets

    def exact(value: Any) -> bool:
        return type(value) is not int or value.bit_length() <= EXACT_BITS

    def whole(value: Any) -> bool:
        limit = 1 << ((column.bits or 64) - 1)
        return value is None or (type(value) is int and -limit <= value < limit)

    if column.kind == "string" and not column.refers:
        return short if characters else light
    return {"number": exact, "integer": whole}.get(column.kind, lambda value: True)
