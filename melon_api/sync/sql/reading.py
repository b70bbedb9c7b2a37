"""A pull as text that MySQL and MariaDB write: one statement for all tables, no row in Python.

Each list of an answer is one GROUP_CONCAT of records that are JSON already. Both databases cut an
aggregate that grows too long, and leave NULL out, with no more than a warning. So each record ends
with a line feed, which a JSON text holds nowhere else, and there must be as many as there are rows.
A table that fails this is read in blocks. What a block cannot hold, and all that is for a device
that `adopted` records, is left to `changes.stream_records`.
"""

import functools
from typing import Any, NamedTuple

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
    or_,
    select,
    union_all,
)

from melon_api.models.synced import SyncPush
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql import changes
from melon_api.sync.sql.changes_text import LISTS, ChangesText
from melon_api.sync.sql.record_text import (
    DEVICE,
    END,
    SINCE,
    USER,
    compiled,
    constant,
    is_had,
    record,
    record_id,
)

FIRST_BLOCK = 1_000  # rows
BLOCK_BYTES = 1 << 20  # about; the most is `group_concat_max_len`
BEHIND_ALL = "\x7f"  # no id goes on with it (contract push 11)
ONE_ROW: ColumnElement[int] = literal_column("1")
STATEMENTS = 256  # kept; an app's migrations ask for others


class Scope(NamedTuple):
    """What is told of a table: everything (`is_first`), or what changed and beside it `adds`:
    the records that hold something in these columns, or all that live where it is empty.

    `is_new`: the app has just added the table, and the device has only its own (contract pull 5).
    """

    table: str
    is_first: bool = False
    adds: frozenset[str] | None = None
    is_new: bool = False


class Asks(NamedTuple):
    """Who asks, and for what came after `since` (a clock in ms)."""

    user_id: str
    device: int
    since: int


def read_text(
    connection: Connection, scopes: tuple[Scope, ...], asks: Asks, told: ChangesText
) -> dict[str, str]:
    """Tell all that can be told in this way; what is left are the records of these tables behind
    these ids."""
    nothing_told = dict.fromkeys((scope.table for scope in scopes), "")
    if connection.dialect.name != "mysql":
        return nothing_told
    statement, constants = _statement(scopes)
    rows = connection.exec_driver_sql(statement, constants | asks._asdict()).all()
    if any(count for name, count, *_ in rows if name == ""):
        return nothing_told
    whole = {name for name, *found in rows if name and _tell(told, name, *found)}
    del rows  # the texts that were cut
    left = {}
    for scope in scopes:
        if scope.table not in whole:
            after = _read_blocks(connection, scope, asks, told)
            if after is not None:
                left[scope.table] = after
    return left


def _read_blocks(connection: Connection, scope: Scope, asks: Asks, told: ChangesText) -> str | None:
    """A table in blocks along its primary key; None at its end, else the id behind which stands
    a record that is too large by itself."""
    block, end_of_block, constants = _block_statements(scope)
    values, after, count = constants | asks._asdict(), "", FIRST_BLOCK
    while True:
        values |= {"after": after, "skipped": count - 1}
        end = connection.exec_driver_sql(end_of_block, values).scalar()
        found = connection.exec_driver_sql(block, values | {"end": end or BEHIND_ALL}).one()
        if _tell(told, *found):
            if end is None:
                return None
            after, size = end, sum(len(text) for text in found[2:] if text)
            count = max(1, min(2 * count, count * BLOCK_BYTES // max(size, 1)))
        elif count == 1:
            return after
        else:
            count //= 2


def _tell(told: ChangesText, table: str, count: int, *texts: bytes | None) -> bool:
    """Unless something is missing."""
    counts = [text.count(END.encode()) if text else 0 for text in texts]
    if sum(counts) != count:
        return False
    for name, text, number in zip(LISTS, texts, counts, strict=True):
        told.add(table, name, text or b"", number)
    return True


@functools.lru_cache(STATEMENTS)
def _block_statements(scope: Scope) -> tuple[str, str, dict[str, Any]]:
    """One for a block's text, one for the id that it ends with: none in the last block."""
    table = synced_tables()[scope.table].table
    ids, primary = table.c.id, (table, "FORCE INDEX (PRIMARY)", "mysql")
    block = _table(scope).where(ids > bindparam("after"), ids <= bindparam("end"))
    end = select(ids).where(table.c.user_id == USER, ids > bindparam("after")).order_by(ids)
    text, constants = compiled(block.with_hint(*primary))
    end_of_block, more = compiled(
        end.with_hint(*primary).limit(ONE_ROW).offset(bindparam("skipped"))
    )
    return text, end_of_block, constants | more


@functools.lru_cache(STATEMENTS)
def _statement(scopes: tuple[Scope, ...]) -> tuple[str, dict[str, Any]]:
    """Made once, as text: SQLAlchemy would look at each part of it in every request."""
    parts = [_table(scope) for scope in scopes]
    if not all(scope.is_first for scope in scopes):
        parts.append(_adopted())
    return compiled(union_all(*parts))


def _adopted() -> Select[*tuple[Any, ...]]:
    """How many pushes brought what the device had and another one had made (contract pull 3)."""
    nothing = (null() for _ in LISTS)
    return select(constant(""), func.count(), *nothing).where(has_adopted())


def has_adopted() -> ColumnElement[bool]:
    log = SyncPush.__table__.c
    mine = and_(log.user_id == USER, log.clock > SINCE, log.device == DEVICE)
    return and_(mine, log.adopted.is_not(None))


def _table(scope: Scope) -> Select[*tuple[Any, ...]]:
    table = synced_tables()[scope.table]
    c, told_as = table.table.c, record(table)
    living = changes.is_living(table)
    if scope.is_first:
        lists = [told_as, null(), null()]
        told = living
    else:
        had = is_had(table, scope.is_new)
        lists = [
            case((and_(living, not_(had)), told_as)),
            case((and_(living, had), told_as)),
            case((not_(living), record_id(table))),
        ]
        told = _changed(table, scope.adds)
    columns = [func.group_concat(found) if found is not null() else found for found in lists]
    return select(constant(scope.table), func.count(), *columns).where(c.user_id == USER, told)


def _changed(table: SyncedTable, adds: frozenset[str] | None) -> ColumnElement[bool]:
    changed = table.table.c.updated_at_ms > SINCE
    if adds is None:
        return changed
    return or_(changed, changes.holds_something(table, adds) if adds else changes.is_living(table))
