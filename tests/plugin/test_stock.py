"""The phone of melon_api.testing beside the stock client: the same moves at random, with lost
answers, conflicts and refusals; each pushes and holds the same, to the last `_changed`."""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import CLIENT
from flask import Flask
from servers import serving

from melon_api.errors import DomainError
from melon_api.testing.phone import Phone
from melon_api.testing.record import Record
from melon_api.testing.store import Changes
from tests.example.models import Project, Task

SEEDS = [int(n) for n in os.environ.get("MELON_SEEDS", "1,2,3,4,5,6").split(",")]
MOVES = 60
NODE_SECONDS = 300  # against a hang
Seen = dict[str, Any]


class Story:
    """Moves of two phones of an account, as this phone's state lets them be made."""

    def __init__(self, app: Flask, seed: int) -> None:
        self.dice, self.count = random.Random(seed), 0
        email = f"story{seed}@example.com"
        self.phones = [Phone(app, email, f"phone{n}") for n in (0, 1)]
        self.moves: list[Seen] = []
        self.seen: list[Seen] = []

    def move(self) -> None:
        number = self.dice.randrange(2)
        phone, turn = self.phones[number], self.dice.random()
        here = [*phone.records(Project), *phone.records(Task)]
        if turn < 0.4 or not here:
            self.sync(number) if turn < 0.35 else self.create(number)
            return
        record = self.dice.choice(here[:3])  # often the same on both
        if turn < 0.5:
            self.create(number)
        elif turn < 0.9:
            self.update(number, record)
        else:
            self.delete(number, record)

    def create(self, number: int) -> None:
        phone = self.phones[number]
        homes = [one.id for one in phone.records(Project)]
        is_project = not homes or self.dice.random() < 0.3
        values = self.values(is_project) | {"id": f"r{len(self.moves)}", "created_at": 1}
        if not is_project:
            values["project_id"] = self.dice.choice(homes)
        phone.create(Project if is_project else Task, **values)
        self.note(number, "create", table=("tasks", "projects")[is_project], values=values)

    def update(self, number: int, record: Record) -> None:
        values = self.values(record.table.name == "projects")
        self.phones[number].update(record, **values)
        self.note(number, "update", table=record.table.name, id=record.id, values=values)

    def delete(self, number: int, record: Record) -> None:
        self.phones[number].delete(record)
        self.note(number, "delete", table=record.table.name, id=record.id)

    def values(self, is_project: bool) -> Seen:
        """New ones, few enough that phones write the same; a text may be too long."""
        self.count += 1
        text = self.dice.choice(["a", "b", *[str(self.count)] * 17, "x" * 256])
        texts = {"name" if is_project else "title": text, "description": self.dice.choice("ab")}
        all_of_it = texts if is_project else texts | {"is_completed": self.dice.random() < 0.5}
        names = self.dice.sample(sorted(all_of_it), self.dice.randint(1, len(all_of_it)))
        return {"updated_at": self.count} | {name: all_of_it[name] for name in names}

    def sync(self, number: int) -> None:
        phone, other = self.phones[number], self.phones[1 - number]
        lose = self.dice.choice([None, None, None, "push", "pull"])
        partial = self.dice.random() < 0.5
        between = self.dice.random() < 0.4
        pushed = None
        try:
            phone.pull(lose_answer=lose == "pull")
            if lose != "pull" and any_of(changes := phone._store.changes()):
                pushed = in_order(changes)
                if between:
                    other.sync(partial=True)
                phone.push(partial=partial, lose_answer=lose == "push")
            outcome = "lost" if lose == "pull" or (lose and pushed) else "ok"
        except DomainError as error:
            outcome = error.code
        options = {"lose": lose, "partial": partial, "between": 1 - number if between else None}
        self.note(number, "sync", **options)
        self.seen[-1] |= {"outcome": outcome, "pushed": pushed}

    def note(self, number: int, do: str, **options: Any) -> None:
        held = {
            model.__tablename__: in_order_of_ids(r.raw for r in self.phones[number].records(model))
            for model in (Project, Task)
        }
        self.moves.append({"phone": number, "do": do, **options})
        self.seen.append(json.loads(json.dumps({"held": held})))


def any_of(changes: Changes) -> bool:
    return any(records for lists in changes.values() for records in lists.values())


def in_order(changes: Changes) -> Changes:
    return {
        table: {name: in_order_of_ids(records) for name, records in lists.items()}
        for table, lists in changes.items()
    }


def in_order_of_ids(records: Any) -> list[Any]:
    return sorted(records, key=lambda one: one if isinstance(one, str) else one["id"])


@pytest.mark.filterwarnings("default::melon_api.testing.ProtocolWarning")
@pytest.mark.usefixtures("client_packages")
@pytest.mark.parametrize("policy", ["last_write_wins", "reject"])
def test_it_pushes_and_holds_what_the_stock_client_does(
    plain_app: Flask, tmp_path: Path, policy: str
) -> None:
    plain_app.config["SYNC_CONFLICT_POLICY"] = policy
    stories = [Story(plain_app, seed) for seed in SEEDS]
    for story in stories:
        for _ in range(MOVES):
            story.move()
    moves, seen = tmp_path / "moves.json", tmp_path / "seen.json"
    moves.write_text(json.dumps([story.moves for story in stories]))
    with serving("sqlite", tmp_path, workers=1, SYNC_CONFLICT_POLICY=policy) as server:
        environ = os.environ | {"MELON_URL": server.url, "MOVES": str(moves), "SEEN": str(seen)}
        done = subprocess.run(
            ["node", "replay.mjs"],
            cwd=CLIENT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=NODE_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for story, others in zip(stories, json.loads(seen.read_text()), strict=True):
        for move, ours, theirs in zip(story.moves, story.seen, others, strict=True):
            assert ours == theirs, (story.moves.index(move), move)
    outcomes = {one["outcome"] for story in stories for one in story.seen if "outcome" in one}
    conflicts = {"sync_conflict"} if policy == "reject" else set()
    assert outcomes >= {"ok", "lost", "validation_failed"} | conflicts
