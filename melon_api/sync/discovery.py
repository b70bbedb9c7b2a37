"""The synced tables, found from their model classes: columns, parents, order.

Everything the engine knows of a table is here; nothing else names one.
"""

import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    Enum,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
)

from melon_api import models
from melon_api.models.base import db
from melon_api.models.checks import ModelError, check, check_unsynced
from melon_api.models.synced import BELONGS_TO, INTERNAL, Synced
from melon_api.sync.rules.tables import Column, Parent, SyncedTable

TEXT_BYTES = 65_535  # what MySQL's TEXT holds
MOST_CHARACTERS = 16_383  # of a VARCHAR in MySQL's utf8mb4
PLAIN_TYPES = String.__module__  # SQLAlchemy's own; a database's are in others
NUMBER_IN_THE_APP = "last_modified"  # WatermelonDB's own rule
INTEGER_BITS = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))


@functools.cache
def synced_tables() -> dict[str, SyncedTable]:
    """Every synced table by name, parents before children. Raises ModelError for a wrong model."""
    models.load()
    check_unsynced(db.Model)
    found = {table.name: table for table in map(_describe, _models(Synced))}
    graph = {
        name: {parent.table for parent in table.parents if parent.table != name}
        for name, table in sorted(found.items())
    }
    try:
        return {name: found[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"tables belong to each other in a circle: {circle}") from None


def _models(base: type[Synced]) -> Iterator[type[Synced]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _describe(model: type[Synced]) -> SyncedTable:
    check(model)
    table = model.__table__
    parents = tuple(_parents(table))
    refers = {parent.column for parent in parents}
    columns = tuple(
        _column(column, column.name in refers)
        for column in table.columns
        if column.name not in INTERNAL and column.name != "id"
    )
    return SyncedTable(str(table.name), model, table, columns, parents)


def _parents(table: Table) -> Iterator[Parent]:
    for column in table.columns:
        if parent := column.info.get(BELONGS_TO):
            yield Parent(str(column.name), parent, required=not column.nullable)


def _column(column: Any, refers: bool) -> Column:
    found = _plain_column(column, refers)
    if found is None:
        raise ModelError(
            f"{column.table.name}.{column.name}: {column.type!r} does not sync; use String(n), "
            f"Text, Boolean, Integer, BigInteger or Double; n is {MOST_CHARACTERS} at most"
        )
    if found.name == NUMBER_IN_THE_APP and found.kind not in ("integer", "number"):
        raise ModelError(f"{column.table.name}.{found.name}: WatermelonDB wants a number there")
    return found


def _plain_column(column: Any, refers: bool) -> Column | None:
    """None for a type that could refuse what an app may push: an Enum, a database's own."""
    kind = column.type
    name, optional = str(column.name), bool(column.nullable)
    if type(kind).__module__ != PLAIN_TYPES or isinstance(kind, Enum):
        return None
    if isinstance(kind, Boolean):
        return Column(name, "boolean", optional)
    if isinstance(kind, Text):
        octets = kind.length or TEXT_BYTES
        return Column(name, "string", optional, octets=octets)
    if isinstance(kind, String) and kind.length and kind.length <= MOST_CHARACTERS:
        return Column(name, "string", optional, characters=kind.length, refers=refers)
    for integer, bits in INTEGER_BITS:
        if isinstance(kind, integer):
            return Column(name, "integer", optional, bits=bits)
    return Column(name, "number", optional) if isinstance(kind, Double) else None
