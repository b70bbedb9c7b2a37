"""Stories of pages between which people come, go and move things; run by test_shared_records.py,
with tests/shared_app."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import statements
from devices import Account, Device, created, edited, project, task, updated
from flask import Flask
from sharing import bring, create, remove

MANY = 1_000


def pages(phone: Device, since: int | None, between: Callable[[int], Any]) -> list[dict[str, Any]]:
    """Each of one record or deletion; `between` is called with how many there were so far."""
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        answer = phone.ask_pull(since, limit=1, **more)
        assert answer.status_code == 200, answer.text
        found.append(answer.json)
        if not answer.json["cursor"]:
            return found
        more = {"cursor": answer.json["cursor"]}
        between(len(found))


def told(found: list[dict[str, Any]]) -> list[str]:
    """The ids of all records, in their order."""
    lists = (page["changes"][table] for page in found for table in ("projects", "tasks"))
    return [
        record["id"] for one in lists for name in ("created", "updated") for record in one[name]
    ]


class Two:
    """Two spaces of an owner and an editor, with a project and a task in each: p0 and t0, p1 and
    t1; the editor's pages begin with the first one's."""

    def __init__(self, app: Flask) -> None:
        owner, self.editor = Account(app), Account(app)
        self.owner, self.phone, self.writer = owner, self.editor.first, owner.first
        self.spaces = [create(owner, id=f"{n}-{owner.user['id'][:30]}")["id"] for n in range(2)]
        for space in self.spaces:
            bring(owner, space, self.editor)
        homes = [project(id=f"p{n}", space_id=space) for n, space in enumerate(self.spaces)]
        self.writer.push(
            projects=created(*homes), tasks=created(*(task(f"p{n}", id=f"t{n}") for n in range(2)))
        )
        self.writer.pull()

    def edit(self) -> None:
        """All four."""
        homes, tasks = (self.writer.records(table).values() for table in ("projects", "tasks"))
        self.writer.push(
            projects=updated(*(edited(home, name="Cabin") for home in homes)),
            tasks=updated(*(edited(task, title="Varnish") for task in tasks)),
        )

    def move(self, number: int) -> None:
        """The project and its task, to where the other one is."""
        home = self.writer.records("projects")[f"p{number}"]
        self.writer.push(projects=updated(edited(home, space_id=self.spaces[1 - number])))
        self.writer.pull()


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("behind", [0, 1, 2, 3])
def test_what_moves_between_two_pages_is_told_once(
    app: Flask, number: int, behind: int, is_first: bool
) -> None:
    """Contract, pull 6: the space that it leaves is yet to come, or that it comes to is through."""
    two, since = Two(app), None
    if not is_first:
        two.phone.pull()
        since = two.phone.pulled_at
        two.edit()
    found = pages(two.phone, since, lambda n: two.move(number) if n == behind else None)
    assert sorted(told(found)) == ["p0", "p1", "t0", "t1"]
    assert all(told(found).index(f"p{n}") < told(found).index(f"t{n}") for n in range(2))
    two.phone.pulled_at = found[0]["timestamp"]
    news = two.phone.pull()
    moved = [f"p{number}", f"t{number}"] if behind else []
    assert told([{"changes": news}]) == moved
    assert not any(lists["created"] or lists["deleted"] for lists in news.values())


def test_who_comes_back_between_two_pages_is_told_each_record_once(app: Flask) -> None:
    """Contract, pull 6: the pages go on where they were."""
    two = Two(app)

    def come_back(number: int) -> None:
        if number == 1:
            remove(two.owner, two.spaces[0], two.editor)
            bring(two.owner, two.spaces[0], two.editor)

    found = pages(two.phone, None, come_back)
    assert sorted(told(found)) == ["p0", "p1", "t0", "t1"]


def test_who_missed_a_page_while_out_begins_anew(app: Flask) -> None:
    """Contract, pull 1: the rest of what it may see again would never be told."""
    two = Two(app)
    first = two.phone.ask_pull(None, limit=1).json
    assert told([first]) == ["p0"]
    remove(two.owner, two.spaces[0], two.editor)
    second = two.phone.ask_pull(None, limit=1, cursor=first["cursor"]).json
    assert told([second]) == ["p1"]
    bring(two.owner, two.spaces[0], two.editor)
    third = two.phone.ask_pull(None, limit=1, cursor=second["cursor"])
    assert (third.status_code, list(third.json["errors"])) == (422, ["cursor"])


def test_a_page_reads_past_what_it_does_not_tell_in_few_steps(app: Flask) -> None:
    """Contract, Spaces 4: what has moved on is told where it is now."""
    two = Two(app)
    two.writer.push(tasks=created(*(task("p0") for _ in range(MANY))))
    two.phone.pull()
    two.move(0)
    with statements(app) as seen:
        answer = two.phone.ask_pull(two.phone.pulled_at, limit=1)
    assert told([answer.json]) == ["p0"]
    assert len(seen) < MANY / 10
