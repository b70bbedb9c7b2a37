"""A model of the sync points, the rules by which one number stands for many clocks (contract,
Spaces 1 to 5): random interleavings of whatever may happen, without a server.

    python tests/spaces/sync_points_model.py 20000       no device ends with what it may not see
    python tests/spaces/sync_points_model.py 3000 below  a rule left out: some do

A pull is two steps, a snapshot and the account's tick, and anything may happen between them.
Answers are lost, tombstones and points purged, ids are few, so that spaces hold equal ones.
"""

import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

# What play() can leave out, each needed.
RULES = {
    "lower": "a point may be of a lower clock than the one before: that pull's snapshot was older",
    "own": "what came between a pull's snapshot and its tick is news to it",
    "tick": "who is in a space is known to a clock of the account",
    "left": "of a space that was left, all ids are gone",
    "left_own": "whether it was left since, the own clock says that a timestamp stands for",
    "forward": "a push is answered a timestamp where all spaces are up to date, not the own alone",
    "forward_equal": "and where it neither hid nor uncovered another record of an id",
    "rejoined": "what was left and joined again is told anew: it is junior now",
    "seniority": "of equal ids the one of the space that the account has had longer is seen",
    "below": "what hangs under a hidden record is hidden",
    "uncovered": "what was hidden, and is not any more, is told though nothing stamped it",
    "retold": "what was not stored is told again",
    "mistaken": "an edit is of the record that its device has seen, not of another one of its id",
    "purged": "who may have missed a purged deletion is told all there is",
    "purged_left": "in a space that it has left, too",
    "first_joined": "who has no point of a space may have been there since it first joined",
    "floor": "whose points are purged is told all there is",
}
PARENTS = {"p": "", "c": "p", "g": "c"}  # three levels; the letter begins an id
IDS = [letter + number for letter in PARENTS for number in "01234"]
SPACES = ["Q", "R", "S"]
FOREVER = sys.maxsize


def top_down(ids: Iterable[str]) -> list[str]:
    return sorted(ids, key=IDS.index)


class Row(NamedTuple):
    """`value`: None for a tombstone; `stamp`, `born` (there, not elsewhere): of the space's clock;
    `maker`, `by`: devices; `one`: which record it is, wherever it moves, whatever its id."""

    value: float | None
    parent: str
    stamp: int
    born: int
    maker: int
    by: int
    one: float


class Edit(NamedTuple):
    """What a device has not pushed yet; `value`: None for a deletion."""

    value: float | None
    space: str
    parent: str
    is_new: bool
    one: float


class Holding(NamedTuple):
    """A record as a device holds it; `space` is told of a root alone."""

    value: float
    space: str
    parent: str
    one: float


@dataclass
class Membership:
    joined: int  # these two are ticks of the account
    first_clock: int  # the space's, when it first joined
    left: int | None = None
    is_again: bool = False


@dataclass
class Account:
    name: str
    clock: int = 1
    memberships: dict[str, Membership] = field(default_factory=dict)
    points: list[tuple[int, dict[str, int | None]]] = field(default_factory=list)
    retold: list[tuple[int, str]] = field(default_factory=list)
    floor: int = 0  # what came before is not remembered

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def spaces(self) -> list[str]:
        """Its own first, then as it has joined them."""
        living = [(m.joined, space) for space, m in self.memberships.items() if m.left is None]
        return [self.name, *(space for _, space in sorted(living))]

    def meaning(self, timestamp: int) -> tuple[dict[str, int], int]:
        """What a timestamp stands for: the clocks of shared spaces, and of the own one."""
        clocks: dict[str, int | None] = {}
        own = timestamp
        for at, entries in self.points:
            if at > timestamp:
                break
            clocks.update(entries)
            moved = clocks.pop(self.name, None)
            own = moved if at == timestamp and moved is not None else own
        return {space: clock for space, clock in clocks.items() if clock is not None}, own

    def differences(self, clocks: dict[str, int]) -> dict[str, int | None]:
        known = self.meaning(FOREVER)[0]
        both = sorted(known.keys() | clocks.keys())
        return {space: clocks.get(space) for space in both if known.get(space) != clocks.get(space)}


