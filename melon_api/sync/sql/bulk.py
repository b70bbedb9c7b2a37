"""The rows that a push made or changed, written in bulk.

In SQL text that is made once for each table, past SQLAlchemy's expression language, and with our
own literals where the driver would escape value by value: a push of 10,000 records spent more time
on both than on its rules. SQLite's driver binds fast and takes parameters.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect

from melon_api.models.synced import CLOCKS
from melon_api.storage.engine import statement_bytes
from melon_api.storage.prepared import Literals, change
from melon_api.sync.rules.kinds.texts import text_literal
from melon_api.sync.rules.tables import Row, SyncedTable

STATEMENT_BYTES = 1_000_000
_clocks = attrgetter("created", "created_by", "updated", "updated_by", "rival", "deleted")


@dataclass(frozen=True)
class Statements:
    """A table's SQL in one dialect."""

    insert: str
    upsert: str


def write(connection: Connection, table: SyncedTable, user_id: str, rows: Iterable[Row]) -> int:
    """Insert the new rows and overwrite the changed ones, in bulk; how many of both."""
    some = [row for row in rows if row.is_new or row.is_changed]
    if some:
        statements = _statements(table, connection.dialect)
        is_upsert = any(row.is_changed for row in some)
        statement = statements.upsert if is_upsert else statements.insert
        most = min(STATEMENT_BYTES, statement_bytes(connection))
        parameters = _parameters(connection.dialect, table, user_id, some, most)
        if len(parameters) == 1:
            change(connection, statement, parameters[0])
        else:
            connection.exec_driver_sql(statement, parameters)
    return len(some)


def _parameters(
    dialect: Dialect, table: SyncedTable, user_id: str, rows: list[Row], most: int
) -> list[tuple[Any, ...]]:
    values = itemgetter(*(column.name for column in table.columns))
    if dialect.name == "sqlite":
        return [(user_id, row.id, *values(row.values), *_clocks(row)) for row in rows]
    columns = zip(*(values(row.values) for row in rows), strict=True)
    own = [_literals(c.kind.literal, v) for c, v in zip(table.columns, columns, strict=True)]
    account = text_literal(user_id)
    ids = (f"({account},{text_literal(row.id)}" for row in rows)
    clocks = ("{:d},{:d},{:d},{:d},{:d},{:d})".format(*_clocks(row)) for row in rows)
    # In the order of the primary key: the text begins with it, and a quote is below what ids hold.
    written = sorted(map(",".join, zip(ids, *own, clocks, strict=True)))
    return [(Literals(text),) for text in _joined(written, most)]


def _joined(rows: Iterable[str], most: int) -> Iterator[str]:
    """In statements of at most so many bytes, but of one row at least."""
    some: list[str] = []
    size = 0
    for row in rows:
        octets = len(row) if row.isascii() else len(row.encode())
        if some and size + octets > most:
            yield ",".join(some)
            some, size = [], 0
        some.append(row)
        size += octets + 1
    if some:
        yield ",".join(some)


def _literals(literal: Callable[[Any], str], values: Iterable[Any]) -> list[str]:
    """One column of many rows, as MySQL reads it."""
    return ["NULL" if value is None else literal(value) for value in values]


@functools.cache
def _statements(table: SyncedTable, dialect: Dialect) -> Statements:
    """An upsert is an UPDATE of many rows at once, which no database has under that name."""
    quote = dialect.identifier_preparer.quote
    key, own = ["user_id", "id"], [quote(c.sql) for c in table.columns] + list(CLOCKS)
    name, columns = quote(table.table.name), ",".join(key + own)
    into = f"INSERT INTO {name} ({columns}) VALUES"
    if dialect.name == "sqlite":
        insert = f"{into} ({','.join('?' * len(key + own))})"
        pushed = ",".join(f"{c} = excluded.{c}" for c in own)
        upsert = f"{insert} ON CONFLICT (user_id, id) DO UPDATE SET {pushed}"
        return Statements(insert, upsert)
    # VALUES(…) is the one form that both MySQL and MariaDB know
    pushed = ",".join(f"{c} = VALUES({c})" for c in own)
    upsert = f"{into} %s ON DUPLICATE KEY UPDATE {pushed}"
    return Statements(f"{into} %s", upsert)
