"""What a push does to the stored records. Pure: rows in, rows out, no SQL, no clock of its own."""

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from melon_api.sync.rules.checksum import value_digest
from melon_api.sync.rules.history import Former, History, RecordKey
from melon_api.sync.rules.problems import Place, Problems
from melon_api.sync.rules.pushed import PushedRecord, PushedTable, parents_first
from melon_api.sync.rules.sanitize import empty_values
from melon_api.sync.rules.tables import Parent, Row, StoredRows, SyncedTable

TOO_LARGE = ["The database does not take a record of this size."]


@dataclass
class Merge:
    """One push, applied to `stored` in place. What it cannot take goes to `problems`."""

    stored: StoredRows
    history: History
    tick: int
    policy: str
    is_partial: bool
    problems: Problems
    most_octets: int = sys.maxsize  # of a row, as the database takes it
    as_sent: bool = True
    conflicts: int = 0
    adopted: set[tuple[str, str]] = field(default_factory=set)
    # Records that come from another space, by table and id: where one was deleted here before, it
    # lives again (contract, Spaces 4).
    # With the columns of their parents that are as they were: those may be left behind.
    arrivals: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    # What those were here before: a device that was told of no end has them still.
    returned: dict[RecordKey, Former] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Of all tables."""
        for rows in self.stored.values():
            yield from rows.values()

    def apply(self, pushed: list[PushedTable]) -> None:
        """All of it, parents first, so that a child finds the parent it was pushed with."""
        named = _named_parents(pushed) if any(part.deletions for part in pushed) else set()
        for part in pushed:
            rows = self.stored[part.table.name]
            if part.deletions:
                self._mark_unborn_deleted(part, rows, named)
            for record in parents_first(part):
                self.apply_record(part.table, rows, record)
            for place in part.deletions:
                self.delete(rows, place)

    def apply_record(self, table: SyncedTable, rows: dict[str, Row], record: PushedRecord) -> None:
        row = rows.get(record.id)
        if row is not None and row.deleted:
            if (table.name, record.id) not in self.arrivals:
                self._apply_to_tombstone(row, record)
                return
            self.returned[table.name, row.id] = Former(row.rival, row.created, row.created_by)
            rows[row.id] = row = self._new(row.id, record.values, is_back=True)
        if row is not None and (table.name, record.id) in self.history.altered:
            record = self._without_altered(table, row, record)
        record = self._without_left(table, record)
        sent, record = record, self._without_deleted(table, record)
        values = self.decide(table, row, record)
        if values is None:
            self.problems.conflict(record.place)
            return
        if table.most_octets > self.most_octets and table.octets(values) > self.most_octets:
            self.problems.invalid(record.place, TOO_LARGE)
            return
        parents_live = self._check_parents(table, row, values, record)
        if parents_live is None or not record.fits:
            return
        if row is None:
            row = rows[record.id] = self._new(record.id, values)
        else:
            self._note_adoption(table, row)
            is_told_again = record is not sent and row.updated <= self.history.since
            if values != row.values or is_told_again:
                row.values = values
                self.touch(row)
        if not parents_live:
            self.mark_deleted(row)
        if self.as_sent:
            is_whole = values is record.values or record.values.items() <= values.items()
            self.as_sent = record.as_sent and is_whole and parents_live

    def _without_altered(self, table: SyncedTable, row: Row, record: PushedRecord) -> PushedRecord:
        """What the app's own code altered, and the device sends as before, is no edit: it has not
        been told yet (contract push 1)."""
        altered, sent = self.history.altered[table.name, record.id], record.values
        columns = [c for c in table.columns if c.name in altered and c.name in sent]
        same = [c.name for c in columns if value_digest(c, sent[c.name]) == altered[c.name]]
        stored = {name: row.values[name] for name in same}
        return replace(record, values=sent | stored, as_sent=False) if same else record

    def _without_left(self, table: SyncedTable, record: PushedRecord) -> PushedRecord:
        """A reference that a deletion clears is cleared, too, where its record stays behind."""
        same = self.arrivals.get((table.name, record.id), ())
        named = ((p.column, p.table, record.values.get(p.column)) for p in table.cleared)
        left = [c for c, name, i in named if c in same and i and i not in self.stored[name]]
        nulls: dict[str, Any] = dict.fromkeys(left)
        return replace(record, values=record.values | nulls, as_sent=False) if nulls else record

    def _without_deleted(self, table: SyncedTable, record: PushedRecord) -> PushedRecord:
        """A reference that a deletion clears is not set to a deleted record (contract push 4)."""
        named = ((p.column, p.table, record.values.get(p.column)) for p in table.cleared)
        above = {column: self.stored[name].get(i) for column, name, i in named if i}
        nulls: dict[str, Any] = {
            column: None for column, row in above.items() if row and row.deleted
        }
        return replace(record, values=record.values | nulls, as_sent=False) if nulls else record

    def _apply_to_tombstone(self, row: Row, record: PushedRecord) -> None:
        """A deletion wins, and is told again to a device that edits although it was told, or that
        would not be told of it: it may have made it, and not pulled since."""
        self.as_sent = False
        if self.policy == "reject" and record.fits and self._conflicts(row):
            self.problems.conflict(record.place)
        elif row.updated <= self.history.since or self.history.up_to_date:
            row.updated = self.tick
            row.is_changed = True

    def decide(
        self, table: SyncedTable, row: Row | None, record: PushedRecord
    ) -> dict[str, Any] | None:
        """The record's new values; None for a conflict that cannot be merged (contract push 3)."""
        is_whole = len(record.values) == len(table.columns)
        if row is None:
            return record.values if is_whole else empty_values(table) | record.values
        whole = record.values if is_whole else {**row.values, **record.values}
        if whole == row.values or not record.fits or not self._conflicts(row):
            return whole
        self.conflicts += 1
        if self.policy == "reject" or record.changed == frozenset():
            return None
        if record.changed is None:
            return whole
        edits = {name: record.values[name] for name in record.changed if name in record.values}
        return {**row.values, **edits}

    def _conflicts(self, row: Row) -> bool:
        """Whether another session changed or deleted the row after what this one has seen. Not a
        device: one restored from another's backup brings its name along (contract push 3)."""
        since, is_own = self.history.since, row.updated_by == self.history.session
        if row.deleted:
            return row.rival > since and not is_own
        return row.updated > since and (row.rival > since if is_own else True)

    def _check_parents(
        self, table: SyncedTable, row: Row | None, values: dict[str, Any], record: PushedRecord
    ) -> bool | None:
        """Whether all parents live; None when one does not exist, which is then noted."""
        live: bool | None = True
        same = self.arrivals.get((table.name, record.id), ())
        for parent in table.parents:
            named = values[parent.column]
            if parent.on_delete == "keep" if named else not parent.required:
                continue
            above = self.stored[parent.table].get(named)
            if above is None and parent.column in same:
                continue
            if above is None and not (row and row.values[parent.column] == named):
                self._note_missing(parent, named, record)
                live = None
            elif above is not None and above.deleted and parent.on_delete == "cascade":
                live = live and False
        return live

    def _note_missing(self, parent: Parent, named: str | None, record: PushedRecord) -> None:
        """A parent that is refused itself is named already; its child goes with it."""
        if named and self.problems.is_rejected(parent.table, named):
            if self.is_partial:
                message = f"Its parent {named!r} in {parent.table} was refused."
                self.problems.unknown_parent(record.place, parent.column, message)
            else:
                self.problems.orphan(record.place)
            return
        missing = f"No record {named!r} in {parent.table}."
        message = missing if named else f"It needs a {parent.column}."
        self.problems.unknown_parent(record.place, parent.column, message)

    def _note_adoption(self, table: SyncedTable, row: Row) -> None:
        """From now on this device has had the record, although another one made it."""
        born = (row.created, row.created_by)
        if not self.history.has_had(table.name, row.id, *born):
            self.adopted.add((table.name, row.id))

    def _mark_unborn_deleted(
        self, part: PushedTable, rows: dict[str, Row], named: set[tuple[str, Any]]
    ) -> None:
        """A parent that was made and deleted offline was never here, and its children are pushed:
        they are children of a deleted parent (contract push 4)."""
        pushed = {record.id for record in part.records}
        for place in part.deletions:
            is_unknown = place.id not in rows and place.id not in pushed
            if is_unknown and (part.table.name, place.id) in named:
                row = rows[place.id] = self._new(place.id, dict(empty_values(part.table)))
                self.mark_deleted(row)

    def delete(self, rows: dict[str, Row], place: Place) -> None:
        row = rows.get(place.id)
        if row is None or row.deleted:
            return
        if self.policy == "reject" and self._conflicts(row):
            self.problems.conflict(place)
            return
        self.mark_deleted(row)

    def _new(self, record_id: str, values: dict[str, Any], is_back: bool = False) -> Row:
        """`is_back`: in the place of a tombstone."""
        device, session = self.history.device, self.history.session
        row = Row(record_id, values, self.tick, device, self.tick, session, is_new=not is_back)
        row.is_changed = is_back
        return row

    def mark_deleted(self, row: Row) -> None:
        self.touch(row)
        row.deleted = True
        row.rival = self.tick

    def touch(self, row: Row) -> None:
        """It is this push's now; what another part of the same push changed is that already."""
        if row.updated == self.tick:
            return
        if row.updated_by != self.history.session:
            row.rival = row.updated
        row.updated, row.updated_by = self.tick, self.history.session
        row.is_changed = True


def _named_parents(pushed: list[PushedTable]) -> set[tuple[str, Any]]:
    return {
        (parent.table, record.values.get(parent.column))
        for part in pushed
        for parent in part.table.parents
        for record in part.records
    }