@dataclass
class Device:
    account: Account
    number: int
    timestamp: int = 0
    records: dict[str, Holding] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)  # ids it has seen: nobody uses one twice
    pulling: "Told | None" = None


@dataclass
class Told:
    """A pull as of its snapshot; `clocks`, `seen`: the shared spaces', the account's."""

    clocks: dict[str, int]
    seen: int
    records: dict[str, Holding]
    deleted: set[str] = field(default_factory=set)
    replaces: bool = False


class World:
    """The server: rows by space and id, a clock for each space, accounts."""

    def __init__(self, dice: random.Random, without: str | None) -> None:
        self.dice, self.without = dice, without
        self.rows: dict[tuple[str, str], Row] = {}
        self.clocks: dict[str, int] = {}  # of the shared spaces that there are
        self.purged: dict[str, int] = {}
        self.accounts: dict[str, Account] = {}
        self.same: dict[float, float] = {}  # made twice, in one space under one id
        self.mixed = False  # whether an edit of one record was stored in another one

    def has(self, rule: str) -> bool:
        return self.without != rule

    def below(self, space: str, ids: set[str]) -> set[str]:
        """What descends from these, and they themselves."""
        found = set(ids)
        for letter in PARENTS:
            rows = [(i, r) for (s, i), r in self.rows.items() if s == space and i[0] == letter]
            found |= {i for i, row in rows if row.parent in found}
        return found

    def winners(self, account: Account) -> dict[str, str]:
        """The space of which each living id is the account's to see, unless it is hidden above."""
        won: dict[str, str] = {}
        spaces = account.spaces()
        for space in spaces if self.has("seniority") else sorted(spaces):
            for (where, id), row in self.rows.items():
                if where == space and row.value is not None:
                    won.setdefault(id, space)
        return won

    def visible(self, account: Account) -> dict[str, str]:
        """And whose ancestors are seen, too."""
        won, seen = self.winners(account), {}
        for id in top_down(won):
            space = won[id]
            parent = self.rows[space, id].parent
            if not parent or seen.get(parent) == space or not self.has("below"):
                seen[id] = space
        return seen

    def holding(self, space: str, id: str) -> Holding:
        row = self.rows[space, id]
        assert row.value is not None
        return Holding(row.value, "" if row.parent else space, row.parent, row.one)

    def note(self, row: Row, edit: Edit, where: str, since: dict[str, int]) -> None:
        """This edit is stored in this row. A new one may be the edited one, moved there, unless
        that one still lives where it was: nobody can tell."""
        seen = [one for (space, _), one in self.rows.items() if one.born <= since.get(space, -1)]
        lives = any(one.one == edit.one and one.value is not None for one in seen)
        may_have_moved = row.born > since[where] and not lives
        row_is, edited = self.same.get(row.one, row.one), self.same.get(edit.one, edit.one)
        if edit.is_new:
            self.same = {a: row_is if b == edited else b for a, b in self.same.items()}
            self.same[edited] = row_is
        elif row_is != edited and not may_have_moved:
            self.mixed = True

    # --- pull

    def snapshot(self, device: Device) -> Told:
        """All that the answer tells, but for its timestamp."""
        account = device.account
        clocks = {space: self.clocks[space] for space in account.spaces()[1:]}
        seen = self.visible(account)
        everything = {id: self.holding(space, id) for id, space in seen.items()}
        told = Told(clocks, account.clock, everything)
        if not device.timestamp:
            return told
        if self.is_replaced(device):
            told.replaces = True
            return told
        news = self.news(device, seen)
        told.records = {id: one for id, one in everything.items() if id in news}
        told.deleted = news - everything.keys()
        return told

    def since(self, device: Device) -> tuple[dict[str, int], set[str]]:
        """The clock after which each space's rows are news (-1: all); the spaces left since."""
        account = device.account
        known, own = account.meaning(device.timestamp)
        after = own if self.has("left_own") else device.timestamp
        gone, since = (
            {space for space in known if space not in account.spaces()},
            {account.name: own},
        )
        for space, membership in account.memberships.items():
            if membership.left is None:
                since[space] = known.get(space, -1)
                if membership.joined > after and self.has("rejoined"):
                    since[space] = -1
            elif membership.left > after:
                gone.add(space)
        return since, (gone if self.has("left") else set())

    def is_replaced(self, device: Device) -> bool:
        account = device.account
        known, own = account.meaning(device.timestamp)
        since, gone = self.since(device)
        if own < account.floor and self.has("floor"):
            return True
        if not self.has("purged"):
            return False
        spaces = since.keys() | gone if self.has("purged_left") else since.keys()
        for space in spaces:
            if space == account.name:
                from_ = own
            else:
                from_ = known.get(space, account.memberships[space].first_clock)
            if from_ < self.purged.get(space, -1):
                return True
        return False

    def news(self, device: Device, seen: dict[str, str]) -> set[str]:
        """The ids of which this device may hold something else than what is there."""
        account = device.account
        since, gone = self.since(device)
        ids = {
            id
            for (space, id), row in self.rows.items()
            if space in gone or row.stamp > since.get(space, FOREVER)
        }
        if self.has("retold"):
            ids |= {id for tick, id in account.retold if tick > since[account.name]}
        if not self.has("uncovered"):
            return ids
        living = {(s, i) for (s, i), row in self.rows.items() if row.value is not None}
        for space in since:
            hides = any(s == space and seen.get(i) != s for s, i in living)
            twice = {i for i in ids if sum((s, i) in self.rows for s in since.keys() | gone) > 1}
            ids |= self.below(space, ids if hides else twice)
        return ids

    def answer(self, device: Device, told: Told) -> int:
        """The tick of the account, and what it stands for."""
        account = device.account
        if (told.clocks, told.seen) == account.meaning(told.seen) and (
            told.clocks == account.meaning(FOREVER)[0]
        ):
            return told.seen  # it stands for just this already
        entries = account.differences(told.clocks)
        if not self.has("lower"):
            newest = account.meaning(FOREVER)[0]
            entries = {s: c for s, c in entries.items() if c is None or c > newest.get(s, -1)}
        if account.clock != told.seen and self.has("own"):
            entries[account.name] = told.seen
        account.points.append((account.tick(), entries))
        return account.clock

    # --- push

    def push(self, device: Device) -> int | None:
        """All edits of a device. The new timestamp, None where it is to pull. Raises LookupError
        where it has to pull first."""
        account = device.account
        if self.is_replaced(device):
            raise LookupError
        known, own = account.meaning(device.timestamp)
        up_to_date = own == account.clock
        if self.has("forward"):
            clocks = {space: self.clocks[space] for space in account.spaces()[1:]}
            up_to_date = up_to_date and known == clocks
        writing = Writing(self, device)
        for id in top_down(device.edits):
            writing.take(id, device.edits[id])
        up_to_date = up_to_date and not writing.refused and not writing.fell
        if self.has("forward_equal"):
            up_to_date = up_to_date and not writing.is_about_equals()
        if writing.wrote_own or writing.refused or up_to_date:
            account.clock = writing.tick
        account.retold += [(writing.tick, id) for id in writing.refused]
        if not up_to_date:
            return None
        entries = account.differences({space: self.clocks[space] for space in account.spaces()[1:]})
        if entries:
            account.points.append((account.clock, entries))
        return account.clock

    # --- members, purges

    def change_members(self) -> None:
        account = self.dice.choice(list(self.accounts.values()))
        space = self.dice.choice(list(self.clocks))
        for _ in range(self.dice.choice((1, 1, 2))):
            self.join_or_leave(account, space)

    def join_or_leave(self, account: Account, space: str) -> None:
        tick = account.tick() if self.has("tick") else account.clock
        before = account.memberships.get(space)
        if before is None:
            account.memberships[space] = Membership(tick, self.clocks[space])
        elif before.left is None:
            before.left = tick
        else:
            first = before.first_clock if self.has("first_joined") else self.clocks[space]
            account.memberships[space] = Membership(tick, first, is_again=True)

    def delete_space(self) -> None:
        """Its living records become tombstones, and everybody has left it."""
        space = self.dice.choice(list(self.clocks))
        self.clocks[space] += 1
        for (where, id), row in self.rows.items():
            if where == space and row.value is not None:
                self.rows[where, id] = row._replace(value=None, stamp=self.clocks[space])
        for account in self.accounts.values():
            membership = account.memberships.get(space)
            if membership and membership.left is None:
                membership.left = account.tick()

    def purge(self) -> None:
        space = self.dice.choice([*self.clocks, *self.accounts])
        dead = {k: r.stamp for k, r in self.rows.items() if k[0] == space and r.value is None}
        if dead:
            until = self.dice.choice(sorted(dead.values()))
            for key, stamp in dead.items():
                if stamp <= until:
                    del self.rows[key]
            self.purged[space] = max(until, self.purged.get(space, 0))

    def purge_points(self) -> None:
        account = self.dice.choice(list(self.accounts.values()))
        account.floor = floor = self.dice.randint(account.floor, account.clock)
        account.retold = [(tick, id) for tick, id in account.retold if tick > floor]
        kept = account.meaning(floor - 1)[0]
        later = [(at, entries) for at, entries in account.points if at >= floor]
        # Of the own space none is kept: whose own clock is lower than the floor is replaced.
        account.points = [(floor - 1, dict[str, int | None](kept)), *later]


