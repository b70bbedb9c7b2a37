"""The sync contract as a small in-memory model: the second opinion on the server's answers.

Every change of a record is kept for ever: who made it, at which tick of the account's clock, and
what the record was afterwards. All answers are derived from this history by the contract's own
words; there are no clever columns.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

LAST_WRITE_WINS, REJECT = "last_write_wins", "reject"

# The app's schema: of each column the empty value, which also tells its type (contract push 5).
SCHEMA: dict[str, dict[str, Any]] = {
    "projects": {"name": "", "description": None, "created_at": 0, "updated_at": 0},
    "tasks": {
        "title": "",
        "description": None,
        "is_completed": False,
        "project_id": "",
        "created_at": 0,
        "updated_at": 0,
    },
}
SHORT = ("name", "title")  # at most 255 characters (contract push 5)
PARENT = {"tasks": ("project_id", "projects")}  # the schema lists parents first
ID = re.compile(r"[A-Za-z0-9_.-]{1,36}")  # contract push 11
# Contract, Errors 4: the gravest first.
GRAVITY = ("unknown_table", "validation_failed", "refused", "unknown_parent", "sync_conflict")

Key = tuple[str, str]  # table and id
Values = dict[str, Any]


def put_right(empty: Any, value: Any) -> Any:
    """Contract push 5: a wrong type or a null becomes the column's empty value."""
    match empty:
        case bool():
            return value is True or (type(value) in (int, float) and value == 1)
        case int():
            return value if type(value) in (int, float) else empty
    return value if isinstance(value, str) else empty


def sane(table: str, raw: Values) -> Values:
    """Contract push 5: the columns of the schema that were sent, put right."""
    return {c: put_right(empty, raw[c]) for c, empty in SCHEMA[table].items() if c in raw}


def fits(table: str, raw: Values) -> bool:
    """Contract push 5 and 11: what cannot be kept whole, or under no such id, is refused."""
    return is_id(raw.get("id")) and all(len(sane(table, raw).get(c, "")) <= 255 for c in SHORT)


def is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def named(table: str, changed: Any) -> set[str]:
    """Contract push 3: the columns in `_changed`; what is no string or names none is empty."""
    return set(changed.split(",")) & set(SCHEMA[table]) if isinstance(changed, str) else set()


@dataclass(frozen=True)
class Version:
    """What a record was after a change; `values` is None when it was deleted."""

    tick: int
    session: str
    values: Values | None


@dataclass
class Record:
    """A record's whole history."""

    versions: list[Version] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)  # who pushed it without having pulled it
    # A deletion told again to the device that edits the dead record: (tick, device).
    reminders: list[tuple[int, str]] = field(default_factory=list)

    @property
    def values(self) -> Values | None:
        return self.versions[-1].values

    @property
    def is_dead(self) -> bool:
        return self.values is None

    @property
    def born(self) -> int:
        return self.versions[0].tick

    def at(self, tick: int) -> Values | None:
        """What it was then; None also before it was born."""
        known = [version.values for version in self.versions if version.tick <= tick]
        return known[-1] if known else None

    def after(self, tick: int) -> list[Values | None]:
        """What it has been since then."""
        return [version.values for version in self.versions if version.tick > tick]

    def changed_after(self, tick: int) -> bool:
        return self.versions[-1].tick > tick

    def rivals(self, session: str, since: int) -> list[Version]:
        """Contract push 3: changes that another *session* made after `since` (Accounts 4)."""
        return [v for v in self.versions if v.tick > since and v.session != session]

    def was_had_by(self, device: str, since: int) -> bool:
        """Contract pull 3: it came with the pull at `since` or before, or is the device's own."""
        return self.born <= since or device in self.holders


@dataclass
class Push:
    """The log: did the device hold afterwards what was stored? None: the contract is silent."""

    tick: int
    session: str
    as_sent: bool | None


@dataclass(frozen=True)
class Answer:
    """What a push is answered; `up_to_date` tells if there is a timestamp, None: either."""

    status: int
    code: str | None = None
    conflicts: frozenset[Key] = frozenset()
    rejected: frozenset[Key] = frozenset()
    up_to_date: bool | None = False


