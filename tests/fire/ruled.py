"""Rules of an app, as functions of the server and as part of the model: a rule that alters, makes,
deletes and refuses changes nothing of what devices may rely on (contract push 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model import SCHEMA, AccountModel, Draft, Key, Values, Version, sane

from melon_api.logic import Changes, before_push
from melon_api.logic.records import Record
from tests.example.models import Project, Task

SERVER = "server"
REFUSED_AT = 2.5  # of `created_at`
MADE = "t3"  # the task that the server keeps beside the project `p3`
NAMES = {"projects": "name", "tasks": "title"}


def is_refused(record: Mapping[str, Any] | Record) -> bool:
    return bool(record["created_at"] == REFUSED_AT)


def is_doomed(record: Mapping[str, Any] | Record, name: str) -> bool:
    return bool(record[name] == "a" and record["description"] == "b")


def is_kept(before: Mapping[str, Any]) -> bool:
    return bool(before["is_completed"] and before["title"] == "a")


def rule_table(changes: Changes, name: str) -> None:
    for record in changes.saved:
        if record.id == MADE:
            continue
        if is_refused(record):
            record.refuse("Not at this hour.", "created_at")
        elif is_doomed(record, name):
            record.delete()
        elif record[name] == "b":
            record[name] = "B"


def register() -> None:
    """In this process; on the tables of the tests."""

    @before_push(Project)
    def projects(changes: Changes) -> None:
        rule_table(changes, "name")
        for one in changes.saved:
            if one.id == "p3" and not one.is_deleted and not is_refused(one):
                values = {"id": MADE, "title": f"of {one['name']}", "project_id": "p3"}
                changes.account.save(Task, values)

    @before_push(Task)
    def tasks(changes: Changes) -> None:
        rule_table(changes, "title")
        for one in changes.deleted:
            if is_kept(one.before):
                one.refuse("It is done; keep it.")


@dataclass
class Outcome:
    """What a push comes to by the rules."""

    after: dict[Key, Values | None]
    refused: set[Key] = field(default_factory=set)
    by_server: set[Key] = field(default_factory=set)
    altered: dict[Key, Values] = field(default_factory=dict)  # what is stored instead, by column
    is_changed: bool = False


class RuledModel(AccountModel):
    """The contract with those rules."""

    def __init__(self, policy: str) -> None:
        super().__init__(policy)
        self.outcome = Outcome({})
        self.sent: list[tuple[int, str, Key, Values]] = []  # where something else is stored

    def _judge(self, draft: Draft, *, partial: bool) -> Draft:
        """Contract push 6: without what is refused, all begins anew."""
        refused: dict[Key, str] = {}
        changes = draft.changes
        while True:
            draft = Draft(draft.device, draft.session, draft.since, changes, draft.held_back)
            super()._judge(draft, partial=partial)
            self.outcome = self._ruled(draft)
            refused |= dict.fromkeys(self.outcome.refused, "refused")
            draft.refused |= refused
            if not partial or not self.outcome.refused:
                return draft
            changes = without(changes, refused.keys())

    def _ruled(self, draft: Draft) -> Outcome:
        out = Outcome(self._merged_alone(draft))
        self._rule_table(out, "projects")
        made = out.after.get(("projects", "p3"))
        if made is not None and not is_refused(made):
            self._save_made(out, made)
        out.after |= dict.fromkeys(self._children_of_dead(out.after))
        gone = [key for key, values in out.after.items() if key[0] == "tasks" and values is None]
        self._rule_table(out, "tasks")
        for key in gone:
            before = self._was(key)
            if before and is_kept(before):
                out.refused.add(self._culprit(draft, key, before))
        return out

    def _merged_alone(self, draft: Draft) -> dict[Key, Values | None]:
        """Before a rule is asked: what is pushed under a deleted parent is deleted already, what
        else goes with its parent not yet."""
        after: dict[Key, Values | None] = {}
        for key, values in draft.upserts.items():
            parent = ("projects", values.get("project_id"))
            is_dead = parent in self.records and self.records[parent].is_dead
            after[key] = None if is_dead or parent in draft.deleted else values
        after |= dict.fromkeys(draft.deleted)
        return {k: v for k, v in after.items() if k not in self.records or self._was(k) != v}

    def _was(self, key: Key) -> Values | None:
        return self.records[key].values if key in self.records else None

    def _rule_table(self, out: Outcome, table: str) -> None:
        name = NAMES[table]
        for key, values in list(out.after.items()):
            if key[0] != table or key[1] == MADE or values is None:
                continue
            if is_refused(values):
                out.refused.add(key)
            elif is_doomed(values, name):
                out.after[key], out.is_changed = None, True
            elif values[name] == "b":
                out.after[key] = values | {name: "B"}
                out.altered[key], out.is_changed = {name: "B"}, True

    def _save_made(self, out: Outcome, home: Values) -> None:
        """A deleted id stays deleted."""
        key = ("tasks", MADE)
        stored = out.after.get(key, self._was(key))
        if stored is None and (key in self.records or key in out.after):
            return
        wanted = {"title": f"of {home['name']}", "project_id": "p3"}
        base = stored or SCHEMA["tasks"]
        edits = {column: v for column, v in wanted.items() if base[column] != v or not stored}
        if edits:
            if key not in out.after:
                out.by_server.add(key)
            out.after[key] = base | edits
            out.altered[key], out.is_changed = edits, True

    def _culprit(self, draft: Draft, key: Key, before: Values) -> Key:
        """Contract push 10: of what goes with its parent the parent's deletion is refused."""
        pushed = key in draft.raw or key[1] in draft.changes.get(key[0], {}).get("deleted", [])
        return key if pushed else ("projects", before["project_id"])

    def _changes(self, draft: Draft, tick: int) -> dict[Key, Version]:
        for key, stored in self.outcome.altered.items():
            if key in draft.raw:
                sent = sane(key[0], draft.raw[key])
                told = {column: sent[column] for column in stored if column in sent}
                self.sent.append((tick, draft.device, key, told))
        return {
            key: Version(tick, SERVER if key in self.outcome.by_server else draft.session, values)
            for key, values in self.outcome.after.items()
        }

    def _as_sent(self, draft: Draft, differs: dict[Key, Values | None]) -> bool | None:
        as_sent = super()._as_sent(draft, differs)
        return False if self.outcome.is_changed else as_sent

    def _edits(self, draft: Draft, table: str, raw: Values) -> Values:
        """Contract push 10: what is sent again as it was, before the device was told, is none."""
        sent, key = sane(table, raw), (table, raw["id"])
        stored = self._was(key)
        if stored is None:
            return sent
        known: Values = {}
        for tick, device, of, values in self.sent:
            if of == key and device == draft.device and tick > draft.since:
                known |= values
        same = {c: stored[c] for c, value in known.items() if c in sent and sent[c] == value}
        return sent | same


def without(changes: Values, refused: Any) -> Values:
    left: Values = {}
    for table, lists in changes.items():
        gone = {id for of, id in refused if of == table}
        left[table] = {
            name: [x for x in entries if (x if name == "deleted" else x["id"]) not in gone]
            for name, entries in lists.items()
        }
    return left
