"""What an app sees of the synced tables: columns in WatermelonDB's three types.

Taken from the models, and from a database as its migrations left it; the two must agree.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Boolean, Connection, String, inspect
from sqlalchemy.dialects.mysql import TINYINT

from melon_api.models.base import ID_LENGTH
from melon_api.models.synced import INTERNAL
from melon_api.ops.migrations import PhoneNames
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.kinds import app_type
from melon_api.sync.rules.kinds.kind import AppType
from melon_api.sync.rules.tables import SyncedTable

# By these a table of a database is known to sync, also one that has no model any more.
SIGNS = {"user_id", "id", "created_at_ms", "updated_at_ms", "is_deleted"}
HIDDEN = {"id", *INTERNAL}


@dataclass(frozen=True)
class AppColumn:
    """A column as `tableSchema` has it."""

    name: str
    type: AppType
    optional: bool = False
    indexed: bool = False
    is_parent: bool = field(default=False, compare=False)  # only the server knows


Columns = dict[str, AppColumn]
Tables = dict[str, Columns]  # equal whatever their order is


class UnknownType(Exception):
    """A column whose type no app could hold; the message names it."""


def from_models() -> Tables:
    """Parents before children, columns in the models' order. Raises ModelError."""
    return {table.name: dict(_app_columns(table)) for table in synced_tables().values()}


def _app_columns(table: SyncedTable) -> Iterator[tuple[str, AppColumn]]:
    indexed = _indexed(index.columns.keys() for index in table.table.indexes)
    for column in table.columns:
        kind, is_indexed = column.kind, column.sql in indexed
        yield (
            column.name,
            AppColumn(column.name, kind.app_type, column.optional, is_indexed, kind.refers),
        )


def from_database(connection: Connection, phone_names: PhoneNames) -> Tables:
    """The synced tables that are there. Raises UnknownType."""
    inspector = inspect(connection)
    found: Tables = {}
    for table in inspector.get_table_names():
        columns = inspector.get_columns(table)
        if not {column["name"] for column in columns} >= SIGNS:
            continue
        indexed = _indexed([index["column_names"] for index in inspector.get_indexes(table)])
        seen = (
            app_column(table, c["name"], c["type"], bool(c["nullable"]), indexed)
            for c in columns
            if c["name"] not in HIDDEN
        )
        named = (replace(c, name=phone_names.get(f"{table}.{c.name}", c.name)) for c in seen)
        found[phone_names.get(table, table)] = {column.name: column for column in named}
    return found


def app_column(table: str, name: str, kind: Any, optional: bool, indexed: set[str]) -> AppColumn:
    """Raises UnknownType."""
    if isinstance(kind, TINYINT) and kind.display_width == 1:
        kind = Boolean()  # what MySQL makes of one, and a migration in raw SQL declares
    of_app = app_type(base.__name__ for base in type(kind).__mro__)
    if of_app is None:
        raise UnknownType(f"{table}.{name} is a {kind!r}, which does not sync")
    return AppColumn(name, of_app, optional, name in indexed, _is_parent(kind, name, indexed))


def _is_parent(kind: Any, name: str, indexed: set[str]) -> bool:
    """As `belongs_to` makes one; of a table that has no model any more nothing else is known."""
    return isinstance(kind, String) and kind.length == ID_LENGTH and name in indexed


def _indexed(indices: Iterable[Iterable[str | None]]) -> set[str]:
    """What has an index of its own within the account, as `belongs_to` makes one."""
    found = (tuple(columns) for columns in indices)
    return {str(columns[1]) for columns in found if len(columns) == 2 and columns[0] == "user_id"}
