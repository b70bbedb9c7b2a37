"""A pull as text that MySQL and MariaDB write: one statement for all tables, no row in Python.

Each list of an answer is one GROUP_CONCAT of records that are JSON already. Both databases cut an
aggregate that grows too long, and leave NULL out, with no more than a warning. So each record ends
with a line feed, which a JSON text holds nowhere else, and there must be as many as there are rows;
a table that fails this, or whose device `adopted` records, is left to `changes.read_records`.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects import mysql

from melon_api.models.synced import SyncPush
from melon_api.sync import changes
from melon_api.sync.tables import Column, SyncedTable, synced_tables

LISTS = ("created", "updated", "deleted")
END = "\n"
STATEMENTS = 256  # kept; an app's migrations ask for others
# MySQL writes whole doubles from here on as 1e15; `as_javascript_writes` gives up at 2**63.
PLAIN_BELOW: ColumnElement[float] = literal_column("1e15")
ZERO: ColumnElement[float] = literal_column("0e0")
DIGITS_BELOW: ColumnElement[float] = literal_column("9223372036854775808e0")

TableText = dict[str, orjson.Fragment]
_log = SyncPush.__table__.c
_user: ColumnElement[Any] = bindparam("user")
_device: ColumnElement[Any] = bindparam("device")
_since: ColumnElement[Any] = bindparam("since")


class Scope(NamedTuple):
    """What is told of a table: everything (`is_first`), or what changed and beside it `adds`:
    the records that hold something in these columns, or all that live where it is empty.

    `is_new`: the app has just added the table, and the device has only its own (contract pull 5).
    """

    table: str
    is_first: bool = False
    adds: frozenset[str] | None = None
    is_new: bool = False


def read_text(
    connection: Connection, scopes: tuple[Scope, ...], user_id: str, device: int, since: int
) -> dict[str, TableText]:
    """The lists of each table that can be told in this way, and is whole."""
    if connection.dialect.name != "mysql":
        return {}
    statement, constants = _statement(scopes)
    told = constants | {"user": user_id, "device": device, "since": since}
    rows = connection.exec_driver_sql(statement, told).all()
    if any(count for name, count, *_ in rows if name == ""):
        return {}
    found = ((name, _whole(count, texts)) for name, count, *texts in rows if name)
    return {name: text for name, text in found if text}


def _whole(count: int, texts: Sequence[str | None]) -> TableText | None:
    if sum(text.count(END) for text in texts if text) != count:
        return None
    return {
        name: orjson.Fragment(f"[{text or ''}]") for name, text in zip(LISTS, texts, strict=True)
    }


@functools.lru_cache(STATEMENTS)
def _statement(scopes: tuple[Scope, ...]) -> tuple[str, dict[str, Any]]:
    """Made once, as text: SQLAlchemy would look at each part of it in every request."""
    parts = [_table(scope) for scope in scopes]
    if not all(scope.is_first for scope in scopes):
        parts.append(_adopted())
    compiled = union_all(*parts).compile(dialect=mysql.dialect(paramstyle="pyformat"))
    return str(compiled), dict(compiled.construct_params(_check=False))


def _adopted() -> Select[*tuple[Any, ...]]:
    """How many pushes brought what the device had and another one had made (contract pull 3)."""
    mine = and_(_log.user_id == _user, _log.clock > _since, _log.device == _device)
    nothing = (null() for _ in LISTS)
    return select(_text(""), func.count(), *nothing).where(mine, _log.adopted.is_not(None))


def _table(scope: Scope) -> Select[*tuple[Any, ...]]:
    table = synced_tables()[scope.table]
    c, record = table.table.c, _record(table)
    living = changes.is_living(table)
    if scope.is_first:
        lists = [record, null(), null()]
        told = living
    else:
        is_old = c.created_at_ms <= _since
        is_had = c.created_by == _device
        had = and_(not_(is_old), is_had) if scope.is_new else or_(is_old, is_had)
        gone = func.concat(_text('"'), c.id, _text(f'"{END}'))
        lists = [
            case((and_(living, not_(had)), record)),
            case((and_(living, had), record)),
            case((not_(living), gone)),
        ]
        told = _changed(table, scope.adds)
    columns = [func.group_concat(found) if found is not null() else found for found in lists]
    return select(_text(scope.table), func.count(), *columns).where(c.user_id == _user, told)


def _changed(table: SyncedTable, adds: frozenset[str] | None) -> ColumnElement[bool]:
    changed = table.table.c.updated_at_ms > _since
    if adds is None:
        return changed
    return or_(changed, changes.holds_something(table, adds) if adds else changes.is_living(table))


def _record(table: SyncedTable) -> ColumnElement[str]:
    """A row as JSON: NULL where a column is that may not be."""
    parts: list[ColumnElement[Any]] = [_text('{"id":"'), table.table.c.id, _text('"')]
    for column in table.columns:
        parts += [_text(f',"{column.name}":'), _value(table, column)]
    return func.concat(*parts, _text("}" + END))


def _value(table: SyncedTable, column: Column) -> ColumnElement[Any]:
    stored: Any = table.table.c[column.name]
    wire: Any = stored
    if column.kind == "string":
        wire = func.json_quote(stored)
    elif column.kind == "boolean":
        wire = case((stored == 1, _text("true")), (stored.is_not(None), _text("false")))
    elif column.kind == "number":
        is_whole = and_(stored == func.floor(stored), func.abs(stored) < DIGITS_BELOW)
        digits = cast(cast(stored, mysql.DECIMAL(20, 0)), mysql.CHAR)
        plain = stored + ZERO  # -0 becomes 0
        wire = case((func.abs(stored) < PLAIN_BELOW, plain), (is_whole, digits), else_=stored)
    return func.coalesce(wire, _text("null")) if column.optional else wire


def _text(text: str) -> ColumnElement[str]:
    """A constant of ours, which holds no quote of SQL and no backslash."""
    return literal_column(f"'{text}'")
