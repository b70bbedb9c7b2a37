"""People, their phones and their shared spaces at random, against the real application; an oracle
reads the database and says what each may see. Run as a process of its own, with its own tables:

    python tests/spaces/world.py sqlite 0 40        seeds 0 to 39
    python tests/spaces/world.py mariadb 7 8 300    seed 7, 300 steps

Whatever happens: nobody is told what is not in a space of theirs at that moment, no push writes
where its account may not, each edit that is acknowledged is stored, no phone is stuck, and in the
end all phones hold what their accounts may see, and are told nothing more.
"""

import itertools
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]
os.environ["TEST_APP"] = "tests.shared_app"

from conftest import environment, fresh_database, make_app  # noqa: E402
from devices import API, PASSWORD  # noqa: E402
from flask import Flask  # noqa: E402
from oracle import PARENTS, ROOTS, Oracle, Seen, above_of  # noqa: E402
from stock_phone import Changes, Raw, StockPhone, Wrong  # noqa: E402

from melon_api.models.base import db, now_ms  # noqa: E402
from melon_api.sync.sql.purge import purge  # noqa: E402

EMPTY: dict[str, Raw] = {
    "projects": {"name": "", "description": None, "space_id": None},
    "tasks": {"title": "", "description": None, "is_completed": False, "project_id": ""},
    "steps": {"name": "", "task_id": ""},
    "folders": {"name": "", "space_id": None, "folder_id": None},
    "diaries": {"name": ""},
    "templates": {"name": "", "body": ""},
}
TEXTS = {table: "title" if table == "tasks" else "name" for table in EMPTY}
TIMES = {"created_at": 1, "updated_at": 2}
WRITERS = ("owner", "editor")
ROLES = ("owner", "editor", "editor", "reader")


@dataclass
class Person:
    """An account; `spaces` are all shared ones that it was ever in, as its phones may know them."""

    id: str
    email: str
    token: str
    phones: list[StockPhone] = field(default_factory=list)
    spaces: set[str] = field(default_factory=set)


