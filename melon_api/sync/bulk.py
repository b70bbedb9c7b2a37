"""The rows that a push is about, read and written in bulk.

In SQL text that is made once for each table, past SQLAlchemy's expression language, and with our
own literals where the driver would escape value by value: a push of 10,000 records spent more time
on both than on its rules. SQLite's driver binds fast and takes parameters.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect

from melon_api.database import Literals
from melon_api.sync.changes import CLOCKS, IDS_PER_STATEMENT
from melon_api.sync.merge import Row
from melon_api.sync.tables import Kind, SyncedTable

STATEMENT_BYTES = 1_000_000  # far below any server's max_allowed_packet
_clocks = attrgetter("created", "created_by", "updated", "updated_by", "rival", "deleted")


@dataclass(frozen=True)
class Statements:
    """A table's SQL in one dialect; the parameters of `read` are the account and the ids."""

    read: str
    insert: str
    upsert: str


def read_rows(
    connection: Connection, table: SyncedTable, user_id: str, ids: Iterable[str]
) -> dict[str, Row]:
    """The stored rows of these ids, which are well formed (contract push 8), living and deleted."""
    wanted = list(ids)
    read = _statements(table, connection.dialect).read
    as_row = _row_maker(table)
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), IDS_PER_STATEMENT):
        some = wanted[start : start + IDS_PER_STATEMENT]
        result = connection.exec_driver_sql(read, (user_id, _listed(connection, some)))
        found |= {row[0]: as_row(row) for row in result.cursor.fetchall()}
    return found


def _listed(connection: Connection, ids: list[str]) -> str | Literals:
    if connection.dialect.name == "sqlite":
        return orjson.dumps(ids).decode()
    return Literals(",".join(map(_text, ids)))


def _row_maker(table: SyncedTable) -> Callable[[Sequence[Any]], Row]:
    names = [column.name for column in table.columns]
    booleans = [column.name for column in table.columns if column.kind == "boolean"]

    def as_row(row: Sequence[Any]) -> Row:
        values = dict(zip(names, row[1:-6], strict=True))
        for name in booleans:
            if (flag := values[name]) is not None:
                values[name] = flag == 1
        created, created_by, updated, updated_by, rival, deleted = row[-6:]
        return Row(row[0], values, created, created_by, updated, updated_by, rival, deleted == 1)

    return as_row


def write(connection: Connection, table: SyncedTable, user_id: str, rows: Iterable[Row]) -> int:
    """Insert the new rows and overwrite the changed ones, in bulk; how many of both."""
    new = [row for row in rows if row.is_new]
    changed = [row for row in rows if row.is_changed]
    statements = _statements(table, connection.dialect)
    for statement, some in ((statements.insert, new), (statements.upsert, changed)):
        if some:
            parameters = _parameters(connection.dialect, table, user_id, some)
            connection.exec_driver_sql(statement, parameters)
    return len(new) + len(changed)


def _parameters(
    dialect: Dialect, table: SyncedTable, user_id: str, rows: list[Row]
) -> list[tuple[Any, ...]]:
    if dialect.name == "sqlite":
        values = itemgetter(*(column.name for column in table.columns))
        return [(user_id, row.id, *values(row.values), *_clocks(row)) for row in rows]
    own = [_literals(c.kind, [row.values[c.name] for row in rows]) for c in table.columns]
    account = _text(user_id)
    ids = (f"({account},{_text(row.id)}" for row in rows)
    clocks = ("{:d},{:d},{:d},{:d},{:d},{:d})".format(*_clocks(row)) for row in rows)
    written = map(",".join, zip(ids, *own, clocks, strict=True))
    return [(Literals(text),) for text in _joined(written)]


def _joined(rows: Iterable[str]) -> Iterator[str]:
    """In statements of at most STATEMENT_BYTES, but of one row at least."""
    some: list[str] = []
    size = 0
    for row in rows:
        octets = len(row) if row.isascii() else len(row.encode())
        if some and size + octets > STATEMENT_BYTES:
            yield ",".join(some)
            some, size = [], 0
        some.append(row)
        size += octets + 1
    if some:
        yield ",".join(some)


def _literals(kind: Kind, values: Iterable[Any]) -> list[str]:
    """One column of many rows, as MySQL reads it."""
    write_out = _text if kind == "string" else _number
    return ["NULL" if value is None else write_out(value) for value in values]


def _text(value: str) -> str:
    """A string literal. Our sessions' sql_mode (config.MYSQL_SESSION) has backslash escapes; were
    it without them, no text could end the literal either."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _number(value: float) -> str:
    """An integer, a boolean or a double, with an exponent: without, it would be a decimal."""
    if type(value) is not float:
        return str(int(value))
    text = repr(value)
    return text if "e" in text else text + "e0"


@functools.cache
def _statements(table: SyncedTable, dialect: Dialect) -> Statements:
    """An upsert is an UPDATE of many rows at once, which no database has under that name."""
    quote = dialect.identifier_preparer.quote
    key, own = ["user_id", "id"], [quote(c.name) for c in table.columns] + list(CLOCKS)
    name, columns = quote(table.name), ",".join(key + own)
    read = f"SELECT {','.join(['id', *own])} FROM {name} WHERE user_id ="  # noqa: S608 - names only
    into = f"INSERT INTO {name} ({columns}) VALUES"
    if dialect.name == "sqlite":
        insert = f"{into} ({','.join('?' * len(key + own))})"
        pushed = ",".join(f"{c} = excluded.{c}" for c in own)
        upsert = f"{insert} ON CONFLICT (user_id, id) DO UPDATE SET {pushed}"
        read += " ? AND id IN (SELECT value FROM json_each(?))"
        return Statements(read, insert, upsert)
    # VALUES(…) is the one form that both MySQL and MariaDB know
    pushed = ",".join(f"{c} = VALUES({c})" for c in own)
    upsert = f"{into} %s ON DUPLICATE KEY UPDATE {pushed}"
    return Statements(f"{read} %s AND id IN (%s)", f"{into} %s", upsert)