class Writing:
    """One push, as it is stored. `fell`: what was deleted although nobody said so."""

    def __init__(self, world: World, device: Device) -> None:
        self.world, self.device, self.account = world, device, device.account
        self.tick = self.account.clock + 1
        self.ticked: set[str] = set()
        self.refused: set[str] = set()
        self.written: set[tuple[str, str]] = set()
        self.wrote_own = self.fell = False
        self.since, self.gone = world.since(device)
        self.left = self.gone | {
            space
            for space, membership in self.account.memberships.items()
            if membership.is_again and self.since.get(space) == -1
        }

    def is_about_equals(self) -> bool:
        """Whether another space of the account has a record, living or dead, of a written id."""
        return any(
            (other, id) in self.world.rows and (other, id) not in self.written
            for _, id in self.written
            for other in self.since
        )

    def stamp(self, space: str, id: str) -> int:
        self.written.add((space, id))
        if space == self.account.name:
            self.wrote_own = True
            return self.tick
        if space not in self.ticked:
            self.world.clocks[space] += 1
            self.ticked.add(space)
        return self.world.clocks[space]

    def create(self, space: str, id: str, row: Row | Edit) -> None:
        stamp, number = self.stamp(space, id), self.device.number
        value, parent, one = row.value, row.parent, row.one
        self.world.rows[space, id] = Row(value, parent, stamp, stamp, number, number, one)

    def change(self, space: str, id: str, edit: Edit) -> None:
        row = self.world.rows[space, id]
        self.world.note(row, edit, space, self.since)
        if (row.value, row.parent) != (edit.value, edit.parent):
            changed = row._replace(value=edit.value, parent=edit.parent, by=self.device.number)
            self.world.rows[space, id] = changed._replace(stamp=self.stamp(space, id))

    def bury(self, space: str, ids: Iterable[str]) -> None:
        for id in ids:
            row = self.world.rows[space, id]
            dead = row._replace(value=None, stamp=self.stamp(space, id), by=self.device.number)
            self.world.rows[space, id] = dead

    def take(self, id: str, edit: Edit) -> None:
        rows, seen = self.world.rows, self.world.visible(self.account)
        where = seen.get(id)
        target = seen.get(edit.parent) if edit.parent else edit.space
        if where and (edit.value is None or not edit.is_new) and self.is_mistaken(id, where):
            self.refused.add(id)
        elif edit.value is None:
            if where:
                self.delete(where, id, edit)
        elif target not in self.account.spaces():
            if where and edit.parent:
                self.delete(where, id, edit)  # it has no parent any more
            self.refused.add(id)
        elif where == target:
            self.change(target, id, edit)
        elif self.is_taken(target, id) or ((target, id) in rows and (not where or edit.is_new)):
            self.refused.add(id)  # another one of its id, or deleted
        elif where and not (edit.is_new and rows[where, id].maker != self.device.number):
            self.move(id, where, target, edit)
        elif not where and not edit.is_new and self.is_known(id):
            self.refused.add(id)  # deleted, or not this account's to see any more
        else:
            self.create(target, id, edit)

    def is_taken(self, space: str, id: str) -> bool:
        row = self.world.rows.get((space, id))
        return row is not None and row.value is not None

    def is_known(self, id: str) -> bool:
        return any((space, id) in self.world.rows for space in (*self.since, *self.gone))

    def is_mistaken(self, id: str, where: str) -> bool:
        """Whether the device's edit is of another record of this id: one that hid this one, or
        that this one hides, since the device heard."""
        if not self.world.has("mistaken"):
            return False
        rows, me = self.world.rows, self.device.number
        others = {
            s: rows[s, id] for s in (*self.since, *self.gone) if s != where and (s, id) in rows
        }
        if rows[where, id].born <= self.since[where]:  # was it hidden until now?
            return any(
                space in self.left or (row.value is None and row.stamp > self.since[space])
                for space, row in others.items()
            )
        if rows[where, id].maker == me:
            return False
        return any(  # what the device has seen is hidden now
            row.value is not None
            and (row.maker == me or row.born <= self.since.get(space, FOREVER))
            for space, row in others.items()
        )

    def delete(self, where: str, id: str, edit: Edit) -> None:
        row = self.world.rows[where, id]
        self.world.note(row, edit, where, self.since)
        below = self.living_below(where, id)
        self.fell = self.fell or below != [id]
        self.bury(where, below)

    def living_below(self, where: str, id: str) -> list[str]:
        return [i for i in top_down(self.world.below(where, {id})) if self.is_taken(where, i)]

    def move(self, id: str, where: str, target: str, edit: Edit) -> None:
        rows = self.world.rows
        self.world.note(rows[where, id], edit, where, self.since)
        moving = {i: rows[where, i] for i in self.living_below(where, id)}
        if any(self.is_taken(target, i) for i in moving):
            self.refused |= moving.keys()
            return
        self.bury(where, moving)
        for one, row in moving.items():
            self.create(target, one, edit if one == id else row)


