"""The stored rows that a push is about.

MySQL and MariaDB write them as JSON, with one statement for all tables: a driver in Python takes
ten times as long over ten thousand rows, and of a small push spent most on describing columns.

Many rows come as one text for each table. Both databases cut an aggregate that grows too long, and
leave NULL out, with no more than a warning. So, as in `reading`, each row ends with a line feed,
which a JSON text holds nowhere else, and there must be as many as there are rows; what fails this
is read row by row, as on SQLite. Few rows come as one text each: MariaDB makes a table on disk for
an aggregate of JSON, which takes as long as a hundred rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Dialect

from melon_api.models.synced import CLOCKS
from melon_api.storage.prepared import Rows, ask, one_of_texts, texts_parameter
from melon_api.sync.rules.kinds.texts import text_literal
from melon_api.sync.rules.tables import ID, Row, StoredRows, SyncedTable, Tables, portions

if TYPE_CHECKING:
    from melon_api.sync.rules.pushed import PushedTable

END = "\n"
IDS_PER_STATEMENT = 10_000
FEW = 100  # rows

Ids = Mapping[SyncedTable, Collection[str]]
Values = Iterable[Sequence[Any]]  # rows: id, own columns, clocks


def read_rows(
    connection: Connection, tables: Tables, user_id: str, wanted: Mapping[str, Collection[str]]
) -> StoredRows:
    """The rows of the `wanted` ids, by table, living and deleted; the ids are well formed (contract
    push 11)."""
    stored: StoredRows = {name: {} for name in wanted}
    asked = {tables[name]: ids for name, ids in wanted.items()}
    for ids in portions(asked, IDS_PER_STATEMENT):
        for table, rows in _read(connection, user_id, ids):
            as_row = row_maker(table)
            stored[table.name] |= {row[0]: as_row(row) for row in rows}
    return stored


def read_named(
    connection: Connection, tables: Tables, user_id: str, pushed: list[PushedTable]
) -> StoredRows:
    """The rows a push is about, and the parents that it names."""
    return read_rows(connection, tables, user_id, named(pushed))


def named(pushed: list[PushedTable]) -> dict[str, set[str]]:
    """The ids of what a push is about, and of the parents that it names, by table."""
    wanted: dict[str, set[str]] = {part.table.name: set() for part in pushed}
    for part in pushed:
        ids = wanted[part.table.name]
        ids.update(record.id for record in part.records)
        ids.update(place.id for place in part.deletions)
        for parent in part.table.parents:
            above = {record.values.get(parent.column) for record in part.records}
            wanted.setdefault(parent.table, set()).update(i for i in above if i and ID.match(i))
    return wanted


def _read(
    connection: Connection, user_id: str, wanted: dict[SyncedTable, list[str]]
) -> Iterator[tuple[SyncedTable, Values]]:
    """The rows of each table; their ids are at most IDS_PER_STATEMENT."""
    whole: dict[str, Values] = {}
    if connection.dialect.name == "mysql" and wanted:
        is_few = sum(map(len, wanted.values())) <= FEW
        read_text = _read_few if is_few else _read_many
        whole = {n: orjson.loads(text) for n, text in read_text(connection, user_id, wanted)}
    for table, ids in wanted.items():
        known = whole.get(table.name)
        yield table, _read_each(connection, table, user_id, ids) if known is None else known


def _read_few(connection: Connection, user_id: str, wanted: Ids) -> Iterator[tuple[str, str]]:
    found = _ask(connection, user_id, wanted, _few_query)
    for table in wanted:
        rows = [text for name, text in found if name == table.name]
        if None not in rows:  # a row that is larger than the server sends
            yield table.name, f"[{','.join(rows)}]"


def _read_many(connection: Connection, user_id: str, wanted: Ids) -> Iterator[tuple[str, str]]:
    for name, count, text in _ask(connection, user_id, wanted, _many_query):
        rows = text or ""
        if rows.count(END) == count:
            yield name, f"[{rows}]"


def _ask(
    connection: Connection, user_id: str, wanted: Ids, query: Callable[[SyncedTable, Dialect], str]
) -> Rows:
    asked = " UNION ALL ".join(query(table, connection.dialect) for table in wanted)
    listed = (texts_parameter(connection.dialect, ids, text_literal) for ids in wanted.values())
    values = [value for ids in listed for value in (user_id, ids)]
    return ask(connection, asked, values)


def _read_each(connection: Connection, table: SyncedTable, user_id: str, ids: list[str]) -> Values:
    listed = texts_parameter(connection.dialect, ids, text_literal)
    asked = _query(table, connection.dialect)
    return ask(connection, asked, (user_id, listed))


@functools.cache
def _few_query(table: SyncedTable, dialect: Dialect) -> str:
    columns, name = columns_and_table(table, dialect)
    found = f"{text_literal(table.name)},JSON_ARRAY({columns}) FROM {name}"
    return f"SELECT {found} WHERE user_id = %s AND id IN (%s)"


@functools.cache
def _many_query(table: SyncedTable, dialect: Dialect) -> str:
    columns, name = columns_and_table(table, dialect)
    found = f"COUNT(*),GROUP_CONCAT(JSON_ARRAY({columns}),'{END}') FROM {name}"
    return f"SELECT {text_literal(table.name)},{found} WHERE user_id = %s AND id IN (%s)"


@functools.cache
def _query(table: SyncedTable, dialect: Dialect) -> str:
    """The parameters are the account and the ids, on SQLite as JSON."""
    columns, name = columns_and_table(table, dialect)
    mine = "?" if dialect.name == "sqlite" else "%s"
    here = f"FROM {name} WHERE user_id = {mine} AND id {one_of_texts(dialect)}"
    return f"SELECT {columns} {here}"


def columns_and_table(table: SyncedTable, dialect: Dialect) -> tuple[str, str]:
    """The columns of a row, as `row_maker` takes them, and the table, in SQL."""
    quote = dialect.identifier_preparer.quote
    own = [quote(column.sql) for column in table.columns]
    return ",".join(["id", *own, *CLOCKS]), quote(table.table.name)


@functools.cache
def row_maker(table: SyncedTable) -> Callable[[Sequence[Any]], Row]:
    """Makes a row of its columns, those of JSON among them."""
    names = [column.name for column in table.columns]
    kinds = [(column.name, column.kind.from_database()) for column in table.columns]
    converted = [(name, convert) for name, convert in kinds if convert]

    def as_row(row: Sequence[Any]) -> Row:
        values = dict(zip(names, row[1:-6], strict=True))
        for name, convert in converted:
            values[name] = convert(values[name])
        created, created_by, updated, updated_by, rival, deleted = row[-6:]
        return Row(row[0], values, created, created_by, updated, updated_by, rival, deleted == 1)

    return as_row
