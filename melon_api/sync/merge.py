"""What a push does to the stored records. Pure: rows in, rows out, no SQL, no clock of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from melon_api.sync.history import History
from melon_api.sync.problems import Problems
from melon_api.sync.push_body import Place, PushedRecord, PushedTable
from melon_api.sync.sanitize import empty_values
from melon_api.sync.tables import Parent, SyncedTable


@dataclass(slots=True)
class Row:
    """A record as stored. `rival`: when a device other than that of `updated` changed it last."""

    id: str
    values: dict[str, Any]
    created: int
    updated: int
    rival: int = 0
    deleted: bool = False
    is_new: bool = False
    is_changed: bool = False


Stored = dict[str, dict[str, Row]]  # table -> id -> row
RecordKey = tuple[str, Any]  # table, id


@dataclass
class Merge:
    """One push, applied to `stored` in place. What it cannot take goes to `problems`."""

    stored: Stored
    history: History
    tick: int
    policy: str
    problems: Problems
    as_sent: bool = True
    adopted: set[tuple[str, str]] = field(default_factory=set)

    def apply(self, pushed: list[PushedTable]) -> None:
        """All of it, parents first, so that a child finds the parent it was pushed with."""
        named = _named_parents(pushed)
        for part in pushed:
            rows = self.stored[part.table.name]
            self._bury_unborn(part, rows, named)
            for record in _parents_first(part):
                self._apply_record(part.table, rows, record)
            for place in part.deletions:
                self._delete(rows, place)

    def _apply_record(self, table: SyncedTable, rows: dict[str, Row], record: PushedRecord) -> None:
        row = rows.get(record.place.id)
        if row is not None and row.deleted:
            self._apply_to_tombstone(row, record)
            return
        values = self._decide(table, row, record)
        if values is None:
            self.problems.conflict(record.place)
            return
        parents_live = self._check_parents(table, values, record)
        if parents_live is None or not record.fits:
            return
        if row is None:
            row = Row(record.place.id, values, self.tick, self.tick, is_new=True)
            rows[row.id] = row
        elif not self.history.has_had(table.name, row.id, row.created) and not row.is_new:
            self.adopted.add((table.name, row.id))
        if values != row.values:
            row.values = values
            self._touch(row)
        if not parents_live:
            row.deleted = True
            self._touch(row)
        sent = all(values[name] == value for name, value in record.values.items())
        self.as_sent = self.as_sent and record.as_sent and sent and parents_live

    def _apply_to_tombstone(self, row: Row, record: PushedRecord) -> None:
        """A deletion wins, and is told again to a device that edits although it was told."""
        self.as_sent = False
        if self.policy == "reject" and self._conflicts(row):
            self.problems.conflict(record.place)
        elif row.updated <= self.history.since:
            self._touch(row)

    def _decide(
        self, table: SyncedTable, row: Row | None, record: PushedRecord
    ) -> dict[str, Any] | None:
        """The record's new values; None for a conflict that cannot be merged (contract push 3)."""
        if row is None:
            return {**empty_values(table), **record.values}
        whole = {**row.values, **record.values}
        if whole == row.values or not self._conflicts(row):
            return whole
        if self.policy == "reject" or record.changed == frozenset():
            return None
        if record.changed is None:
            return whole
        edits = {name: record.values[name] for name in record.changed if name in record.values}
        return {**row.values, **edits}

    def _conflicts(self, row: Row) -> bool:
        """Whether another device changed the row after what this one has seen."""
        if row.updated <= self.history.since:
            return False
        if row.updated == self.tick or self.history.is_own(row.updated):
            return row.rival > self.history.since
        return True

    def _check_parents(
        self, table: SyncedTable, values: dict[str, Any], record: PushedRecord
    ) -> bool | None:
        """Whether all parents live; None, with a problem noted, when one does not exist."""
        live: bool | None = True
        for parent in table.parents:
            named = values[parent.column]
            if named is None and not parent.required:
                continue
            row = self.stored[parent.table].get(named)
            if row is None and not self._keeps_parent(table, parent, named, record):
                self.problems.unknown_parent(record.place, parent.column, _missing(parent, named))
                live = None
            elif row is not None and row.deleted and live is not None:
                live = False
        return live

    def _keeps_parent(
        self, table: SyncedTable, parent: Parent, named: str, record: PushedRecord
    ) -> bool:
        """A parent that the record has already and the push does not change was not looked up."""
        row = self.stored[table.name].get(record.place.id)
        return row is not None and row.values[parent.column] == named

    def _bury_unborn(self, part: PushedTable, rows: dict[str, Row], named: set[RecordKey]) -> None:
        """A parent that was made and deleted offline was never here, and its children are pushed:
        they are children of a deleted parent (contract push 4)."""
        pushed = {record.place.id for record in part.records}
        for place in part.deletions:
            unknown = place.id not in rows and place.id not in pushed
            if unknown and (part.table.name, place.id) in named:
                values = dict(empty_values(part.table))
                rows[place.id] = Row(
                    place.id, values, self.tick, self.tick, deleted=True, is_new=True
                )

    def _delete(self, rows: dict[str, Row], place: Place) -> None:
        row = rows.get(place.id)
        if row is None or row.deleted:
            return
        if self.policy == "reject" and self._conflicts(row):
            self.problems.conflict(place)
            return
        row.deleted = True
        self._touch(row)

    def _touch(self, row: Row) -> None:
        if row.is_new or row.is_changed:
            return
        if not self.history.is_own(row.updated):
            row.rival = row.updated
        row.updated = self.tick
        row.is_changed = True


def _named_parents(pushed: list[PushedTable]) -> set[RecordKey]:
    return {
        (parent.table, record.values.get(parent.column))
        for part in pushed
        for parent in part.table.parents
        for record in part.records
    }


def _missing(parent: Parent, named: str | None) -> str:
    return f"No record {named!r} in {parent.table}." if named else f"It needs a {parent.column}."


def _parents_first(part: PushedTable) -> Iterator[PushedRecord]:
    """The records of a table; of one that refers to itself, a parent before its children."""
    own = [parent.column for parent in part.table.parents if parent.table == part.table.name]
    if not own:
        yield from part.records
        return
    by_id = {record.place.id: record for record in part.records}
    done: set[Place] = set()
    for record in part.records:
        chain = [record]
        while chain:
            top = chain[-1]
            above = [by_id[i] for c in own if (i := top.values.get(c)) in by_id]
            wait = [r for r in above if r.place not in done and r not in chain]
            if wait:
                chain.append(wait[0])
                continue
            chain.pop()
            if top.place not in done:
                done.add(top.place)
                yield top
