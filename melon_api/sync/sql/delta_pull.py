"""A pull row by row: what came since a clock, pages, replacements, what a migration adds, exports
and checks are the same rows within other bounds (contract, Pull).

`read_few` is the ordinary pull, which most are: the clock and few rows, as text that MySQL and
MariaDB write, with one statement. (A GROUP_CONCAT makes a table on MariaDB's disk, which takes
longer than to read a hundred rows.) `read_rows` reads any, a few at a time, on every database.
"""

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Row,
    Select,
    case,
    cast,
    func,
    not_,
    select,
    union_all,
)
from sqlalchemy.dialects import mysql

from melon_api.models.synced import CLOCKS, Adoption, index_name
from melon_api.models.user import User
from melon_api.storage.prepared import ask
from melon_api.sync.rules.history import History
from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import Scope, Walk
from melon_api.sync.sql import adoptions, clock
from melon_api.sync.sql.changes_text import LISTS, ChangesText
from melon_api.sync.sql.clock import AccountClock
from melon_api.sync.sql.record_text import as_bytes, compiled, constant, record, record_id
from melon_api.sync.sql.scope import (
    USER,
    DeltaQuery,
    has_adopted,
    is_had,
    is_living,
    select_included,
)

FEW = 250  # rows of a table
ROWS_AT_A_TIME = 200  # in memory, of a table that is read as a whole
# Each row of few begins with what it is: one of these, or the place of a record in the answer.
CLOCK, ADOPTED, COLON = "clock", "adopted", b":"

Found = dict[str, list[bytes]]  # records by `<table>.<list>`
Rows = Sequence[Row[*tuple[Any, ...]]]  # id, own columns, clocks


def writes_text(dialect: Dialect) -> bool:
    """Whether this database writes records as a phone gets them."""
    return dialect.name == "mysql"


def read_few(
    connection: Connection, tables: Tables, query: DeltaQuery
) -> tuple[AccountClock, Found] | None:
    """The clock and what came after `since`, as of this snapshot. None where it cannot be said in
    this way: for too many rows, and for a device that `adopted` records."""
    if not writes_text(connection.dialect):
        return None
    statement, constants = _few_statement(tuple(tables.values()))
    rows = [row[0] for row in ask(connection, statement, constants | query._asdict())]
    if None in rows:  # a record that is no JSON
        return None
    by_kind: dict[bytes, list[bytes]] = defaultdict(list)
    for row in rows:  # often a hundred: no call more than these
        kind, _, text = row.partition(COLON)
        by_kind[kind].append(text)
    found = {kind.decode(): texts for kind, texts in by_kind.items()}
    clocks = found.pop(CLOCK, None)
    if not clocks or ADOPTED in found or _is_cut(found):
        return None
    value, purged, beyond, opened = clocks[0].split(COLON, 3)
    return AccountClock(int(value), int(purged), int(beyond), opened.decode()), found


def include_few(found: Found, changes: ChangesText) -> None:
    """Add the records to an answer."""
    for place, records in found.items():
        table, _, name = place.partition(".")
        changes.add(table, name, b",".join(records), len(records))


def _is_cut(found: Found) -> bool:
    counts: dict[str, int] = {}
    for place, records in found.items():
        table = place.partition(".")[0]
        counts[table] = counts.get(table, 0) + len(records)
    return max(counts.values(), default=0) > FEW


@functools.cache
def _few_statement(tables: tuple[SyncedTable, ...]) -> tuple[str, dict[str, Any]]:
    device = Adoption.__table__.c.device
    adopted = select(as_bytes(ADOPTED, constant(":"), device)).where(has_adopted()).limit(1)
    return compiled(union_all(_clock(), adopted, *map(_few_of, tables)))


def _clock() -> Select[Any]:
    pieces: list[Any] = []
    for column in clock.COLUMNS:
        pieces += [constant(":"), column]
    return select(as_bytes(CLOCK, *pieces)).where(User.id == USER)


def _few_of(table: SyncedTable) -> Select[Any]:
    scope, living = Scope(table.name), is_living(table)

    def at(name: str) -> ColumnElement[Any]:
        return cast(constant(f"{table.name}.{name}:"), mysql.BINARY)

    had = is_had(table, scope)
    place = case((not_(living), at("deleted")), (had, at("updated")), else_=at("created"))
    text = case((living, record(table)), else_=record_id(table))
    # By its clock: of a new account the optimizer knows nothing, and may read all of it.
    by_clock = f"FORCE INDEX ({index_name(table.table.name, 'updated_at_ms')})"
    few = select_included(table, scope, func.concat(place, text)).limit(FEW + 1)
    return few.with_hint(table.table, by_clock, "mysql")


