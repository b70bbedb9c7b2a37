"""Which rows of a table a pull includes, and which of them the device has had: contract pull 3, 5
and 7 in SQL, the one place for both ways to read a pull. Their parameters are a DeltaQuery."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, not_, or_, select

from melon_api.models.synced import Adoption
from melon_api.sync.rules.tables import Column, SyncedTable
from melon_api.sync.rules.walk import Scope


class DeltaQuery(NamedTuple):
    """Who asks, and for what came after `since` (a clock in ms)."""

    user_id: str
    device: int
    since: int


USER: ColumnElement[Any] = bindparam("user_id")
DEVICE: ColumnElement[Any] = bindparam("device")
SINCE: ColumnElement[Any] = bindparam("since")


def select_included(
    table: SyncedTable, scope: Scope, *columns: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    """These columns of the account's rows that a pull includes."""
    return select(*columns).where(table.table.c.user_id == USER, _is_included(table, scope))


def is_living(table: SyncedTable) -> ColumnElement[bool]:
    return table.table.c.is_deleted.is_(False)


def is_had(table: SyncedTable, scope: Scope) -> ColumnElement[bool]:
    """Whether the device has had it; of a table that is new to it only what it made itself, and
    without what it has adopted (`has_adopted`)."""
    c = table.table.c
    is_old, is_own = c.created_at_ms <= SINCE, c.created_by == DEVICE
    return and_(not_(is_old), is_own) if scope.is_new else or_(is_old, is_own)


def has_adopted() -> ColumnElement[bool]:
    """Pushes that brought what the device had and another one had made: which records those are,
    rules/history.py knows."""
    c = Adoption.__table__.c
    mine = and_(c.user_id == USER, c.clock > SINCE, c.device == DEVICE)
    return and_(mine, c.adopted.is_not(None))


def _is_included(table: SyncedTable, scope: Scope) -> ColumnElement[bool]:
    if scope.is_first:
        return is_living(table)
    changed = table.table.c.updated_at_ms > SINCE
    if scope.adds is None:
        return changed
    more = _holds_something(table, scope.adds) if scope.adds else is_living(table)
    return or_(changed, more)


def _holds_something(table: SyncedTable, names: Iterable[str]) -> ColumnElement[bool]:
    """Living, and one of these columns is not what the client's migration gives it (pull 5)."""
    columns = [column for column in table.columns if column.name in set(names)]
    return and_(is_living(table), or_(*(_is_set(table, column) for column in columns)))


def _is_set(table: SyncedTable, column: Column) -> ColumnElement[bool]:
    stored = table.column(column.name)
    if column.optional:
        return stored.is_not(None)
    exact = column.kind.compared_by
    return (getattr(func, exact)(stored) if exact else stored) != column.empty
