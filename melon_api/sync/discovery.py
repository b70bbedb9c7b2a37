"""The synced tables, found from their model classes: columns, parents, order.

Everything the engine knows of a table is here; nothing else names one.
"""

import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import CHAR, CLOB, NCHAR, NVARCHAR, Enum, String, Table

from melon_api.models.base import JsonText, db
from melon_api.models.checks import check, check_unsynced
from melon_api.models.names import ModelError, on_phones
from melon_api.models.synced import (
    BELONGS_TO,
    INTERNAL,
    ON_DELETE,
    Catalogue,
    Shareable,
    Synced,
    apps,
)
from melon_api.sync.rules.kinds import kind_of
from melon_api.sync.rules.kinds.kind import Kind
from melon_api.sync.rules.kinds.texts import MOST_CHARACTERS, Reference
from melon_api.sync.rules.tables import (
    CATALOGUE,
    OWN,
    SHARED,
    SPACE_ID,
    Column,
    Parent,
    SyncedTable,
    Tables,
)

PLAIN_TYPES = String.__module__  # SQLAlchemy's own; a database's are in others
UNFIT = (Enum, CHAR, NCHAR, NVARCHAR, CLOB)
UNFIT_OPTIONS = ("collation", "precision", "asdecimal")  # MySQL makes no Double(53)
NUMBER_IN_THE_APP = "last_modified"  # WatermelonDB's own rule


@functools.cache
def synced_tables() -> Tables:
    """Every synced table by its name on phones, parents before children. Raises ModelError for a
    wrong model."""
    if not apps:
        raise RuntimeError("the app's tables are not known before create_app()")
    check_unsynced(db.Model)
    found: Tables = {}
    for table in map(_describe, _models(Synced)):
        if table.name in found:
            raise ModelError(
                f"{found[table.name].model} and {table.model} are both {table.name!r} on phones; "
                "give one another __phone_name__"
            )
        found[table.name] = table
    graph = {
        name: {parent.table for parent in table.parents if parent.table != name}
        for name, table in sorted(found.items())
    }
    try:
        ordered = {name: found[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"tables belong to each other in a circle: {circle}") from None
    return _with_reach(ordered)


def _with_reach(tables: Tables) -> Tables:
    """A record is where its parent is, so a table reaches as far as those it belongs to."""
    for name, table in tables.items():
        above = {p.table: tables[p.table].reach for p in _decisive(table) if p.table != name}
        is_more = table.names_space or table.reach == CATALOGUE
        if above and is_more and {*above.values()} != {CATALOGUE}:
            raise ModelError(
                f"{table.model} belongs to {', '.join(above)}, and a record is in the space of its "
                "parent; make it Synced"
            )
        if len(set(above.values())) > 1:
            raise ModelError(
                f"{table.model} belongs to {', '.join(above)}, some of which may be shared and "
                'others not; belongs_to(…, on_delete="keep") may name any'
            )
        object.__setattr__(table, "reach", next(iter(above.values()), table.reach))
    return tables


def _decisive(table: SyncedTable) -> Iterator[Parent]:
    return (parent for parent in table.parents if parent.on_delete != "keep")


def _models(base: type[Synced]) -> Iterator[type[Synced]]:
    for model in base.__subclasses__():
        if "__table__" in vars(model):  # else it is what others have in common
            yield model
        yield from _models(model)


def _describe(model: type[Synced]) -> SyncedTable:
    check(model)
    table = model.__table__
    parents = tuple(_parents(table))
    names_space = issubclass(model, Shareable)
    refers = {parent.column for parent in parents} | ({SPACE_ID} if names_space else set())
    columns = tuple(
        _column(column, on_phones(column) in refers)
        for column in table.columns
        if column.name not in INTERNAL and column.name != "id"
    )
    reach = CATALOGUE if issubclass(model, Catalogue) else SHARED if names_space else OWN
    name = on_phones(table)
    return SyncedTable(name, model.__name__, table, columns, parents, reach, names_space)


def _parents(table: Table) -> Iterator[Parent]:
    for column in table.columns:
        if parent := column.info.get(BELONGS_TO):
            required, on_delete = not column.nullable, column.info[ON_DELETE]
            above = on_phones(table.metadata.tables[parent])
            yield Parent(on_phones(column), above, required, on_delete)


def _column(column: Any, refers: bool) -> Column:
    kind = Reference(column.type.length) if refers else _kind(column.type)
    if kind is None:
        raise ModelError(
            f"{column.table.name}.{column.name}: {column.type!r} does not sync; use String(n), "
            "Text, JsonText, Boolean, Integer, BigInteger or Double; n is "
            f"{MOST_CHARACTERS} at most"
        )
    name = on_phones(column)
    if name == NUMBER_IN_THE_APP and kind.app_type != "number":
        raise ModelError(f"{column.table.name}.{column.name}: WatermelonDB wants a number there")
    return Column(name, kind, bool(column.nullable), column.doc, str(column.name))


def _kind(sql_type: Any) -> Kind | None:
    """None for a type that could refuse or change what an app may push: an Enum, a database's own,
    a CHAR, which loses blanks."""
    if isinstance(sql_type, UNFIT) or any(getattr(sql_type, name, None) for name in UNFIT_OPTIONS):
        return None
    if not isinstance(sql_type, JsonText) and type(sql_type).__module__ != PLAIN_TYPES:
        return None
    return kind_of((c.__name__ for c in type(sql_type).__mro__), getattr(sql_type, "length", None))
