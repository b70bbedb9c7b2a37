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

from melon_api.models.synced import BELONGS_TO, ON_DELETE, Synced

# WatermelonDB's own rules for tables and columns (its checkName and tableSchema), in any case.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
RESERVED = {
    *("_status", "_changed", "local_storage"),
    *("constructor", "prototype", "hasownproperty", "isprototypeof"),
    *("tostring", "tolocalestring", "valueof"),
    *("rowid", "oid", "_rowid_", "sqlite_master"),
}


ON_DELETE_WORDS = ("cascade", "clear", "keep")


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
        low = name.lower()
        if low in RESERVED or low.startswith("sqlite_stat") or not NAME.match(name):
            yield f"the name {name!r} is reserved or not a name; WatermelonDB could not take it"


def _key_problems(model: type[Synced]) -> Iterator[str]:
    key = [column.name for column in model.__table__.primary_key.columns]
    if key != ["user_id", "id"]:
        yield f"the primary key is {key}; leave it to Synced, which makes it (user_id, id)"
    for name in model.redefined:
        yield f"the column {name!r} belongs to the sync engine; give yours another name"


def _parent_problems(model: type[Synced]) -> Iterator[str]:
    table = model.__table__
    for key in table.foreign_key_constraints:
        if list(key.column_keys) != ["user_id"]:
            parent = key.elements[0].target_fullname.split(".")[0]
            yield (
                f"the foreign key {list(key.column_keys)} -> {parent} could leave the account; "
                f'write it as belongs_to("{parent}")'
            )
    for column in table.columns:
        if BELONGS_TO not in column.info:
            continue
        parent, on_delete = column.info[BELONGS_TO], column.info[ON_DELETE]
        if on_delete not in ON_DELETE_WORDS:
            yield f"{column.name}: on_delete is one of {ON_DELETE_WORDS}, not {on_delete!r}"
        elif on_delete == "clear" and not column.nullable:
            yield (
                f'{column.name} is required, so on_delete="clear" cannot make it null; '
                "make it `str | None`"
            )
        if parent not in table.metadata.tables:
            yield f"{column.name}: there is no table {parent!r}; check the name in belongs_to()"
        elif "rival_at_ms" not in table.metadata.tables[parent].columns:
            yield f"{parent} does not sync, so no record can belong to it; make it Synced"
        elif parent == table.name and not column.nullable:
            yield f"{column.name} is required, so no record could be first; make it `str | None`"


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
