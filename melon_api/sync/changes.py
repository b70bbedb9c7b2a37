"""The SQL of pull and push: whole sets, no ORM objects, every statement names the account."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from melon_api.sync.merge import Row
from melon_api.sync.sanitize import as_javascript_writes
from melon_api.sync.tables import Column, Parent, SyncedTable

IDS_PER_STATEMENT = 10_000
CLOCKS = ("created_at_ms", "updated_at_ms", "rival_at_ms", "is_deleted")


def read_records(
    connection: Connection,
    table: SyncedTable,
    user_id: str,
    condition: ColumnElement[bool],
    most: int | None = None,
) -> Sequence[tuple[Any, ...]]:
    """The account's rows that fulfil `condition`, as the driver gives them: id, columns, clocks.

    `most`: only so many, the first in the order of the primary key.
    """
    columns = [table.table.c[name] for name in _selected(table)]
    query = select(*columns).where(table.table.c.user_id == user_id, condition)
    if most is not None:
        query = query.order_by(table.table.c.id).limit(most)
    cursor = connection.execute(query).cursor
    rows: Sequence[tuple[Any, ...]] = cursor.fetchall() if cursor else ()
    return rows


def is_living(table: SyncedTable) -> ColumnElement[bool]:
    return table.table.c.is_deleted.is_(False)


def changed_since(table: SyncedTable, since: int) -> ColumnElement[bool]:
    return table.table.c.updated_at_ms > since


def is_behind(table: SyncedTable, record_id: str) -> ColumnElement[bool]:
    return table.table.c.id > record_id


def is_born_by(table: SyncedTable, clock: int) -> ColumnElement[bool]:
    return table.table.c.created_at_ms <= clock


def holds_something(table: SyncedTable, names: Iterable[str]) -> ColumnElement[bool]:
    """Living, and one of these columns is not what the client's migration gives it (pull 5)."""
    columns = [column for column in table.columns if column.name in set(names)]
    return and_(is_living(table), or_(*(_is_set(table, column) for column in columns)))


def _is_set(table: SyncedTable, column: Column) -> ColumnElement[bool]:
    stored = table.table.c[column.name]
    if column.optional:
        return stored.is_not(None)
    if column.kind == "string":
        return func.length(stored) > 0  # MySQL says that '  ' equals ''
    return stored != column.empty


def wire_records(
    table: SyncedTable, rows: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[dict[str, Any], int, bool]]:
    """(record as the app's schema has it, clock of its creation, whether it is deleted)."""
    names = ("id", *(column.name for column in table.columns))
    booleans = [column.name for column in table.columns if column.kind == "boolean"]
    numbers = [column.name for column in table.columns if column.kind == "number"]
    for row in rows:
        record = dict(zip(names, row, strict=False))
        for name in booleans:
            if (flag := record[name]) is not None:
                record[name] = flag == 1
        for name in numbers:
            if type(value := record[name]) is float and value.is_integer():
                record[name] = as_javascript_writes(value)
        yield record, row[-4], row[-1] == 1


def read_rows(
    connection: Connection, table: SyncedTable, user_id: str, ids: Iterable[str]
) -> dict[str, Row]:
    """The stored rows of these ids, living and deleted."""
    wanted, found = list(ids), {}
    for start in range(0, len(wanted), IDS_PER_STATEMENT):
        chosen = table.table.c.id.in_(wanted[start : start + IDS_PER_STATEMENT])
        for row in read_records(connection, table, user_id, chosen):
            found[row[0]] = _row(table, row)
    return found


def _row(table: SyncedTable, row: tuple[Any, ...]) -> Row:
    values = {column.name: value for column, value in zip(table.columns, row[1:], strict=False)}
    for column in table.columns:
        if column.kind == "boolean" and values[column.name] is not None:
            values[column.name] = values[column.name] == 1
    created, updated, rival, deleted = row[-4:]
    return Row(row[0], values, created, updated, rival, deleted == 1)


def write(connection: Connection, table: SyncedTable, user_id: str, rows: Iterable[Row]) -> int:
    """Insert the new rows and overwrite the changed ones, in bulk; how many of both."""
    new = [_parameters(user_id, row) for row in rows if row.is_new]
    changed = [_parameters(user_id, row) for row in rows if row.is_changed]
    if new:
        connection.execute(insert(table.table), new)
    if changed:
        connection.execute(_upsert(connection, table), changed)
    return len(new) + len(changed)


def _parameters(user_id: str, row: Row) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "id": row.id,
        **row.values,
        "created_at_ms": row.created,
        "updated_at_ms": row.updated,
        "rival_at_ms": row.rival,
        "is_deleted": row.deleted,
    }


def _upsert(connection: Connection, table: SyncedTable) -> Any:
    """An UPDATE of many rows at once, which neither database has under that name."""
    columns = [c for c in table.table.columns if not c.primary_key]
    if connection.dialect.name == "sqlite":
        statement = sqlite_insert(table.table)
        values = {c.name: statement.excluded[c.name] for c in columns}
        return statement.on_conflict_do_update(index_elements=["user_id", "id"], set_=values)
    # VALUES(…) is the one form that both MySQL and MariaDB know
    pushed: dict[str, Any] = {c.name: func.values(c) for c in columns}
    return mysql_insert(table.table).on_duplicate_key_update(pushed)


def delete_descendants(
    connection: Connection, tables: Iterable[SyncedTable], user_id: str, tick: int
) -> int:
    """Delete what hangs under the records deleted at `tick`, parents first; how many rows."""
    count = 0
    for table in tables:
        down = [parent for parent in table.parents if parent.table != table.name]
        tree = [parent for parent in table.parents if parent.table == table.name]
        count += sum(_delete_children(connection, table, p, user_id, tick) for p in down)
        while hit := sum(_delete_children(connection, table, p, user_id, tick) for p in tree):
            count += hit
    return count


def _delete_children(
    connection: Connection, table: SyncedTable, parent: Parent, user_id: str, tick: int
) -> int:
    above = table.table.metadata.tables[parent.table].alias("above").c
    # DISTINCT makes MySQL materialise it: a table that refers to itself may not be read otherwise
    gone = (
        select(above.id)
        .where(above.user_id == user_id, above.is_deleted.is_(True), above.updated_at_ms == tick)
        .distinct()
        .subquery("gone")
    )
    mine = table.table.c
    below = mine[parent.column].in_(select(gone.c.id))
    statement = (
        update(table.table)
        .where(mine.user_id == user_id, mine.is_deleted.is_(False), below)
        .ordered_values(  # MySQL assigns from left to right
            (mine.rival_at_ms, mine.updated_at_ms),
            (mine.updated_at_ms, bindparam("tick", tick)),
            (mine.is_deleted, True),
        )
    )
    return int(connection.execute(statement).rowcount)


def living_records(
    connection: Connection, table: SyncedTable, user_id: str
) -> list[dict[str, Any]]:
    """All living records, as the app's schema has them."""
    rows = read_records(connection, table, user_id, is_living(table))
    return [record for record, _, _ in wire_records(table, rows)]


def delete_all(connection: Connection, tables: Iterable[SyncedTable], user_id: str) -> None:
    """Erase an account's records; no tombstone is left."""
    for table in tables:
        connection.execute(delete(table.table).where(table.table.c.user_id == user_id))


def _selected(table: SyncedTable) -> tuple[str, ...]:
    return ("id", *(column.name for column in table.columns), *CLOCKS)
