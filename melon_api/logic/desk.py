"""The rows of a push, and those that the app's code looks at beside them; what it did to them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Executable, Result
from sqlalchemy.exc import DBAPIError

from melon_api.errors import UnknownParent
from melon_api.refusals import NoSuchParent, places
from melon_api.storage.transactions import is_outage
from melon_api.sync.rules.checksum import value_digest
from melon_api.sync.rules.history import SERVER, Alterations, History, RecordKey
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Messages, Place, Problems
from melon_api.sync.rules.pushed import PushedRecord, PushedTable
from melon_api.sync.rules.sanitize import NOT_COLUMNS, explain, sanitize
from melon_api.sync.rules.tables import (
    CATALOGUE,
    ID,
    OWN,
    SPACE_ID,
    Row,
    StoredRows,
    SyncedTable,
    Tables,
)
from melon_api.sync.sql import rows

Values = dict[str, Any]
WHY = {"null": "it may not be null", "type": "of another type", "unknown": "no such column"}
WHY["half"] = "half of a surrogate pair, which no database takes"


@dataclass
class Desk:
    """Beside a merge that is about to be applied: `before` is what lived in the database, by table
    and id; `causes`, because of which deletion a record goes that was not pushed."""

    connection: Connection
    user_id: str
    tables: Tables
    merge: Merge
    pushed: list[PushedTable]
    reach: str = OWN  # whose records these are: an account's own, of a shared space, everybody's
    before: dict[str, dict[str, Values]] = field(init=False)
    causes: dict[RecordKey, RecordKey] = field(default_factory=dict)
    followed: dict[str, int] = field(default_factory=dict)  # by table: how many above it go
    refused: list[tuple[Place, Messages]] = field(default_factory=list)
    altered: dict[RecordKey, set[str]] = field(default_factory=dict)
    is_changed: bool = False
    absent: set[RecordKey] = field(default_factory=set)  # looked for, under the account's lock
    failure: DBAPIError | None = None  # of the app's own statement, whether or not it says so

    def __post_init__(self) -> None:
        for name in self.tables:
            self.merge.stored.setdefault(name, {})
        self.before = {
            name: {row.id: row.values for row in found.values() if not row.deleted}
            for name, found in self.merge.stored.items()
        }

    @cached_property
    def _server(self) -> Merge:
        return server_merge(self.merge.stored, self.merge.tick, self.merge.most_octets)

    @cached_property
    def _sent(self) -> dict[RecordKey, PushedRecord]:
        return {(r.table, r.id): r for part in self.pushed for r in part.records}

    @cached_property
    def _deletions(self) -> dict[RecordKey, Place]:
        return {(p.table, p.id): p for part in self.pushed for p in part.deletions}

    def execute(self, statement: Executable) -> Result[Any]:
        """The app's own, on the push's connection."""
        with self._noting_failure():
            return self.connection.execute(statement)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            self.failure = error
            raise

    def raise_outage(self) -> None:
        """Though the app's code caught it: a deadlock undoes the transaction and frees its lock."""
        if self.failure and is_outage(self.failure):
            raise self.failure

    def load(self, table: SyncedTable, ids: Iterable[str]) -> None:
        """Read those that are not here yet, with one statement."""
        here = self.merge.stored[table.name]
        if missing := {i for i in ids if self._is_unknown(table, i) and ID.match(i)}:
            wanted = {table.name: missing}
            with self._noting_failure():
                whose = CATALOGUE if table.reach == CATALOGUE else self.user_id
                read = rows.read_rows(self.connection, self.tables, whose, wanted)
            found = read[table.name]
            here |= found
            alive = {row.id: row.values for row in found.values() if not row.deleted}
            self.before[table.name] |= alive
            self.absent |= {(table.name, i) for i in missing - found.keys()}

    def _is_unknown(self, table: SyncedTable, record_id: str) -> bool:
        here = self.merge.stored[table.name]
        return record_id not in here and (table.name, record_id) not in self.absent

    def fallen(self, table: str) -> list[str]:
        """The records that go with this push."""
        before = self.before[table]
        stored = self.merge.stored[table].values()
        return [row.id for row in stored if row.deleted and (row.is_new or row.id in before)]

    def write(self, table: SyncedTable, record_id: str, sent: Mapping[str, Any]) -> None:
        """Save a record, as the server. Raises ValueError for what cannot be kept as it is."""
        here = self.merge.stored[table.name]
        old = here.get(record_id)
        was = old.values if old else {}
        self._check_reach(table)
        values = _checked(table, record_id, sent) | self._space_of(table, record_id, sent)
        for parent in table.parents:
            if named := values.get(parent.column):
                self.load(self.tables[parent.table], [named])
        record = PushedRecord(table.name, "updated", 0, record_id, values, None, (), True, True)
        self._server.apply_record(table, here, record)
        if self._server.problems:
            problems, self._server.problems = self._server.problems, Problems()
            is_orphan = problems.codes() == {table.name: {record_id: UnknownParent.code}}
            kind = NoSuchParent if is_orphan else ValueError
            raise _wrong(table, record_id, problems.errors[table.name]["updated"]["0"], kind)
        row = here[record_id]
        edits = {name for name in values if old is None or values[name] != was[name]}
        self.is_changed = self.is_changed or bool(edits) or row.deleted
        self.altered.setdefault((table.name, record_id), set()).update(edits)

    def _check_reach(self, table: SyncedTable) -> None:
        if self.reach == OWN and table.reach == CATALOGUE:
            raise ValueError(f"{table.name} is for everybody: use changes(CATALOGUE)")
        if self.reach not in {OWN, table.reach}:
            raise ValueError(f"{table.name} has no records in this space")

    def _space_of(
        self, table: SyncedTable, record_id: str, sent: Mapping[str, Any]
    ) -> dict[str, str | None]:
        """What a root record says of its space: a record is moved by phones alone."""
        if not table.names_space:
            return {}
        here = None if self.reach == OWN else self.user_id
        if sent.get(SPACE_ID, here) != here:
            raise _wrong(table, record_id, {SPACE_ID: ["these are the changes of another space"]})
        return {SPACE_ID: here}

    def remove(self, table: SyncedTable, row: Row) -> None:
        self.is_changed = self.is_changed or not row.deleted
        self._server.delete(self.merge.stored[table.name], Place(table.name, "", 0, row.id))

    def refuse(self, table: SyncedTable, record_id: str, messages: Messages) -> None:
        """At the place of the record in the push, or of the deletion because of which it goes.
        Raises ValueError where there is neither."""
        key: RecordKey | None = (table.name, record_id)
        while key and key not in self._sent and key not in self._deletions:
            key = self.causes.get(key)
        if self.merge.history.device == SERVER:  # what it refuses is told by id (writes.py)
            self.refused.append((Place(table.name, "", 0, record_id), messages))
            return
        if key is None:
            raise ValueError(f"{table.name} {record_id!r} is not of this push: nobody to refuse")
        sent = self._sent.get(key)
        self.refused.append((sent.place if sent else self._deletions[key], messages))

    def alterations(self) -> Alterations:
        """Of what was pushed: what is stored otherwise than it was sent."""
        found: dict[RecordKey, dict[str, str]] = {}
        for key, names in self.altered.items():
            if sent := self._sent.get(key):
                columns = [c for c in self.tables[key[0]].columns if c.name in names]
                found[key] = {
                    c.name: value_digest(c, sent.values[c.name])
                    for c in columns
                    if c.name in sent.values
                }
        for key, name in self._edited_since():
            found.setdefault(key, {}).setdefault(name, "")
        return {key: digests for key, digests in found.items() if digests}

    def _edited_since(self) -> Iterator[tuple[RecordKey, str]]:
        """What was altered once and is another value now: to send the first again is an edit."""
        for (table, record_id), digests in self.merge.history.altered.items():
            sent = self._sent.get((table, record_id))
            row = self.merge.stored[table].get(record_id) if sent else None
            if sent and row and row.updated == self.merge.tick:
                for column in self.tables[table].columns:
                    known = digests.get(column.name)
                    is_sent = known is not None and column.name in sent.values
                    if is_sent and value_digest(column, sent.values[column.name]) != known:
                        yield (table, record_id), column.name


