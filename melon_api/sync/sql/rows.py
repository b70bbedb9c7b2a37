"""The stored rows that a push is about.

MySQL and MariaDB write them as JSON, with one statement for all tables: a driver in Python takes
ten times as long over ten thousand rows, and of a small push spent most on describing columns.

Many rows come as one text for each table. Both databases cut an aggregate that grows too long, and
leave NULL out, with no more than a warning. So, as in `reading`, each row ends with a line feed,
which a JSON text holds nowhere else, and there must be as many as there are rows; what fails this
is read row by row, as on SQLite. Few rows come as one text each: MariaDB makes a table on disk for
an aggregate of JSON, which takes as long as a hundred rows.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect

from melon_api.storage.prepared import Literals
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.merge import Row, StoredRows
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql.bulk import text_literal
from melon_api.sync.sql.changes import CLOCKS, IDS_PER_STATEMENT

END = "\n"
FEW = 100  # rows

Ids = Mapping[str, Collection[str]]  # table -> ids
Values = Iterable[Sequence[Any]]  # rows: id, own columns, clocks


def read_rows(connection: Connection, user_id: str, wanted: Ids) -> StoredRows:
    """The rows of these ids, which are well formed (contract push 11), living and deleted."""
    stored: StoredRows = {name: {} for name in wanted}
    for ids in _portions(wanted):
        for name, rows in _read(connection, user_id, ids):
            as_row = _row_maker(synced_tables()[name])
            stored[name] |= {row[0]: as_row(row) for row in rows}
    return stored


def _portions(wanted: Ids) -> Iterator[dict[str, list[str]]]:
    """What one statement asks for."""
    if sum(map(len, wanted.values())) <= IDS_PER_STATEMENT:
        yield {name: list(ids) for name, ids in wanted.items() if ids}
        return
    for name, ids in wanted.items():
        some = list(ids)
        for start in range(0, len(some), IDS_PER_STATEMENT):
            yield {name: some[start : start + IDS_PER_STATEMENT]}


def _read(
    connection: Connection, user_id: str, wanted: dict[str, list[str]]
) -> Iterator[tuple[str, Values]]:
    """The rows of each table; their ids are at most IDS_PER_STATEMENT."""
    whole: dict[str, Values] = {}
    if connection.dialect.name == "mysql" and wanted:
        is_few = sum(map(len, wanted.values())) <= FEW
        read_text = _read_few if is_few else _read_many
        whole = {n: orjson.loads(text) for n, text in read_text(connection, user_id, wanted)}
    for name, ids in wanted.items():
        yield name, whole[name] if name in whole else _read_each(connection, name, user_id, ids)


def _read_few(connection: Connection, user_id: str, wanted: Ids) -> Iterator[tuple[str, str]]:
    found = _ask(connection, user_id, wanted, _few_query)
    for name in wanted:
        rows = [text for table, text in found if table == name]
        if None not in rows:  # a row that is larger than the server sends
            yield name, f"[{','.join(rows)}]"


def _read_many(connection: Connection, user_id: str, wanted: Ids) -> Iterator[tuple[str, str]]:
    for name, count, text in _ask(connection, user_id, wanted, _many_query):
        rows = text or ""
        if rows.count(END) == count:
            yield name, f"[{rows}]"


def _ask(
    connection: Connection, user_id: str, wanted: Ids, query: Callable[[str, Dialect], str]
) -> Sequence[Sequence[Any]]:
    asked = " UNION ALL ".join(query(name, connection.dialect) for name in wanted)
    told = [value for ids in wanted.values() for value in (user_id, _listed(ids))]
    return connection.exec_driver_sql(asked, tuple(told)).all()


def _read_each(connection: Connection, name: str, user_id: str, ids: list[str]) -> Values:
    is_sqlite = connection.dialect.name == "sqlite"
    listed = orjson.dumps(ids).decode() if is_sqlite else _listed(ids)
    asked = _query(name, connection.dialect)
    rows: Values = connection.exec_driver_sql(asked, (user_id, listed)).cursor.fetchall()
    return rows


def _listed(ids: Collection[str]) -> Literals:
    return Literals(",".join(map(text_literal, ids)))


@functools.cache
def _few_query(name: str, dialect: Dialect) -> str:
    columns, table = _names(name, dialect)
    found = f"{text_literal(name)},JSON_ARRAY({columns}) FROM {table}"
    return f"SELECT {found} WHERE user_id = %s AND id IN (%s)"


@functools.cache
def _many_query(name: str, dialect: Dialect) -> str:
    columns, table = _names(name, dialect)
    found = f"COUNT(*),GROUP_CONCAT(JSON_ARRAY({columns}),'{END}') FROM {table}"
    return f"SELECT {text_literal(name)},{found} WHERE user_id = %s AND id IN (%s)"


@functools.cache
def _query(name: str, dialect: Dialect) -> str:
    """The parameters are the account and the ids, on SQLite as JSON."""
    columns, table = _names(name, dialect)
    is_sqlite = dialect.name == "sqlite"
    mine = "? AND id IN (SELECT value FROM json_each(?))" if is_sqlite else "%s AND id IN (%s)"
    return f"SELECT {columns} FROM {table} WHERE user_id = {mine}"  # noqa: S608 - names only


def _names(name: str, dialect: Dialect) -> tuple[str, str]:
    """The columns of a row, and the table."""
    quote = dialect.identifier_preparer.quote
    own = [quote(column.name) for column in synced_tables()[name].columns]
    return ",".join(["id", *own, *CLOCKS]), quote(name)


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
