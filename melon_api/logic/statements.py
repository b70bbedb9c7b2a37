"""Which statements of the app's own code can see or change one account's rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ClauseElement,
    ColumnClause,
    Delete,
    Executable,
    FromClause,
    Insert,
    Select,
    SelectBase,
    Subquery,
    TextClause,
    Update,
    UpdateBase,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

from melon_api.models.base import Base

if TYPE_CHECKING:
    from melon_api.sync.rules.tables import Tables

PAST_THE_SCOPE = "ask by models, as select(Task.title): tables and SQL text know no account"
LOOK_FIRST = "a change of a table names its own columns and values alone: look them up first"
OWN_ROWS = "a row with a user_id is this account's alone: user_id=account.id"


def check_select(statement: Executable) -> None:
    """Raises ValueError for what no model narrows to an account."""
    if not isinstance(statement, SelectBase) or any(map(_is_unscoped, iterate(statement))):
        raise ValueError(PAST_THE_SCOPE)


def own_change(statement: Insert | Update | Delete, account_id: str, tables: Tables) -> Any:
    """The statement, narrowed to the account's rows where they have a `user_id`. Raises ValueError
    for one of a table that syncs, of the engine's, or that could reach another account's row."""
    table: Any = statement.table  # of a model a copy, with notes
    columns = table.c
    if any(synced.table.key == table.key for synced in tables.values()):
        raise ValueError("change records that sync by save(), update() and delete() alone")
    is_own = any(mapper.local_table.key == table.key for mapper in _engines_own())
    if is_own and "user_id" not in columns:
        raise ValueError(f"{table.name} is the engine's own")
    rows = list(_rows(statement))
    if any(_is_beside(element, columns) for element in iterate(statement)) or any(
        isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")
        for row in rows[1:]  # past which `iterate` goes
        for value in row.values()
    ):
        raise ValueError(LOOK_FIRST)
    if "user_id" not in columns:
        return statement
    _check_owner(statement, rows, account_id)
    if isinstance(statement, Insert):
        return statement
    return statement.where(columns.user_id == account_id)


def _engines_own() -> Iterator[Any]:
    return (m for m in Base.registry.mappers if m.class_.__module__.startswith("melon_api."))


def _is_beside(element: Any, columns: Any) -> bool:
    """Whether a change looks at more than its own table, of which nothing narrows it."""
    if isinstance(element, ColumnClause):
        return element.is_literal or element.name not in columns or not _is_of(element, columns)
    return isinstance(element, TextClause | SelectBase)


def _is_of(column: Any, columns: Any) -> bool:
    return bool(columns[column.name].shares_lineage(column))


def _rows(statement: Any) -> Iterator[dict[Any, Any]]:
    """What an insert or update sets, by column as it is written there: its single row first, which
    may be empty."""
    single = dict(getattr(statement, "_values", None) or {})
    yield {getattr(key, "name", key): value for key, value in single.items()}
    for rows in getattr(statement, "_multi_values", ()):
        for row in rows:
            named = (
                row if isinstance(row, Mapping) else dict(zip(statement.table.c, row, strict=False))
            )
            yield {getattr(key, "name", key): value for key, value in named.items()}


def _check_owner(statement: Any, rows: list[dict[Any, Any]], account_id: str) -> None:
    """Raises ValueError for a row that would be, or become, another account's."""
    is_upsert = getattr(statement, "_post_values_clause", None) is not None
    if is_upsert or statement._prefixes:  # OR REPLACE: of whose row?
        raise ValueError(OWN_ROWS)
    names = {"user_id", *_attributes(statement.table)}
    given = rows[1:] or rows
    for row in given:
        owners = [row[name] for name in names if name in row]
        is_named = bool(owners) or not isinstance(statement, Insert)
        if not is_named or any(_plain(owner) != account_id for owner in owners):
            raise ValueError(OWN_ROWS)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, BindParameter) else value


def _attributes(table: Any) -> Iterator[str]:
    """What a model calls the column."""
    for mapper in Base.registry.mappers:
        local: Any = mapper.local_table
        if local.key == table.key:
            yield mapper.get_property_by_column(local.c.user_id).key


def _is_unscoped(element: Any) -> bool:
    """Whether it reads a table past its model, which alone can be narrowed."""
    if isinstance(element, TextClause | UpdateBase):
        return True
    if isinstance(element, ColumnClause):
        is_sql = element.is_literal and element.name != "*"  # that of count(*)
        return is_sql or (_is_bare(element) and _is_bare_source(element.table))
    if isinstance(element, Select):
        joined = (source for entry in element._setup_joins for source in (entry[0], entry[2]))
        sources = (*element._raw_columns, *element._from_obj, *joined)
        return any(map(_is_bare_source, sources))
    return False


def _is_bare_source(source: Any) -> bool:
    """A table, an alias or a join of some; what selects is looked into by itself."""
    looked_into = isinstance(source, Subquery | CTE | FunctionElement)
    return isinstance(source, FromClause) and not looked_into and _is_bare(source)


def _is_bare(element: Any) -> bool:
    return "parententity" not in element._annotations