@dataclass
class Told:
    """What a pull holds of one table. `reminded`: deletions that may be told once more."""

    created: dict[str, Values] = field(default_factory=dict)
    updated: dict[str, Values] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    reminded: set[str] = field(default_factory=set)


class Clock:
    """The account's ticks, and what the server calls them (contract pull 1)."""

    def __init__(self) -> None:
        self.tick = 0
        self.floor = 0  # a client's `lastPulledAt` that was ahead raises the clock to it
        self._ticks: dict[int, int] = {}

    def note(self, timestamp: int) -> None:
        """The server names the current tick: never backwards, and no change under an old name."""
        latest = max(self._ticks, default=0)
        assert timestamp >= max(latest, self.floor, 1), "the clock went backwards"
        assert self._ticks.setdefault(timestamp, self.tick) == self.tick, "a change was hidden"

    def at(self, timestamp: int | None) -> int:
        """The tick that a `lastPulledAt` stands for; a push without one counts as 0."""
        return max((k for t, k in self._ticks.items() if t <= (timestamp or 0)), default=0)

    @property
    def now(self) -> int:
        return max(self._ticks, default=0)


class Draft:
    """A push in the making: what is refused, and what would be stored."""

    def __init__(
        self, device: str, session: str, since: int, changes: Values, held_back: set[Key]
    ) -> None:
        self.device = device
        self.session = session
        self.since = since
        self.changes = changes
        self.held_back = held_back
        self.refused: dict[Key, str] = {}
        self.raw: dict[Key, Values] = {}  # as sent
        self.upserts: dict[Key, Values] = {}  # what the record becomes
        self.dead: set[Key] = set()  # edited although they are deleted
        self.deleted: set[Key] = set()

    def code(self) -> str | None:
        """Contract, Errors 4: that of the gravest; 409 only where there is no 422."""
        return min(self.refused.values(), key=GRAVITY.index, default=None)