# --- what devices do


def finish_pull(world: World, device: Device, *, is_lost: bool = False) -> None:
    """The second step of a pull; its answer may never come."""
    told, device.pulling = device.pulling, None
    assert told
    timestamp = world.answer(device, told)
    if is_lost:
        return
    gone = set(told.deleted)
    if told.replaces:
        gone |= {i for i in device.records if i not in told.records and not is_created(device, i)}
    for id in gone:
        device.records.pop(id, None)
        device.edits.pop(id, None)
    device.known |= told.records.keys()
    for id, holding in told.records.items():
        if id not in device.edits:
            device.records[id] = holding
        else:  # what is edited here stays, and is then of this one: the stock client asks nobody
            device.edits[id] = device.edits[id]._replace(one=holding.one)
            if id in device.records:
                device.records[id] = device.records[id]._replace(one=holding.one)
    device.timestamp = timestamp


def is_created(device: Device, id: str) -> bool:
    return id in device.edits and device.edits[id].is_new


def pull(world: World, device: Device) -> None:
    device.pulling = world.snapshot(device)
    finish_pull(world, device)


def edit(world: World, device: Device) -> None:
    """Something that a person does, with the spaces and records that the phone knows of."""
    dice, account = world.dice, device.account
    id = dice.choice(IDS)
    parents = [i for i in device.records if i[0] == PARENTS[id[0]]]
    spaces = account.spaces() if dice.random() < 0.9 else [*account.memberships, account.name]
    held = device.records.get(id)
    if held is None:
        if id in device.known or (id[0] != "p" and not parents):
            return
        space, parent = dice.choice(spaces), dice.choice(parents or [""])
        value: float | None = dice.random()
    else:
        space, parent, value = held.space, held.parent, held.value
        what = dice.random()
        if what < 0.2:
            value = None
        elif what < 0.6:
            value = dice.random()
        else:
            space, parent = dice.choice(spaces), dice.choice(parents or [""])
    is_new, one = held is None or is_created(device, id), held.one if held else dice.random()
    device.known.add(id)
    device.edits[id] = Edit(value, "" if parent else space, parent, is_new, one)
    if value is None:
        del device.records[id]
    else:
        device.records[id] = Holding(value, "" if parent else space, parent, one)


