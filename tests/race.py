"""The missed-change race: many phones of one account at once, and what each has at the end."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devices import bare, created, deleted, edited, project, task, updated
from phones import Key, Person, Phone

SHARED = [f"shared-{n}" for n in range(4)]  # the projects that everybody edits, in all accounts
PAGE = 7


def together(*jobs: Callable[[], None]) -> None:
    """Run all at once; the first error of any is raised."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def numbered(prefix: str) -> Iterator[str]:
    return (f"{prefix}-{n}" for n in itertools.count())


class Race:
    """One account's phones, each in a thread of its own, until the time is up."""

    def __init__(self, person: Person, owner: str) -> None:
        self.person = person
        self.owner = owner  # tells whose a record is: the accounts use the same ids
        self.over = threading.Event()
        self.kept: dict[Key, dict[str, Any]] = {}  # creations that were acknowledged
        self.phones: list[Phone] = []
        first = self.phone()
        first.push(projects=created(*(self.project(id=id) for id in SHARED)))

    def phone(self) -> Phone:
        phone = self.person.phone()
        self.phones.append(phone)
        return phone

    def project(self, **values: Any) -> dict[str, Any]:
        return project(name=self.owner, **values)

    def creator(self, name: str) -> Callable[[], None]:
        """Creates trees that nobody deletes; repeats each push, as after a lost answer."""
        phone = self.phone()
        phone.pull()

        def run() -> None:
            for id in numbered(name):
                home = self.project(id=id)
                children = [task(id, id=f"{id}-{n}") for n in range(3)]
                for _ in range(2):  # contract push 1: the second time it changes nothing
                    phone.push(tasks=created(*children), projects=created(home))
                self.kept |= {("projects", id): bare(home)}
                self.kept |= {("tasks", child["id"]): bare(child) for child in children}
                if self.over.is_set():
                    return

        return run

    def editor(self, name: str) -> Callable[[], None]:
        """Edits what is shared, and makes and deletes trees of its own; never pulls meanwhile."""
        phone = self.phone()
        phone.pull()

        def run() -> None:
            chance = random.Random(name)
            for id in numbered(name):
                shared = phone.records["projects", chance.choice(SHARED)]
                phone.push(projects=updated(edited(shared, description=id)))
                child = task(id, id=f"{id}-child")
                phone.push(projects=created(self.project(id=id)), tasks=created(child))
                if chance.random() < 0.7:
                    phone.push(projects=deleted(id))  # and its child with it (contract push 4)
                if self.over.is_set():
                    return

        return run

    def puller(self, limit: int | None = None) -> Callable[[], None]:
        phone = self.phone()

        def run() -> None:
            while not self.over.is_set():
                phone.pull(limit)

        return run

    def syncer(self, name: str) -> Callable[[], None]:
        """A whole phone: pulls, edits or deletes or makes something, pushes."""
        phone = self.phone()

        def run() -> None:
            chance = random.Random(name)
            for id in numbered(name):
                phone.pull()
                self.change_something(phone, id, chance)
                if self.over.is_set():
                    return

        return run

    def change_something(self, phone: Phone, id: str, chance: random.Random) -> None:
        """What is held before the push is what the server holds after it, or it tells (push 7)."""
        kind = chance.choice(["make", "edit", "edit", "move", "delete"])
        tasks = [r for (t, i), r in phone.records.items() if t == "tasks" and "keep" not in i]
        if kind == "make" or not tasks:
            home, child = self.project(id=id), task(id, id=f"{id}-child")
            phone.push(projects=created(home), tasks=created(child), forward=True)
            return
        chosen = chance.choice(tasks)
        if kind == "delete":
            phone.push(tasks=deleted(chosen["id"]), forward=True)
            return
        edit = {"title": id} if kind == "edit" else {"project_id": chance.choice(SHARED)}
        phone.push(tasks=updated(edited(chosen, **edit)), forward=True)

    def jobs(self) -> list[Callable[[], None]]:
        return [
            *(self.creator(name) for name in ("keep-a", "keep-b")),
            *(self.editor(name) for name in ("e", "f")),
            *(self.syncer(name) for name in ("s", "t")),
            *(self.puller(limit) for limit in (None, None, PAGE)),
        ]

    def check(self) -> None:
        """Contract pull 1: every phone has all, and nothing but, what a new one would get."""
        living = self.phones[0].first_pull()
        for phone in self.phones[1:]:
            phone.pull()
            assert phone.records.keys() ^ living.keys() == set()
            assert phone.records == living
        assert self.kept.items() <= living.items(), "an acknowledged creation is gone"
        homes = {id for table, id in living if table == "projects"}
        assert {r["project_id"] for (t, _), r in living.items() if t == "tasks"} <= homes
        assert {r["name"] for (t, _), r in living.items() if t == "projects"} == {self.owner}


def run_races(
    seconds: float,
    *urls: str,
    halfway: Callable[[], None] = lambda: None,
    kind: type[Phone] = Phone,
) -> None:
    """A busy account and a quiet one with the same ids, for some seconds, then the count.

    `halfway`: what happens to the hosts meanwhile; `kind`: of the phones.
    """
    busy, quiet = Race(Person(*urls, kind=kind), "busy"), Race(Person(*urls, kind=kind), "quiet")
    jobs = [*busy.jobs(), quiet.syncer("s"), quiet.puller()]

    def whistle() -> None:
        try:
            time.sleep(seconds / 2)
            halfway()
            time.sleep(seconds / 2)
        finally:
            busy.over.set()
            quiet.over.set()

    together(*jobs, whistle)
    busy.check()
    quiet.check()
