"""A phone of somebody's: signed in, with records of its own that sync as WatermelonDB's do."""

from typing import Any

from flask import Flask

from melon_api.errors import DomainError
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import RecordKey
from melon_api.testing.record import Record, checked
from melon_api.testing.remote import apply
from melon_api.testing.signed_in import SignedIn
from melon_api.testing.store import Changes, Store


class Phone(SignedIn):
    """`rejected`: what the last push with `partial` did not store, as {table: {id: code}} (contract
    push 6). `last_pulled_at`: ms of the account's clock.

    Errors that the server answers are raised, each as its class in `melon_api.errors`."""

    def __init__(self, app: Flask, email: str, device: str) -> None:
        super().__init__(app, email, device)
        self._store = Store(synced_tables())
        self._errors: dict[RecordKey, Any] = {}
        self.rejected: dict[str, dict[str, str]] = {}
        self.last_pulled_at: int | None = None

    # --- what the person does

    def create(self, model: type[Any], **values: Any) -> Record:
        """A new record; what is not named is empty, `id` is made up. Raises TypeError for a value
        that a phone could not hold."""
        return self._store.create(self._store.table(model), values)

    def update(self, record: Record, **values: Any) -> None:
        """Edit a record of this phone's. Raises TypeError for a value that a phone could not hold,
        ValueError for a record that is not here."""
        self._store.update(record, values)

    def delete(self, record: Record) -> None:
        """This one alone; what hangs under it goes with the next pull. Raises ValueError for a
        record that is not here."""
        self._store.delete(record)

    # --- what the person sees

    def records(self, model: type[Any], **values: Any) -> list[Record]:
        """The records here that have these values, in the order in which they came. Raises
        TypeError for a column that there is not."""
        table = self._store.table(model)
        checked(table, {name: value for name, value in values.items() if name != "id"})
        here = self._store.records[table.name].values()
        living = (record for record in here if record["_status"] != "deleted")
        return [r for r in living if all(r[name] == value for name, value in values.items())]

    def get(self, model: type[Any], record_id: str) -> Record | None:
        """The record of this id; None where it is not here."""
        return next(iter(self.records(model, id=record_id)), None)

    def errors_of(self, record: Record) -> Any:
        """What the answer to the last push said of a record, for the person: {column: [texts]}, or
        [texts] of it as a whole; None where it said nothing."""
        return self._errors.get((record.table.name, record.id))

    # --- sync

    def sync(self, *, partial: bool = False, lose_answer: bool = False) -> None:
        """Pull, then push, as `synchronize()` does. `partial` (push's `allowPartial`): what cannot
        be stored stays here, unsynced. `lose_answer`: the push arrives, its answer does not."""
        self.pull()
        self.push(partial=partial, lose_answer=lose_answer)

    def pull(self, *, lose_answer: bool = False) -> Changes:
        """What is new comes here, edits stay, column by column. Returns what the server told."""
        body = {"lastPulledAt": self.last_pulled_at, "schemaVersion": 1, "migration": None}
        answer = self.post("/sync/pull", body)
        changes: Changes = answer["changes"]
        if not lose_answer:
            replaces = answer.get("experimentalStrategy") == "replacement"
            apply(self._store, changes, replaces)
            self.last_pulled_at = answer["timestamp"]
        return changes

    def push(self, *, partial: bool = False, lose_answer: bool = False) -> None:
        """Send what was edited here since; nothing is sent where nothing was."""
        self.rejected, self._errors = {}, {}
        sent = self._store.changes()
        if not any(records for lists in sent.values() for records in lists.values()):
            return
        body = {"changes": sent, "lastPulledAt": self.last_pulled_at, "allowPartial": partial}
        try:
            answer = self.post("/sync/push", body)
        except DomainError as error:
            self._errors = _by_record(sent, error.errors or {})
            raise
        if lose_answer:
            return
        self.rejected = answer.get("rejected", {})
        self._errors = _by_record(sent, answer.get("errors", {}))
        self._store.mark_synced(sent, answer.get("experimentalRejectedIds", {}))


def _by_record(sent: Changes, errors: Any) -> dict[RecordKey, Any]:
    """What is said of places in a push, by record."""
    found: dict[RecordKey, Any] = {}
    for table, lists in errors.get("changes", {}).items():
        for name, places in lists.items() if isinstance(lists, dict) else ():
            for index, texts in places.items():
                one = sent[table][name][int(index)]
                found[table, one if isinstance(one, str) else one["id"]] = texts
    return found