def push(world: World, device: Device, *, is_lost: bool = False) -> None:
    try:
        timestamp = world.push(device)
    except LookupError:
        pull(world, device)
        return
    if not is_lost:
        device.edits.clear()
        device.timestamp = timestamp or device.timestamp


def step(world: World, device: Device, pace: float) -> None:
    """`pace`: how often people come and go; a quarter of that, what a server forgets."""
    dice = world.dice
    what = dice.random()
    if device.pulling:
        finish_pull(world, device, is_lost=dice.random() < 0.2)
    elif what < pace:
        world.change_members()
    elif what < pace * 1.15:
        world.delete_space()
    elif what < pace * 1.3:
        world.purge()
    elif what < pace * 1.4:
        world.purge_points()
    elif what < 0.55 or not device.timestamp:
        device.pulling = world.snapshot(device)
    else:
        for _ in range(dice.choice((1, 1, 3))):
            edit(world, device)
        push(world, device, is_lost=dice.random() < 0.2)


def play(seed: int, without: str | None = None) -> str | None:
    """What went wrong with this seed; None where nothing did."""
    dice = random.Random(seed)
    world = World(dice, without)
    world.clocks = dict.fromkeys(dice.sample(SPACES, dice.choice((1, 2, 3))), 0)
    world.accounts = {name: Account(name) for name in "abc"[: dice.choice((1, 2, 3))]}
    for _ in range(dice.choice((1, 3, 6))):
        world.change_members()
    devices = [Device(one, n) for n, one in enumerate(list(world.accounts.values()) * 2)]
    pace = dice.choice((0.05, 0.15, 0.3))
    for _ in range(dice.choice((20, 60, 120))):
        step(world, dice.choice(devices), pace)
    for device in devices:
        if device.pulling:
            finish_pull(world, device)
    for _ in range(2):  # as the stock client: first hear, then tell
        for device in devices:
            pull(world, device)
            push(world, device)
    for device in devices:
        pull(world, device)
    world.without = None  # what is right, all rules say
    for device in devices:
        seen = world.visible(device.account)
        wanted = {id: world.holding(space, id) for id, space in seen.items()}
        ids = [id for id in IDS if wanted.get(id) != device.records.get(id)]
        if ids:
            return f"seed {seed}: device {device.number} of {device.account.name} differs in {ids}"
    world.without = without
    for device in devices:
        pull(world, device)
    for device in devices:
        told = world.snapshot(device)
        if told.records or told.deleted & device.records.keys():
            return f"seed {seed}: device {device.number} is never idle"
    if world.mixed:
        return f"seed {seed}: an edit is in another record of its id"
    return None


def main(runs: int, without: str | None = None) -> int:
    wrong = [found for found in (play(seed, without) for seed in range(runs)) if found]
    print(f"{len(wrong)} of {runs} went wrong", *wrong[:5], sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:3]))