def server_merge(stored: StoredRows, tick: int, most_octets: int) -> Merge:
    """The app's code changes records as one more device, which has seen all that there is."""
    return Merge(
        stored=stored,
        history=History(SERVER, tick, session=SERVER),
        tick=tick,
        policy="last_write_wins",
        is_partial=False,
        problems=Problems(),
        most_octets=most_octets,
    )


def _checked(table: SyncedTable, record_id: str, sent: Mapping[str, Any]) -> Values:
    values, misfits, repairs = sanitize(table, dict(sent))
    wrong = explain(table, values, misfits) | {name: [WHY[why]] for name, why in repairs}
    wrong |= {name: [WHY["unknown"]] for name in NOT_COLUMNS.intersection(sent)}
    wrong |= {name: [WHY["half"]] for name, value in values.items() if _is_half(value)}
    if wrong:
        raise _wrong(table, record_id, wrong)
    return values


def _wrong(
    table: SyncedTable, record_id: str, messages: Any, kind: type[ValueError] = ValueError
) -> ValueError:
    by_place = messages if isinstance(messages, Mapping) else {"record": messages}
    return kind(f"{table.name} {record_id!r}: {'; '.join(places(by_place))}")


def _is_half(value: Any) -> bool:
    """A text that is no UTF-8; JSON brings none, Python makes them."""
    return isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value)
