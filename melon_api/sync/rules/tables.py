"""What the engine knows of a synced table. Pure."""

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import (
    Table,
)

from melon_api.models.synced import Synced

Kind = Literal["string", "number", "integer", "boolean"]
EMPTY: dict[Kind, str | int | bool] = {"string": "", "number": 0, "integer": 0, "boolean": False}


@dataclass(frozen=True)
class Column:
    """A column as the app's schema has it, and what the database can hold of it."""

    name: str
    kind: Kind
    optional: bool
    characters: int | None = None  # most, for a string
    octets: int | None = None  # most UTF-8 bytes, for a string
    bits: int | None = None  # for an integer
    refers: bool = False  # names a parent record

    @property
    def empty(self) -> str | int | bool | None:
        """What the client's `nullValue` gives (WatermelonDB, RawRecord)."""
        return None if self.optional else EMPTY[self.kind]


@dataclass(frozen=True)
class Parent:
    """What a record belongs to: another record of the same account."""

    column: str
    table: str
    required: bool


@dataclass(frozen=True, eq=False)  # one object each: hashed by identity, which is fast
class SyncedTable:
    name: str
    model: type[Synced]
    table: Table
    columns: tuple[Column, ...]
    parents: tuple[Parent, ...]
    column_names: frozenset[str] = field(init=False)
    is_tree: bool = field(init=False)  # its records may belong to others of the same table

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_names", frozenset(c.name for c in self.columns))
        object.__setattr__(self, "is_tree", any(p.table == self.name for p in self.parents))
