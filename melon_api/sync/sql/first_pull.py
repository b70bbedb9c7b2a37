"""A pull as text that MySQL and MariaDB write: one statement for all tables, no row in Python.

Each list of an answer is one GROUP_CONCAT of records that are JSON already. Both databases cut an
aggregate that grows too long, and leave NULL out, with no more than a warning. So each record ends
with a line feed, which a JSON text holds nowhere else, and there must be as many as there are rows.
A table that fails this is read in blocks. What a block cannot hold, and all that is for a device
that `adopted` records, is left to `delta_pull`, as on SQLite everything is.
"""

import functools
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    null,
    select,
    union_all,
)

from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.rules.walk import Scope, Walk
from melon_api.sync.sql.changes_text import LISTS, ChangesText
from melon_api.sync.sql.delta_pull import include_rows, read_history, read_rows
from melon_api.sync.sql.record_text import END, compiled, constant, record, record_id
from melon_api.sync.sql.scope import (
    USER,
    DeltaQuery,
    has_adopted,
    is_had,
    is_living,
    select_included,
)

FIRST_BLOCK = 1_000  # rows
BLOCK_BYTES = 1 << 20  # about; the most is `group_concat_max_len`
BEHIND_ALL = "\x7f"  # no id goes on with it (contract push 11)
ONE_ROW: ColumnElement[int] = literal_column("1")
STATEMENTS = 256  # kept; an app's migrations ask for others

Part = tuple[SyncedTable, Scope]


def read_whole(
    connection: Connection, tables: Tables, query: DeltaQuery, walk: Walk, changes: ChangesText
) -> None:
    """All of a pull that is not paged. Raises Unavailable when there is no room on the disk."""
    parts = tuple((t, walk.scope(name, t.column_names)) for name, t in tables.items())
    left = _read_text(connection, parts, query, changes)
    if left:
        history = read_history(connection, query)
    for (table, scope), after in left.items():
        behind = table.table.c.id > after
        for rows in read_rows(connection, table, scope, query, behind):
            include_rows(changes, table, scope, rows, history)


def read_living(connection: Connection, tables: Tables, *spaces: str) -> ChangesText:
    """All living records of these spaces, under `created`; to be closed. Raises Unavailable like
    `read_whole`."""
    with ChangesText.filled(tables) as changes:
        everything = Walk(since=0, timestamp=1)
        for space in spaces:
            read_whole(connection, tables, DeltaQuery(space, 0, 0), everything, changes)
    return changes


def _read_text(
    connection: Connection, parts: tuple[Part, ...], query: DeltaQuery, changes: ChangesText
) -> dict[Part, str]:
    """Include all that can be read in this way; what is left are these tables' records behind these
    ids."""
    nothing_read = dict.fromkeys(parts, "")
    if connection.dialect.name != "mysql" or not parts:
        return nothing_read
    statement, constants = _statement(parts)
    rows = connection.exec_driver_sql(statement, constants | query._asdict()).all()
    if any(count for name, count, *_ in rows if name == ""):
        return nothing_read
    whole = {name for name, *found in rows if name and _include(changes, name, *found)}
    del rows  # the texts that were cut
    left = {}
    for part in parts:
        if part[0].name not in whole:
            after = _read_blocks(connection, part, query, changes)
            if after is not None:
                left[part] = after
    return left


def _read_blocks(
    connection: Connection, part: Part, query: DeltaQuery, changes: ChangesText
) -> str | None:
    """A table in blocks along its primary key; None at its end, else the id behind which stands
    a record that is too large by itself."""
    block, end_of_block, constants = _block_statements(part)
    values, after, count = constants | query._asdict(), "", FIRST_BLOCK
    while True:
        values |= {"after": after, "skipped": count - 1}
        end = connection.exec_driver_sql(end_of_block, values).scalar()
        found = connection.exec_driver_sql(block, values | {"end": end or BEHIND_ALL}).one()
        if _include(changes, *found):
            if end is None:
                return None
            after, size = end, sum(len(text) for text in found[2:] if text)
            count = max(1, min(2 * count, count * BLOCK_BYTES // max(size, 1)))
        elif count == 1:
            return after
        else:
            count //= 2


def _include(changes: ChangesText, table: str, count: int, *texts: bytes | None) -> bool:
    """Unless something is missing."""
    counts = [text.count(END.encode()) if text else 0 for text in texts]
    if sum(counts) != count:
        return False
    for name, text, number in zip(LISTS, texts, counts, strict=True):
        changes.add(table, name, text or b"", number)
    return True


@functools.lru_cache(STATEMENTS)
def _block_statements(part: Part) -> tuple[str, str, dict[str, Any]]:
    """One for a block's text, one for the id that it ends with: none in the last block."""
    table = part[0].table
    ids, primary = table.c.id, (table, "FORCE INDEX (PRIMARY)", "mysql")
    block = _table(*part).where(ids > bindparam("after"), ids <= bindparam("end"))
    end = select(ids).where(table.c.user_id == USER, ids > bindparam("after")).order_by(ids)
    text, constants = compiled(block.with_hint(*primary))
    end_of_block, more = compiled(
        end.with_hint(*primary).limit(ONE_ROW).offset(bindparam("skipped"))
    )
    return text, end_of_block, constants | more


@functools.lru_cache(STATEMENTS)
def _statement(parts: tuple[Part, ...]) -> tuple[str, dict[str, Any]]:
    """Made once, as text: SQLAlchemy would look at each part of it in every request."""
    selects = [_table(table, scope) for table, scope in parts]
    if not all(scope.is_first for _, scope in parts):
        selects.append(_adopted())
    return compiled(union_all(*selects))


def _adopted() -> Select[*tuple[Any, ...]]:
    """How many pushes brought what the device had and another one had made (contract pull 3)."""
    nothing = (null() for _ in LISTS)
    return select(constant(""), func.count(), *nothing).where(has_adopted())


def _table(table: SyncedTable, scope: Scope) -> Select[*tuple[Any, ...]]:
    text, living = record(table), is_living(table)
    lists: list[Any] = [func.group_concat(text), null(), null()]
    if not scope.is_first:
        had = is_had(table, scope)
        created, updated = and_(living, not_(had)), and_(living, had)
        cases = [(created, text), (updated, text), (not_(living), record_id(table))]
        lists = [func.group_concat(case(one)) for one in cases]
    return select_included(table, scope, constant(table.name), func.count(), *lists)
