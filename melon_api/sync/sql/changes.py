"""The SQL of pull: whole sets, no ORM objects, all statements name the account."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    or_,
    select,
)

from melon_api.models.synced import CLOCKS
from melon_api.sync.rules.tables import Column, SyncedTable

ROWS_AT_A_TIME = 200  # in memory, of a table that is read as a whole


def stream_records(
    connection: Connection,
    table: SyncedTable,
    user_id: str,
    condition: ColumnElement[bool],
    most: int | None = None,
) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """The account's rows that fulfil `condition`: id, columns, clocks.

    Some at a time, so that they are never all in memory; nothing else may be asked of the
    connection meanwhile. `most`: only so many, the first in the order of the primary key.
    """
    query = _records(table, user_id, condition).execution_options(yield_per=ROWS_AT_A_TIME)
    if most is not None:
        query = query.order_by(table.table.c.id).limit(most)
    with connection.execute(query) as result:
        yield from result.partitions()


def _records(
    table: SyncedTable, user_id: str, condition: ColumnElement[bool]
) -> Select[*tuple[Any, ...]]:
    columns = [table.table.c[name] for name in _selected(table)]
    return select(*columns).where(table.table.c.user_id == user_id, condition)


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
    exact = column.kind.compared_by
    return (getattr(func, exact)(stored) if exact else stored) != column.empty


@dataclass(frozen=True, slots=True)
class WireRecord:
    """A record as the app's schema has it, and what decides where in an answer it stands."""

    values: dict[str, Any]
    created_at: int
    created_by: int
    is_deleted: bool


def wire_records(table: SyncedTable, rows: Iterable[Sequence[Any]]) -> Iterator[WireRecord]:
    """The rows of `stream_records`, in the types of the wire."""
    names = ("id", *(column.name for column in table.columns))
    kinds = [(column.name, column.kind.to_wire()) for column in table.columns]
    converted = [(name, convert) for name, convert in kinds if convert]
    for row in rows:
        record = dict(zip(names, row, strict=False))
        for name, convert in converted:
            record[name] = convert(record[name])
        yield WireRecord(record, row[-6], row[-5], row[-1] == 1)


def living_records(
    connection: Connection, table: SyncedTable, user_id: str
) -> Iterator[dict[str, Any]]:
    """All living records, as the app's schema has them; read as they are asked for."""
    for rows in stream_records(connection, table, user_id, is_living(table)):
        yield from (record.values for record in wire_records(table, rows))


def _selected(table: SyncedTable) -> tuple[str, ...]:
    return ("id", *(column.name for column in table.columns), *CLOCKS)
