"""What a synced model must be. A wrong one stops the start with a sentence on what to change."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.exc import NoReferencedTableError

from melon_api.models.synced import BELONGS_TO, Synced

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")  # WatermelonDB's own rule for tables and columns
RESERVED = ("_status", "_changed", "__proto__", "constructor", "prototype", "local_storage")


class ModelError(Exception):
    """A model that cannot sync; the message says what to change."""


def check(model: type[Synced]) -> None:
    """Raises ModelError with every sentence about this model."""
    found = [*_name_problems(model.__table__), *_key_problems(model), *_parent_problems(model)]
    found += _constraint_problems(model.__table__)
    if found:
        raise ModelError("\n".join(f"{model.__name__}: {sentence}" for sentence in found))


def check_unsynced(base: Any) -> None:
    """A model that refers to a synced table without being one would be left out in silence."""
    for mapper in base.registry.mappers:
        table = mapper.local_table
        if not isinstance(table, Table) or issubclass(mapper.class_, Synced):
            continue
        if any(BELONGS_TO in column.info for column in table.columns):
            raise ModelError(
                f"{mapper.class_.__name__}: it has belongs_to() but no account key; "
                "inherit Synced first: class X(Synced, db.Model)"
            )


def _name_problems(table: Table) -> Iterator[str]:
    for name in (table.name, *(column.name for column in table.columns)):
        if name in RESERVED or not NAME.match(name):
            yield f"the name {name!r} is reserved or not a name; WatermelonDB could not take it"


def _key_problems(model: type[Synced]) -> Iterator[str]:
    key = [column.name for column in model.__table__.primary_key.columns]
    if key != ["user_id", "id"]:
        yield f"the primary key is {key}; leave it to Synced, which makes it (user_id, id)"
    for name in model.redefined:
        yield f"the column {name!r} belongs to the sync engine; give yours another name"


def _parent_problems(model: type[Synced]) -> Iterator[str]:
    for key in model.__table__.foreign_key_constraints:
        own = list(key.column_keys)
        if own == ["user_id"]:
            continue
        theirs = _referred(key)
        if theirs is None:
            yield f"{own} refers to a table that does not exist; check the name in belongs_to()"
            continue
        table, columns = theirs
        if len(own) != 2 or own[0] != "user_id" or columns != ["user_id", "id"]:
            yield (
                f"the foreign key {own} -> {table.name}{columns} leaves the account; "
                f'write it as belongs_to("{table.name}")'
            )
        elif table is model.__table__ and not table.columns[own[1]].nullable:
            yield f"{own[1]} is required, so no record could be the first; make it `str | None`"
        elif "rival_at_ms" not in table.columns:
            yield f"{table.name} does not sync, so no record can belong to it; make it Synced"


def _referred(key: ForeignKeyConstraint) -> tuple[Table, list[str]] | None:
    try:
        return key.referred_table, [element.column.name for element in key.elements]
    except NoReferencedTableError:
        return None


def _constraint_problems(table: Table) -> Iterator[str]:
    """Two phones may both keep such a rule offline and break it together; the push would fail."""
    allowed: tuple[type[Any], ...] = (PrimaryKeyConstraint, ForeignKeyConstraint)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint | CheckConstraint) and not isinstance(
            constraint, allowed
        ):
            yield "a unique or check constraint would make pushes fail for ever; remove it"
    if any(index.unique for index in table.indexes):
        yield "a unique index would make pushes fail for ever; remove it"