class AccountModel:
    """What one account holds, by the contract."""

    def __init__(self, policy: str = LAST_WRITE_WINS) -> None:
        self.policy = policy
        self.clock = Clock()
        self.records: dict[Key, Record] = {}
        self.pushes: list[Push] = []
        self.adoptions: list[tuple[int, str]] = []  # a device had what another one had made

    # pull

    def living(self) -> dict[str, dict[str, Values]]:
        """Contract pull 2: what a new device gets, by table and id."""
        return {table: self.pull("", None)[table].created for table in SCHEMA}

    def pull(self, device: str, since: int | None) -> dict[str, Told]:
        """Contract pull 1 to 3; `since` is a tick, or None for a first pull."""
        told = {table: Told() for table in SCHEMA}
        for (table, id), record in self.records.items():
            if since is None:
                if record.values is not None:
                    told[table].created[id] = record.values
            else:
                self._tell(told[table], id, record, device, since)
        return told

    def _tell(self, told: Told, id: str, record: Record, device: str, since: int) -> None:
        """Contract pull 3: one of the three lists, or none."""
        if record.values is None:
            again = {who for tick, who in record.reminders if tick > since}
            if record.changed_after(since) or device in again:
                told.deleted.add(id)
            elif again:
                told.reminded.add(id)
        elif record.changed_after(since):
            had = record.was_had_by(device, since)
            (told.updated if had else told.created)[id] = record.values

    # push

    def push(
        self,
        device: str,
        changes: Values,
        since: int,
        *,
        session: str = "",
        partial: bool = False,
        held_back: Iterable[Key] = (),
    ) -> Answer:
        """Contract push 1 to 7; `since` is the tick of the push's `lastPulledAt`.

        `session`: whose push it is, of the device's; by its name where it has had one alone.
        `held_back`: what the server calls a conflict; it counts where the contract is silent.
        """
        draft = Draft(device, session or device, since, changes, set(held_back))
        draft = self._judge(draft, partial=partial)
        code = draft.code()
        if code and not partial:
            conflicts = frozenset(draft.refused) if code == "sync_conflict" else frozenset()
            return Answer(409 if conflicts else 422, code, conflicts)
        as_sent = self._store(draft)
        rejected = frozenset(draft.refused)
        up_to_date = False if rejected else self._up_to_date(draft, as_sent)
        return Answer(200, rejected=rejected, up_to_date=up_to_date)

    def _judge(self, draft: Draft, *, partial: bool) -> Draft:
        """Parents before children, whatever the order in the body (contract push 2)."""
        for table, lists in draft.changes.items():
            if table not in SCHEMA:
                sent = [raw["id"] for raw in upserts(lists)] + lists.get("deleted", [])
                draft.refused |= {(table, id): "unknown_table" for id in sent}
        for table in SCHEMA:
            lists = draft.changes.get(table, {})
            for raw in upserts(lists):
                self._judge_upsert(draft, table, raw)
            for id in lists.get("deleted", []):
                self._judge_deletion(draft, (table, id))
        return draft

    def _judge_upsert(self, draft: Draft, table: str, raw: Values) -> None:
        """Contract push 2 to 5, for a record that is created or updated."""
        key = (table, raw["id"])
        draft.raw[key] = raw
        record = self.records.get(key)
        if record is not None and record.is_dead:
            self._judge_edit_of_dead(draft, key)
        if not fits(table, raw):
            draft.refused[key] = "validation_failed"
        if key in draft.dead or key in draft.refused:
            return
        values = self._merged(draft, table, raw)
        if values is None:
            draft.refused[key] = "sync_conflict"
        elif self._lacks_parent(draft, table, values):
            draft.refused[key] = "unknown_parent"
        else:
            draft.upserts[key] = values

    def _judge_edit_of_dead(self, draft: Draft, key: Key) -> None:
        """Contract push 3: a deletion wins; `reject` refuses where another device deleted it since.

        The contract is silent where the device itself did, after another one's change.
        """
        record = self.records[key]
        rivals = record.rivals(draft.session, draft.since)
        unseen = record.versions[-1] in rivals
        if self.policy == REJECT and (unseen or (rivals and key in draft.held_back)):
            draft.refused[key] = "sync_conflict"
        else:
            draft.dead.add(key)

    def _merged(self, draft: Draft, table: str, raw: Values) -> Values | None:
        """Contract push 3 and 5: what the record becomes, None where that cannot be said."""
        sent = self._edits(draft, table, raw)
        record = self.records.get((table, raw["id"]))
        if record is None or record.values is None:
            return SCHEMA[table] | sent
        stored = record.values
        if not record.rivals(draft.session, draft.since) or stored | sent == stored:
            return stored | sent
        if self.policy == REJECT:
            return None
        if "_changed" not in raw:
            return stored | sent
        columns = named(table, raw["_changed"])
        return stored | {c: v for c, v in sent.items() if c in columns} if columns else None

    def _edits(self, draft: Draft, table: str, raw: Values) -> Values:
        """What was sent."""
        return sane(table, raw)

    def _lacks_parent(self, draft: Draft, table: str, values: Values) -> bool:
        """Contract push 4: a child under a parent that does not exist, or without one."""
        if table not in PARENT:
            return False
        column, parents = PARENT[table]
        return (parents, values[column]) not in {*self.records, *draft.upserts, *draft.deleted}

    def _judge_deletion(self, draft: Draft, key: Key) -> None:
        """Contract push 2 and 3: unknown ids are ignored, a deletion wins unless `reject`."""
        if not is_id(key[1]):
            draft.refused[key] = "validation_failed"
            return
        record = self.records.get(key)
        living = record is not None and not record.is_dead
        if living and self.policy == REJECT and record.rivals(draft.session, draft.since):
            draft.refused[key] = "sync_conflict"
        elif record is not None or key in draft.upserts or is_unborn_parent(draft, key):
            draft.deleted.add(key)

    def _store(self, draft: Draft) -> bool | None:
        """Contract push 1, 2, 4: all at one tick. Was all stored as sent?"""
        tick = self.clock.tick + 1
        changes = self._changes(draft, tick)
        for key, version in changes.items():
            self.records.setdefault(key, Record()).versions.append(version)
        differs = {key: version.values for key, version in changes.items()}
        reminded = [self._remind(draft, key, tick) for key in draft.dead]
        is_adopting = self._note_holders(draft, tick)
        as_sent = self._as_sent(draft, differs)
        if differs or any(reminded):
            self.clock.tick = tick
            # What was refused was never stored: it needs no download (contract push 6).
            is_sure = as_sent is False or not draft.refused
            self.pushes.append(Push(tick, draft.session, as_sent if is_sure else None))
        elif is_adopting:
            self.pushes.append(Push(tick, draft.session, None))
        return as_sent

    def _changes(self, draft: Draft, tick: int) -> dict[Key, Version]:
        """What the push makes of records, and by whom that is."""
        return {k: Version(tick, draft.session, v) for k, v in self._differs(draft).items()}

    def _differs(self, draft: Draft) -> dict[Key, Values | None]:
        after = draft.upserts | dict.fromkeys(draft.deleted)
        after |= dict.fromkeys(self._children_of_dead(after))
        before = {key: self.records[key].values for key in after if key in self.records}
        return {k: v for k, v in after.items() if k not in before or before[k] != v}

    def _children_of_dead(self, after: dict[Key, Values | None]) -> Iterator[Key]:
        """Contract push 4: nothing lives below what is deleted."""
        states = {key: record.values for key, record in self.records.items()} | after
        for table, (column, parents) in PARENT.items():
            for key, values in states.items():
                if key[0] == table and values and states[parents, values[column]] is None:
                    yield key

    def _remind(self, draft: Draft, key: Key, tick: int) -> bool:
        """Contract push 3: the deletion is told (again) to the device; True if it takes a tick."""
        record = self.records[key]
        last = max([record.versions[-1].tick, *(t for t, _ in record.reminders)])
        record.reminders.append((tick if last <= draft.since else last, draft.device))
        return last <= draft.since

    def _note_holders(self, draft: Draft, tick: int) -> bool:
        """Contract pull 3: who pushes a record that it did not pull has it of its own."""
        keys = [key for key in draft.upserts if self.records[key].born > draft.since]
        new = [key for key in keys if draft.device not in self.records[key].holders]
        for key in new:
            self.records[key].holders.add(draft.device)
            self.adoptions.append((tick, draft.device))
        return bool(new)

    def _as_sent(self, draft: Draft, differs: dict[Key, Values | None]) -> bool | None:
        """Contract push 7: does the device hold what is stored now? None: an older app's record."""
        doomed = {key for key, values in differs.items() if values is None}
        if draft.dead or doomed - draft.deleted:
            return False
        found = [self._stored_as_sent(key, draft.raw[key]) for key in draft.upserts]
        return False if False in found else None if None in found else True

    def _stored_as_sent(self, key: Key, raw: Values) -> bool | None:
        """None for what is no lie but not the same either: absent columns, 1 for true."""
        stored, schema = self.records[key].values, SCHEMA[key[0]]
        sent = {name: v for name, v in raw.items() if name not in ("id", "_status", "_changed")}
        if stored is None:
            return True  # deleted by the same push
        if any(name not in schema or sent[name] != stored[name] for name in sent):
            return False
        exact = all(type(sent[name]) is type(stored[name]) for name in sent)
        return True if exact and len(sent) == len(schema) else None

    def _up_to_date(self, draft: Draft, as_sent: bool | None) -> bool | None:
        """Contract push 7: nobody else changed anything, and all was stored as sent.

        Silent: whether a deletion told again, or a record found to be had by two, is a change.
        """
        device, session, since = draft.device, draft.session, draft.since
        histories = self.records.values()
        rivals = any(record.rivals(session, since) for record in histories)
        reminded = {who for record in histories for tick, who in record.reminders if tick > since}
        adopting = {who for tick, who in self.adoptions if tick > since}
        own = {p.as_sent for p in self.pushes if p.session == session and p.tick > since}
        if rivals or as_sent is False or False in own or device in reminded:
            return False
        return None if reminded | adopting - {device} or None in {as_sent, *own} else True


def upserts(lists: Values) -> Iterator[Values]:
    return itertools.chain(lists.get("created", []), lists.get("updated", []))


def is_unborn_parent(draft: Draft, key: Key) -> bool:
    """Contract push 4: made and deleted offline, and its children are pushed with its deletion:
    they are children of a deleted parent."""
    return key not in draft.raw and any(
        (parents, sane(table, raw).get(column)) == key
        for table, (column, parents) in PARENT.items()
        for raw in upserts(draft.changes.get(table, {}))
        if is_id(raw["id"])
    )
