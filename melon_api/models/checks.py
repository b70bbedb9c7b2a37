"""What a synced model must be. A wrong one stops the start with a sentence on what to change."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from melon_api.models.names import ModelError, name_problems, on_phones
from melon_api.models.synced import BELONGS_TO, INTERNAL, ON_DELETE, Synced

ON_DELETE_WORDS = ("cascade", "clear", "keep")


def check(model: type[Synced]) -> None:
    """Raises ModelError with every sentence about this model."""
    hidden = (*INTERNAL, "id")
    found = [
        *name_problems(model.__table__, hidden),
        *_key_problems(model),
        *_parent_problems(model),
    ]
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


def _key_problems(model: type[Synced]) -> Iterator[str]:
    if model.__module__.startswith("melon_api."):
        yield f"it stands in {model.__module__}; yours stand in app/ now (docs/upgrading.md)"
    key = [column.name for column in model.__table__.primary_key.columns]
    if key != ["user_id", "id"]:
        yield f"the primary key is {key}; leave it to Synced, which makes it (user_id, id)"
    for column in model.__table__.columns:
        if column.key != column.name:
            yield f"{column.name}: leave `key=` out; the attribute may have any name"


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
        if not _is_synced(table.metadata.tables.get(parent)):
            yield _no_parent(table, column.name, parent)
        elif parent == table.name and not column.nullable:
            yield f"{column.name} is required, so no record could be first; make it `str | None`"


def _is_synced(table: Table | None) -> bool:
    return table is not None and "rival_at_ms" in table.columns


def _no_parent(table: Table, column: str, parent: str) -> str:
    known = table.metadata.tables
    meant = [one.name for one in known.values() if on_phones(one) == parent and _is_synced(one)]
    if meant:
        return (
            f"{column}: {parent!r} is what phones call it; write its __tablename__, "
            f'belongs_to("{meant[0]}")'
        )
    if parent in known:
        return f"{parent} does not sync, so no record can belong to it; make it Synced"
    return f"{column}: there is no table {parent!r}; check the name in belongs_to()"


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
