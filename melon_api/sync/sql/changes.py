"""The SQL of pull and of deletions: whole sets, no ORM objects, all statements name the account."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)

from melon_api.sync.rules.sanitize import as_javascript_writes
from melon_api.sync.rules.tables import Column, SyncedTable

IDS_PER_STATEMENT = 10_000
ROWS_AT_A_TIME = 200  # in memory, of a table that is read as a whole
CLOCKS = (
    "created_at_ms",
    "created_by",
    "updated_at_ms",
    "updated_by",
    "rival_at_ms",
    "is_deleted",
)


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
    if column.kind == "string":
        return func.hex(stored) != ""  # MySQL says that '  ' equals ''
    return stored != column.empty


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
        yield WireRecord(record, row[-6], row[-5], row[-1] == 1)


def delete_descendants(
    connection: Connection, tables: Iterable[SyncedTable], user_id: str, tick: int, device: int
) -> int:
    """Delete what hangs under the records deleted at `tick`, parents first; how many rows."""
    gone = Deletion(connection, user_id, tick, device)
    return sum(
        gone.of_children(table) + (gone.of_branches(table) if table.is_tree else 0)
        for table in tables
    )


@dataclass(frozen=True)
class Deletion:
    """The deletion of descendants, by one push."""

    connection: Connection
    user_id: str
    tick: int
    device: int

    def of_children(self, table: SyncedTable) -> int:
        """What belongs to records of other tables that were deleted at the tick."""
        count = 0
        for parent in table.parents:
            if parent.table != table.name:
                above = table.table.metadata.tables[parent.table].c
                gone = select(above.id).where(
                    above.user_id == self.user_id,
                    above.is_deleted.is_(True),
                    above.updated_at_ms == self.tick,
                )
                count += self._delete(table, table.table.c[parent.column].in_(gone))
        return count

    def of_branches(self, table: SyncedTable) -> int:
        """What belongs, at any depth, to deleted records of the same table. The tree is walked
        here: a statement for each level would read the deleted rows again each time."""
        c = table.table.c
        columns = [c[parent.column] for parent in table.parents if parent.table == table.name]
        query = select(c.id, c.is_deleted, *columns).where(
            c.user_id == self.user_id,
            or_(c.is_deleted.is_(False), c.updated_at_ms == self.tick),
        )
        below: dict[str, list[str]] = {}
        living: set[str] = set()
        fallen: list[str] = []
        for record_id, is_deleted, *named in self.connection.execute(query):
            for parent_id in filter(None, named):
                below.setdefault(parent_id, []).append(record_id)
            (fallen.append if is_deleted else living.add)(record_id)
        found: list[str] = []
        while fallen:
            for child in below.get(fallen.pop(), ()):
                if child in living:
                    living.discard(child)
                    found.append(child)
                    fallen.append(child)
        blocks = range(0, len(found), IDS_PER_STATEMENT)
        return sum(self._delete(table, c.id.in_(found[i : i + IDS_PER_STATEMENT])) for i in blocks)

    def _delete(self, table: SyncedTable, which: ColumnElement[bool]) -> int:
        c = table.table.c
        statement = (
            update(table.table)
            .where(c.user_id == self.user_id, c.is_deleted.is_(False), which)
            .values(
                updated_at_ms=self.tick,
                updated_by=self.device,
                rival_at_ms=self.tick,
                is_deleted=True,
            )
        )
        return int(self.connection.execute(statement).rowcount)


def living_records(
    connection: Connection, table: SyncedTable, user_id: str
) -> Iterator[dict[str, Any]]:
    """All living records, as the app's schema has them; read as they are asked for."""
    for rows in stream_records(connection, table, user_id, is_living(table)):
        yield from (record.values for record in wire_records(table, rows))


def delete_all(connection: Connection, tables: Iterable[SyncedTable], user_id: str) -> None:
    """Erase an account's records; no tombstone is left."""
    for table in tables:
        connection.execute(delete(table.table).where(table.table.c.user_id == user_id))


def _selected(table: SyncedTable) -> tuple[str, ...]:
    return ("id", *(column.name for column in table.columns), *CLOCKS)