class World:
    def __init__(self, app: Flask, seed: int) -> None:
        self.app, self.seed, self.dice = app, seed, Random(seed)
        self.oracle = Oracle(app)
        self.numbers = itertools.count(1)
        self.people: list[Person] = []
        self.spaces: list[str] = []
        self.story: list[str] = []
        self.pulling: list[StockPhone] = []
        self.twins: set[tuple[str, str]] = set()
        self.purged = False
        self.steps = self.pushes = 0

    # --- calls

    def call(self, token: str | None, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.app.test_client().open(API + path, method=method, headers=headers, json=body)
        if answer.status_code >= 500:
            raise Wrong(f"{method} {path} {body}: {answer.status_code} {answer.text}")
        return answer.status_code, answer.json if answer.text else None

    def note(self, text: str) -> None:
        self.story.append(text)

    def new_id(self) -> str:
        return f"{self.seed}-{next(self.numbers)}"

    def register(self) -> Person:
        email = f"{self.new_id()}.{os.getpid()}@example.com"
        status, answer = self.call(
            None, "POST", "/auth/register", {"email": email, "password": PASSWORD}
        )
        assert status == 201, answer
        person = Person(answer["user"]["id"], email, answer["access_token"])
        self.people.append(person)
        return person

    def add_phone(self, person: Person, *, forwards: bool) -> None:
        status, answer = self.call(
            None, "POST", "/auth/login", {"email": person.email, "password": PASSWORD}
        )
        assert status == 200, answer
        token, name = answer["access_token"], f"phone-{self.new_id()}"

        def ask(path: str, body: dict[str, Any]) -> tuple[int, Any]:
            return self.call(token, "POST", path, body)

        empty = {table: {**values, **TIMES} for table, values in EMPTY.items()}
        phone = StockPhone(name, ask, empty, forwards=forwards)
        phone.twins = self.twins
        person.phones.append(phone)

    # --- spaces

    def make_space(self) -> None:
        person, space = self.dice.choice(self.people), self.new_id()
        body = {"id": space, "name": "Home"}
        status, answer = self.call(person.token, "POST", "/spaces", body)
        assert status == 201, answer
        self.spaces.append(space)
        person.spaces.add(space)
        self.note(f"{person.id} makes {space}")

    def owner_of(self, space: str) -> Person | None:
        found = [p for p in self.people if self.oracle.roles(p.id).get(space) == "owner"]
        return self.dice.choice(found) if found else None

    def bring_in(self) -> None:
        space, person = self.dice.choice(self.spaces), self.dice.choice(self.people)
        owner, role = self.owner_of(space), self.dice.choice(ROLES)
        if owner is None or space in self.oracle.roles(person.id):
            return
        path = f"/spaces/{space}/invitations"
        status, answer = self.call(owner.token, "POST", path, {"role": role})
        assert status == 201, answer
        body = {"token": answer["token"]}
        status, answer = self.call(person.token, "POST", "/spaces/join", body)
        assert status == 200, answer
        person.spaces.add(space)
        self.note(f"{person.id} joins {space} as {role}")

    def send_off(self) -> None:
        """Somebody leaves, or is removed."""
        space, person = self.dice.choice(self.spaces), self.dice.choice(self.people)
        if space not in self.oracle.roles(person.id):
            return
        by = self.dice.choice([person, self.owner_of(space) or person])
        path = f"/spaces/{space}/members/{person.id}"
        status, answer = self.call(by.token, "DELETE", path)
        assert status == 204 or answer["code"] == "last_owner", answer
        self.note(f"{by.id} takes {person.id} out of {space}: {status}")

    def change_role(self) -> None:
        space, person = self.dice.choice(self.spaces), self.dice.choice(self.people)
        owner, role = self.owner_of(space), self.dice.choice(ROLES)
        if owner is None or space not in self.oracle.roles(person.id):
            return
        path = f"/spaces/{space}/members/{person.id}"
        status, answer = self.call(owner.token, "PATCH", path, {"role": role})
        assert status == 200 or answer["code"] == "last_owner", answer
        self.note(f"{person.id} is {role} in {space}: {status}")

    def delete_space(self) -> None:
        space = self.dice.choice(self.spaces)
        owner = self.owner_of(space)
        if owner is not None:
            status, answer = self.call(owner.token, "DELETE", f"/spaces/{space}")
            assert status == 204, answer
            self.note(f"{space} is deleted")

    def delete_account(self) -> None:
        """And somebody else comes in its place."""
        person = self.dice.choice(self.people)
        status, answer = self.call(person.token, "DELETE", "/users/me", {"password": PASSWORD})
        assert status == 204, answer
        self.people.remove(person)
        self.note(f"{person.id} is deleted")
        if left := self.oracle.rows_of(person.id):
            raise Wrong(f"of {person.id}, which is deleted, there is {left}")
        self.add_phone(self.register(), forwards=True)

    def forget(self) -> None:
        with self.app.app_context():
            done = purge(db.engine, now_ms() + 1)
        self.purged = True
        self.note(f"{done} are forgotten")

    # --- phones

    def anybody(self) -> tuple[Person, StockPhone]:
        return self.dice.choice([(p, phone) for p in self.people for phone in p.phones])

    def text(self) -> str:
        return f"text {self.new_id()}"

    def act(self, person: Person, phone: StockPhone) -> None:
        """Something that a person does, with what the phone knows."""
        dice = self.dice
        table = dice.choice(
            [*["projects", "tasks", "folders"] * 2, "steps", "diaries", "templates"]
        )
        here, parents = phone.living(table), phone.living(PARENTS.get(table, "diaries"))
        what = dice.random()
        if not here or what < 0.35:
            if table in PARENTS and table not in ROOTS and not parents:
                return
            known = self.oracle.ids(table, f"{self.seed}-") or ["x"]
            id = dice.choice(known) if dice.random() < 0.15 else "x"
            if id == "x" or id in phone.records[table] or (table, id) in phone.held:
                id = self.new_id()
            elif id != "x":
                self.twins.add((table, id))
            values = {TEXTS[table]: self.text(), **self.place(person, table, list(parents))}
            phone.create(table, id, **values)
        elif what < 0.65:
            id = dice.choice(list(here))
            column = dice.choice(
                [TEXTS[table], *(["description"] if table in "projectstasks" else [])]
            )
            phone.edit(table, id, **{column: self.text()})
        elif what < 0.85:
            id = dice.choice(list(here))
            others = [above for above in parents if above != id]
            phone.edit(table, id, **self.place(person, table, others))
        else:
            phone.delete(table, dice.choice(list(here)))

    def place(self, person: Person, table: str, parents: list[str]) -> dict[str, Any]:
        """Where to put a record: into a space, or under a parent."""
        if table in PARENTS and parents and (table not in ROOTS or self.dice.random() < 0.6):
            return {f"{PARENTS[table][:-1]}_id": self.dice.choice(parents)}
        if table not in ROOTS:
            return {}
        top = {"folder_id": None} if table == "folders" else {}
        known = [None, *sorted(person.spaces)]
        forged = [*self.spaces, *(other.id for other in self.people)]
        space = self.dice.choice(forged if self.dice.random() < 0.05 else known)
        return top | {"space_id": space}

    def pull(self, person: Person, phone: StockPhone, *, is_lost: bool = False) -> bool:
        """Whether it was told anything."""
        limit = self.dice.choice([None, None, None, 1, 3, 10])
        more = {"limit": limit} if limit else {}
        pages: list[Any] = []
        while not pages or pages[-1].get("cursor"):
            if pages and self.dice.random() < 0.3:
                self.pulling.append(phone)
                self.step()
                self.pulling.pop()
                if person not in self.people:
                    return True
            cursor = {"cursor": pages[-1]["cursor"]} if pages else {}
            status, answer = phone.ask_pull(**more, **cursor)
            if status == 422 and pages and "cursor" in answer["errors"]:
                pages.clear()  # what it was to include is forgotten, or not the account's any more
                continue
            if status != 200:
                raise Wrong(f"{phone.name} may not pull: {status} {answer}")
            self.check_told(person, phone, answer, is_whole=limit is None)
            pages.append(answer)
        self.note(f"{phone.name} of {person.id} pulls since {phone.timestamp}: {pages}")
        if not is_lost:
            phone.take(*pages)
        return any(told for p in pages for t in p["changes"].values() for told in t.values())

    def check_told(self, person: Person, phone: StockPhone, page: Any, *, is_whole: bool) -> None:
        seen = self.oracle.seen(person.id, is_whole=is_whole)
        for table, lists in page["changes"].items():
            for record in lists["created"] + lists["updated"]:
                if record not in seen.get((table, record["id"]), []):
                    raise Wrong(f"{phone.name} of {person.id} is told {table} {record}")
            for id in lists["deleted"] if is_whole else ():
                if (table, id) in seen:
                    raise Wrong(f"{phone.name} of {person.id} is told that {table} {id} is deleted")

    def push(self, person: Person, phone: StockPhone, *, is_lost: bool = False) -> bool:
        """Whether it got through; what is refused for a reason that it states is put right."""
        changes = phone.changes()
        if not any(records for lists in changes.values() for records in lists.values()):
            return True
        partial = self.dice.random() < 0.2
        before = self.oracle.read()
        status, answer = phone.ask_push(changes, allowPartial=partial)
        self.pushes += 1
        self.note(f"{phone.name} of {person.id} pushes {changes} {partial=}: {status} {answer}")
        after = self.oracle.read()
        self.oracle.check_untouched(before, after, person.id)
        if status == 200:
            Acknowledged(self, person, phone, changes, answer).check(before, after)
            if not is_lost:
                phone.pushed(changes, answer)
            return True
        if before != after:
            raise Wrong(f"a refused push of {phone.name} wrote something: {answer}")
        if status == 409 and answer["code"] == "sync_conflict":
            return False
        if status != 422:
            raise Wrong(f"{phone.name} is refused: {status} {answer}")
        self.put_right(person, phone, changes, answer)
        return False

    def put_right(self, person: Person, phone: StockPhone, changes: Changes, answer: Any) -> None:
        """What an app does about a 422, if it was one for a good reason."""
        for table, lists in answer["errors"]["changes"].items():
            for name, places in lists.items():
                for index in places:
                    record = changes[table][name][int(index)]
                    if answer["code"] == "unknown_space" and "space_id" not in places[index]:
                        continue  # what it belongs to is in no space
                    if answer["code"] == "unknown_space":
                        if record["space_id"] in {None, *person.spaces}:
                            raise Wrong(f"{phone.name} knows the space of {record}: {answer}")
                        phone.edit(table, record["id"], space_id=None)
                    elif answer["code"] == "unknown_parent":
                        self.check_parent_unknown(person, phone, table, record, answer)
                        phone.delete(table, record["id"])
                    else:
                        raise Wrong(f"{phone.name} is refused: {answer}")

    def check_parent_unknown(
        self, person: Person, phone: StockPhone, table: str, record: Raw, answer: Any
    ) -> None:
        parent = above_of(table, record)
        if parent in self.oracle.seen(person.id) or not self.purged:
            raise Wrong(f"{phone.name} knows the parent of {table} {record}: {answer}")

    def sync(self, person: Person, phone: StockPhone) -> None:
        """Pull, then push; a conflict, or what a 422 has put right, is another sync."""
        lost = self.dice.choice(["pull", "push", *[None] * 6])
        for attempt in range(6):
            self.pull(person, phone, is_lost=lost == "pull")
            if lost == "pull" or person not in self.people:
                return
            if self.push(person, phone, is_lost=lost == "push" and attempt == 0):
                return
        raise Wrong(f"{phone.name} is stuck")

    # --- the story

    def step(self) -> None:
        self.steps += 1
        dice = self.dice
        what = dice.random()
        person, phone = self.anybody()
        if phone in self.pulling:  # a phone syncs once at a time
            return
        acts: list[tuple[float, Callable[[], None]]] = [
            (0.55, lambda: self.act(person, phone)),
            (0.80, lambda: self.sync(person, phone)),
            (0.86, self.bring_in),
            (0.91, self.send_off),
            (0.95, self.change_role),
            (0.965, self.forget),
            (0.975, self.make_space),
            (0.985, self.delete_space),
            (0.99, self.delete_account),
            (1.0, lambda: self.check_phone(person, phone)),
        ]
        next(do for until, do in acts if what <= until)()

    def check_phone(self, person: Person, phone: StockPhone) -> None:
        """Synced in peace, it holds what its account may see."""
        self.settle(person, phone)
        self.compare(person, phone)

    def settle(self, person: Person, phone: StockPhone) -> None:
        for _ in range(8):
            self.quiet_pull(phone)
            if not phone.is_dirty():
                return
            if self.push(person, phone):
                self.quiet_pull(phone)
        if phone.is_dirty():
            raise Wrong(f"{phone.name} is stuck with {phone.changes()}")

    def quiet_pull(self, phone: StockPhone) -> Any:
        status, answer = phone.ask_pull()
        if status != 200:
            raise Wrong(f"{phone.name} may not pull: {status} {answer}")
        self.note(f"{phone.name} pulls since {phone.timestamp}: {answer}")
        phone.take(answer)
        return answer

    def compare(self, person: Person, phone: StockPhone) -> None:
        wanted = {key: records[0] for key, records in self.oracle.seen(person.id).items()}
        held = phone.seen()
        wrong = {
            key: (held.get(key), wanted.get(key))
            for key in held.keys() | wanted.keys()
            if held.get(key) != wanted.get(key)
        }
        if wrong:
            raise Wrong(f"{phone.name} of {person.id} holds, and should hold: {wrong}")

    def play(self, steps: int) -> None:
        for forwards in (True, False, True):
            self.add_phone(self.register(), forwards=forwards)
        for person in self.people[:2]:
            self.add_phone(person, forwards=self.dice.random() < 0.5)
        for _ in range(2):
            self.make_space()
            self.bring_in()
        for person, phone in [(p, phone) for p in self.people for phone in p.phones]:
            self.pull(person, phone)
        for _ in range(steps):
            self.step()
        self.end()

    def end(self) -> None:
        everybody = [(person, phone) for person in self.people for phone in person.phones]
        for person, phone in everybody * 2:
            self.settle(person, phone)
        for person, phone in everybody:
            self.quiet_pull(phone)
            self.compare(person, phone)
        for _, phone in everybody * 2:
            changes = self.quiet_pull(phone)["changes"]
            if any(records for lists in changes.values() for records in lists.values()):
                raise Wrong(f"{phone.name} is never idle: {changes}")


@dataclass
class Acknowledged:
    """A push that was answered 200, and what of it must be stored."""

    world: World
    person: Person
    phone: StockPhone
    changes: Changes
    answer: Any

    def check(self, before: Seen, after: Seen) -> None:
        """Of records that are one of a kind, live, and stay where the account may write."""
        oracle, me = self.world.oracle, self.person.id
        rejected = self.answer.get("experimentalRejectedIds", {})
        roles = oracle.roles(me)
        mine = {me: "owner", **roles}
        for table, lists in self.changes.items():
            for record in lists["created"] + lists["updated"]:
                key = table, record["id"]
                if record["id"] in rejected.get(table, ()):
                    continue
                where = oracle.places(before, key, mine)
                dead = oracle.places(before, key, mine, living=False)
                if len(where) > 1 or (dead and not where) or self.is_in_doubt(before, key):
                    continue
                target = self.target(before, after, table, record, mine)
                if target is None or mine.get(target) not in WRITERS or table == "templates":
                    continue
                if where and mine[where[0]] not in WRITERS:
                    continue
                if (
                    where
                    and where[0] != target
                    and oracle.would_meet(before, key, where[0], target)
                ):
                    continue
                self.check_stored(after, key, record, target)

    def is_in_doubt(self, before: Seen, key: tuple[str, str]) -> bool:
        """Whether a space that the account has left has it: it may be that one that is meant."""
        left = self.person.spaces - self.world.oracle.roles(self.person.id).keys()
        return any((space, *key) in before for space in left)

    def target(
        self, before: Seen, after: Seen, table: str, record: Raw, mine: dict[str, str]
    ) -> str | None:
        """Of a parent that several spaces had, that of the one which was seen: this push may have
        deleted it, and the other one is no parent of anything in it then (seed 2090)."""
        if table not in PARENTS or (table in ROOTS and not above_of(table, record)[1]):
            return record.get("space_id") or self.person.id
        parent = above_of(table, record)
        had = self.world.oracle.places(before, parent, mine)
        there = self.world.oracle.places(after, parent, mine)
        if len(had) > 1:
            is_clear = parent[0] == "projects" and set(there) <= set(had)
            return had[0] if is_clear else None
        return there[0] if len(there) == 1 else None

    def check_stored(self, after: Seen, key: tuple[str, str], record: Raw, target: str) -> None:
        row = after.get((target, *key))
        fallen = row is not None and row["is_deleted"]
        changed = record["_changed"].split(",") if record["_status"] == "updated" else record
        names = [
            name for name in changed if name and not name.startswith("_") and name != "space_id"
        ]
        if row is None or (not fallen and any(row[name] != record[name] for name in names)):
            raise Wrong(f"{self.phone.name}: {key} is acknowledged, not stored: {record}, {row}")


def run(kind: str, first: int, last: int, steps: int) -> int:
    logging.disable(logging.INFO)  # who signs in, who joins
    failed = done = pushes = 0
    with tempfile.TemporaryDirectory() as folder, fresh_database(kind, Path(folder)) as url:
        app = make_app(environment(kind, url, LOG_LEVEL="ERROR"), Path(folder))
        for seed in range(first, last):
            world = World(app, seed)
            try:
                world.play(steps)
            except Wrong as error:
                failed += 1
                print(f"seed {seed}, step {world.steps}: {error}")
                if last - first == 1:
                    print(*world.story, sep="\n")
            done, pushes = done + world.steps, pushes + world.pushes
        with app.app_context():
            db.engine.dispose()
    print(f"{failed} of {last - first} stories went wrong; {done} steps, {pushes} pushes")
    return int(failed > 0)


if __name__ == "__main__":
    numbers = [int(number) for number in sys.argv[2:]]
    sys.exit(run(sys.argv[1], numbers[0], numbers[1], *(numbers[2:] or [120])))
