"""A row as the JSON of a pull, in the SQL of MySQL and MariaDB: bytes, and to the last digit what
Python makes of the row (tests/api/test_reading.py)."""

from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    cast,
    func,
    literal_column,
)
from sqlalchemy.dialects import mysql

from melon_api.sync.rules.tables import Column, SyncedTable

END = "\n"
_quote = mysql.dialect().identifier_preparer.quote


def record_id(table: SyncedTable) -> ColumnElement[Any]:
    """A row's id as JSON."""
    return as_bytes('"', table.table.c.id, constant(f'"{END}'))


def record(table: SyncedTable) -> ColumnElement[str]:
    """A row as JSON: NULL where a column is that may not be."""
    parts: list[ColumnElement[Any]] = [table.table.c.id]
    before = '"'
    for column in table.columns:
        parts += [constant(f'{before},"{column.name}":'), _value(column)]
        before = ""
    return as_bytes('{"id":"', *parts, constant("}" + END))


def as_bytes(first: str, *parts: ColumnElement[Any]) -> ColumnElement[Any]:
    """Pieces in a row, as bytes. All are UTF-8 already (JSON_QUOTE's answer, ASCII, digits), so
    neither the database nor the driver need look at each character again."""
    return func.concat(cast(constant(first), mysql.BINARY), *parts)


def _value(column: Column) -> ColumnElement[Any]:
    wire: ColumnElement[Any] = literal_column(column.kind.json.format(_quote(column.sql)))
    return func.coalesce(wire, constant("null")) if column.optional else wire


def constant(text: str) -> ColumnElement[str]:
    """A constant of ours, which holds no quote of SQL and no backslash."""
    return literal_column(f"'{text}'")


def compiled(statement: ClauseElement) -> tuple[str, dict[str, Any]]:
    """The driver's text, and the parameters whose values are known already."""
    made: Any = statement.compile(dialect=mysql.dialect(paramstyle="pyformat"))
    return str(made), dict(made.construct_params(_check=False))