def read_rows(
    connection: Connection,
    table: SyncedTable,
    scope: Scope,
    query: DeltaQuery,
    *bounds: ColumnElement[bool],
    most: int | None = None,
) -> Iterator[Rows]:
    """The account's rows in this scope and within these bounds.

    Some at a time, so that they are never all in memory; nothing else may be asked of the
    connection meanwhile. `most`: only so many, the first in the order of the primary key.
    """
    own = map(table.column, _names(table))
    columns = [table.table.c.id, *own, *(table.table.c[name] for name in CLOCKS)]
    asked = select_included(table, scope, *columns).where(*bounds)
    if most is not None:
        asked = asked.order_by(table.table.c.id).limit(most)
    some_at_a_time = asked.execution_options(yield_per=ROWS_AT_A_TIME)
    with connection.execute(some_at_a_time, query._asdict()) as result:
        yield from result.partitions()


def read_living(
    connection: Connection, table: SyncedTable, query: DeltaQuery
) -> Iterator[dict[str, Any]]:
    """All living records, as the app's schema has them; read as they are asked for."""
    for rows in read_rows(connection, table, Scope(table.name, is_first=True), query):
        yield from wire_values(table, rows)


def texts(
    connection: Connection, table: SyncedTable, at: Mapping[str, str | None]
) -> Iterator[tuple[str, bytes]]:
    """These living records by their ids, each read in the space that it is in."""
    for space in {space for space in at.values() if space}:
        only = table.table.c.id.in_([i for i, name in at.items() if name == space])
        query, whole = DeltaQuery(space, 0, 0), Scope(table.name, is_first=True)
        for rows in read_rows(connection, table, whole, query, only):
            for values in wire_values(table, rows):
                yield values["id"], orjson.dumps(values)


def wire_values(table: SyncedTable, rows: Rows) -> Iterator[dict[str, Any]]:
    """The records of these rows, in the types of the wire."""
    names = ("id", *_names(table))
    kinds = [(column.name, column.kind.to_wire()) for column in table.columns]
    converted = [(name, convert) for name, convert in kinds if convert]
    for row in rows:
        values = dict(zip(names, row, strict=False))
        for name, convert in converted:
            values[name] = convert(values[name])
        yield values


def include_rows(
    changes: ChangesText, table: SyncedTable, scope: Scope, rows: Rows, history: History
) -> None:
    """Created, updated or deleted, as the asking device sees it (contract pull 3)."""
    lists: dict[str, list[Any]] = {key: [] for key in LISTS}
    for row, values in zip(rows, wire_values(table, rows), strict=True):
        if row[-1]:
            lists["deleted"].append(row[0])
        else:
            lists[history.list_of(scope, row[0], row[-6], row[-5])].append(values)
    for key, found in lists.items():
        changes.add(table.name, key, orjson.dumps(found)[1:-1], len(found))


def read_page(
    connection: Connection,
    tables: Tables,
    query: DeltaQuery,
    walk: Walk,
    limit: int | None,
    changes: ChangesText,
) -> Walk | None:
    """The next `limit` records and deletions, or all that is left; where the next page begins.

    Table by table, parents first, in the order of the primary key. That order never changes, so no
    record is skipped or comes twice, whatever is pushed between the pages (contract pull 6).
    """
    history = read_history(connection, query)
    room, continued = limit, walk.table is not None
    for name, table in tables.items():
        if walk.table not in (None, name):
            continue
        here = replace(walk, table=name, after=walk.after if walk.table else "")
        scope = walk.scope(name, table.column_names)
        bounds = _bounds(table, here) if continued else ()
        most = None if room is None else room + 1  # one more says whether this page is the last
        for rows in read_rows(connection, table, scope, query, *bounds, most=most):
            fitting = rows[:room]
            include_rows(changes, table, scope, fitting, history)
            here = replace(here, after=fitting[-1][0]) if fitting else here
            if len(fitting) < len(rows):
                return here
            room = None if room is None else room - len(rows)
        walk = replace(walk, table=None, after="")
    return None


def _bounds(table: SyncedTable, walk: Walk) -> Sequence[ColumnElement[bool]]:
    """What was born after the first page comes at the next pull: its parent may be in a table that
    has been walked through already."""
    c = table.table.c
    return c.id > walk.after, c.created_at_ms <= walk.timestamp


def read_history(connection: Connection, query: DeltaQuery) -> History:
    """What the device had at `since`; of nothing yet, nothing is read."""
    if not query.since:
        return History(query.device, query.since)
    adopted = adoptions.read(connection, query.user_id, query.device, query.since)
    return History(query.device, query.since, adopted)


def _names(table: SyncedTable) -> Iterator[str]:
    return (column.name for column in table.columns)
