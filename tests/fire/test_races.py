"""Many phones of one account at once, on a real gunicorn with several workers: is a change missed?

`FIRE_SECONDS` sets how long the race lasts; nothing is asserted about time.
"""

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import DATABASES
from devices import created, edited, project, task, updated
from phones import Person
from race import SHARED, run_races, together
from servers import Server, serving

SECONDS = float(os.environ.get("FIRE_SECONDS", "4"))
ROUNDS = 12


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("races"), workers=2) as running:
        yield running


def test_no_change_is_missed(server: Server) -> None:
    """Contract pull 1, 3 and 6, push 1, 4, 7 and 11: whatever is in flight."""
    run_races(SECONDS, server.url)


# the same records, in different orders


class Columnist:
    """A device with a column of its own, which it alone edits, in all records at once."""

    def __init__(self, person: Person, column: str, make: Callable[[int], Any]) -> None:
        self.phone = person.phone()
        self.column = column
        self.make = make
        self.acknowledged: dict[str, Any] = {}
        self.phone.pull()

    def edit_all(self, turn: int, chance: random.Random) -> None:
        """Contract push 3: of a record that others edited, only the named column is written."""
        if chance.random() < 0.3:
            self.phone.pull()
        value = self.make(turn)
        ids = chance.sample(SHARED, len(SHARED))
        edits = [edited(self.phone.records["projects", id], **{self.column: value}) for id in ids]
        own = task(SHARED[0], id=f"own-{self.column}", title=f"{turn}")
        self.phone.push(projects=updated(*edits), tasks=updated(edited(own, title=own["title"])))
        self.acknowledged |= dict.fromkeys(ids, value)


def columnists_at_once(*urls: str) -> None:
    """The same records from four devices, each in another order, and each at another host."""
    person = Person(*urls)
    person.phone().push(projects=created(*(project(id=id) for id in SHARED)))
    columnists = [
        Columnist(person, "name", lambda turn: f"name {turn}"),
        Columnist(person, "description", lambda turn: f"description {turn}"),
        Columnist(person, "created_at", lambda turn: turn),
        Columnist(person, "updated_at", lambda turn: turn + 0.5),
    ]
    for columnist, url in zip(columnists, itertools.cycle(urls), strict=False):
        columnist.phone.urls = itertools.cycle([url])
    start = threading.Barrier(len(columnists))

    def run(columnist: Columnist) -> Callable[[], None]:
        def edit() -> None:
            chance = random.Random(columnist.column)
            for turn in range(1, ROUNDS + 1):
                start.wait()
                columnist.edit_all(turn, chance)

        return edit

    together(*(run(columnist) for columnist in columnists))
    living = person.phone().first_pull()
    for columnist in columnists:
        column, wanted = columnist.column, columnist.acknowledged
        assert {id: living["projects", id][column] for id in SHARED} == wanted
        assert living["tasks", f"own-{column}"]["title"] == f"{ROUNDS}"
        columnist.phone.pull()
        assert columnist.phone.records == living


def test_no_acknowledged_edit_is_lost(server: Server) -> None:
    """Contract push 1 and 3."""
    columnists_at_once(server.url)
