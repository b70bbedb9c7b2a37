"""A push as it was asked for, and taken apart."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from melon_api.sync.rules.kinds.kind import Repair
from melon_api.sync.rules.problems import Place
from melon_api.sync.rules.tables import CATALOGUE, SPACE_ID, SyncedTable


@dataclass(frozen=True)
class PushRequest:
    """`since`: lastPulledAt in ms, 0 without one; `allow_partial`: contract push 6; `number`: which
    push of its session this is, None where the app does not say (contract push 8); `app_version`:
    the app's, as it says."""

    changes: dict[str, Any]
    since: int
    allow_partial: bool
    number: int | None = None
    app_version: str | None = None


@dataclass(slots=True, eq=False)  # not frozen: there are ten thousand of them in a large push
class PushedRecord:
    """A record after `sanitize`; `changed` is None when it had no `_changed` at all."""

    table: str
    list: str
    index: int
    id: str
    values: dict[str, Any]
    changed: frozenset[str] | None
    repairs: Collection[Repair]  # contract push 5
    as_sent: bool  # they are what the device has
    fits: bool

    @property
    def place(self) -> Place:
        return Place(self.table, self.list, self.index, self.id)


@dataclass(frozen=True)
class PushedTable:
    table: SyncedTable
    records: list[PushedRecord] = field(default_factory=list)
    deletions: list[Place] = field(default_factory=list)

    @property
    def reaches_further(self) -> bool:
        """Whether it names another space than the account's own."""
        if self.table.reach == CATALOGUE:
            return bool(self.records or self.deletions)
        return self.table.names_space and any(r.values.get(SPACE_ID) for r in self.records)

    def without(self, refused: Collection[tuple[str, str]]) -> "PushedTable":
        """What is left of it when these records, by table and id, are not taken."""
        name = self.table.name
        records = [record for record in self.records if (name, record.id) not in refused]
        places = [place for place in self.deletions if (name, place.id) not in refused]
        return PushedTable(self.table, records, places)


@dataclass(frozen=True)
class Move:
    """A record that goes from a space to another, as it will be there."""

    table: SyncedTable
    record: PushedRecord
    origin: str
    target: str
    same: frozenset[str]  # the columns of its parents that are as they were

    @property
    def key(self) -> tuple[str, str]:
        return self.table.name, self.record.id


def parents_first(part: PushedTable) -> Iterator[PushedRecord]:
    """The records of a table; of a tree, a parent before its children."""
    if not part.table.is_tree:
        yield from part.records
        return
    own = [parent.column for parent in part.table.parents if parent.table == part.table.name]
    by_id = {record.id: record for record in part.records}
    seen: set[PushedRecord] = set()
    for record in part.records:
        chain = [record] if record not in seen else []
        while chain:
            top = chain[-1]
            seen.add(top)
            above = (by_id.get(top.values.get(column, "")) for column in own)
            wait = next((r for r in above if r and r not in seen), None)
            if wait is not None:
                chain.append(wait)
            else:
                yield chain.pop()
