"""What the engine knows of a synced table, of its columns and of its rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from melon_api.sync.rules.kinds.kind import Kind

if TYPE_CHECKING:  # the statements' part of it, which no rule looks into
    from sqlalchemy import ColumnElement, Table


# Whose a table's records are: one account's, a space's (its own or a shared one), everybody's.
OWN, SHARED, CATALOGUE = "own", "shared", "catalogue"
SPACE_ID = "space_id"
ID = re.compile(r"[A-Za-z0-9_.-]{1,36}\Z")  # contract push 11
OWN_OCTETS = 300  # the key and the clocks, and each null, comma and quote


@dataclass(frozen=True)
class Column:
    """A column as the app's schema has it; `doc` is the model's word about it, `stored` its name in
    the database where that is another one."""

    name: str
    kind: Kind
    optional: bool
    doc: str | None = None
    stored: str = ""

    @property
    def sql(self) -> str:
        """Its name in the database."""
        return self.stored or self.name

    @property
    def empty(self) -> str | int | bool | None:
        """What the client's `nullValue` gives (WatermelonDB, RawRecord)."""
        return None if self.optional else self.kind.empty


@dataclass(frozen=True)
class Parent:
    """What a record belongs to: another record of the same account. Names are the phone's."""

    column: str
    table: str
    required: bool
    on_delete: str = "cascade"  # or clear, keep (contract push 4)


@dataclass(frozen=True, eq=False)  # one object each: hashed by identity, which is fast
class SyncedTable:
    """`name` is the phone's, `table` has the database's; `model` is its class's name; parents and
    columns are in the model's order. `reach`: OWN, SHARED or CATALOGUE; `names_space`: its records
    say by themselves in which space they are (contract, Spaces 1)."""

    name: str
    model: str
    table: Table
    columns: tuple[Column, ...]
    parents: tuple[Parent, ...]
    reach: str = OWN
    names_space: bool = False
    column_names: frozenset[str] = field(init=False)
    is_tree: bool = field(init=False)  # its records may belong to others of the same table
    cleared: tuple[Parent, ...] = field(init=False)  # become null when they are deleted
    sql_names: dict[str, str] = field(init=False)  # of its columns, in the database
    most_octets: int = field(init=False)  # that the values of a row take in a statement

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_names", frozenset(c.name for c in self.columns))
        object.__setattr__(self, "is_tree", any(p.table == self.name for p in self.parents))
        cleared = tuple(p for p in self.parents if p.on_delete == "clear")
        object.__setattr__(self, "cleared", cleared)
        object.__setattr__(self, "sql_names", {c.name: c.sql for c in self.columns})
        most = sum(c.kind.most_octets + 1 for c in self.columns) + OWN_OCTETS
        object.__setattr__(self, "most_octets", most)

    def octets(self, values: dict[str, Any]) -> int:
        """How many bytes a row of these values takes in a statement, at most."""
        some = ((c.kind.literal, values[c.name]) for c in self.columns)
        texts = (literal(value) for literal, value in some if value is not None)
        return sum(len(text.encode()) + 5 for text in texts) + OWN_OCTETS

    def column(self, name: str) -> ColumnElement[Any]:
        """The database's column for the phone's name."""
        return self.table.c[self.sql_names[name]]


Tables = dict[str, SyncedTable]  # by name, parents before children


@dataclass(slots=True)
class Row:
    """A record as stored; clocks in ms, `…_by` a device.

    `rival`: when a device other than `updated_by` changed it last; of a tombstone, when it was
    deleted, which `updated` is not when the deletion was told again.
    """

    id: str
    values: dict[str, Any]
    created: int
    created_by: int
    updated: int
    updated_by: int
    rival: int = 0
    deleted: bool = False
    is_new: bool = False
    is_changed: bool = False


StoredRows = dict[str, dict[str, Row]]  # table -> id -> row


def portions(
    wanted: Mapping[SyncedTable, Collection[str]], most: int
) -> Iterator[dict[SyncedTable, list[str]]]:
    """What one statement asks for of these ids: all, if there are at most so many."""
    if sum(map(len, wanted.values())) <= most:
        if some := {table: list(ids) for table, ids in wanted.items() if ids}:
            yield some
        return
    for table, ids in wanted.items():
        ordered = list(ids)
        for start in range(0, len(ordered), most):
            yield {table: ordered[start : start + most]}
