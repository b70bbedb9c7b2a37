"""What follows a commit (contract, The server's own changes): the app's jobs."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from conftest import statements
from devices import PASSWORD, Account, bare, created, deleted, edited, project, task, updated
from flask import Flask
from sqlalchemy import update
from telling import listening, make_due, queues, told, waiting

from melon_api.events import Event, GiveUp, after, outbox, outcomes
from melon_api.logic import changes
from melon_api.models.base import db
from melon_api.models.outbox import OutboxEvent
from tests.example.models import Project, Task

Drain = Callable[[], None]
OUTBOX: Any = OutboxEvent.__table__


@pytest.fixture(autouse=True)
def drain(app: Flask) -> Iterator[Drain]:
    with listening(app) as drain:
        yield drain


def test_a_job_is_told_what_a_push_did(account: Account, drain: Drain) -> None:
    seen, phone, home = told(), account.first, project()
    one, two = task(home["id"]), task(home["id"])
    phone.push(projects=created(home), tasks=created(one, two))
    phone.push(tasks={**updated(edited(one, title="Sand")), "deleted": [two["id"]]})
    assert seen == []
    drain()
    first, second = seen
    assert (sorted(first.created), first.updated, first.deleted) == (
        sorted([one["id"], two["id"]]),
        [],
        [],
    )
    assert (second.created, second.updated, second.deleted) == ([], [one["id"]], [two["id"]])
    assert first.account_id == second.account_id == account.user["id"]
    phone.pull()
    assert first.clock < second.clock == phone.pulled_at
    assert second.records() == first.records() == [bare(one) | {"title": "Sand"}]
    (mine,) = phone.call("GET", "/auth/sessions").json
    assert first.session_id == mine["id"]
    assert not first.is_server
    assert first.id != second.id
    assert (waiting(), queues()) == ([], [])


def test_what_goes_with_its_parent_is_told(account: Account, drain: Drain) -> None:
    """Contract push 4: though no phone pushed it."""
    phone, home = account.first, project()
    tasks = [task(home["id"]) for _ in range(3)]
    phone.push(projects=created(home), tasks=created(*tasks))
    seen = told()
    phone.push(projects=deleted(home["id"]))
    drain()
    (event,) = seen
    assert event.deleted == sorted(one["id"] for one in tasks)
    assert event.records() == event.created == event.updated == []
    phone.push(tasks=created(task(home["id"])))  # born deleted
    phone.push(tasks=deleted(tasks[0]["id"]))
    drain()
    assert len(seen) == 1


def test_the_servers_own_changes_are_told_too(account: Account, drain: Drain) -> None:
    seen = told(Project)
    with changes(account.user["id"]) as mine:
        mine.save(Project, {"id": "p", "name": "Server's"})
    drain()
    (event,) = seen
    assert (event.created, event.is_server, event.session_id) == (["p"], True, None)


def test_nothing_is_written_where_nobody_listens(account: Account) -> None:
    phone, home = account.first, project()

    def cost() -> int:
        with statements(account.app) as seen:
            phone.push(projects=created(project()))
        return len(seen)

    phone.push(projects=created(home))
    bare_cost = cost()
    told(Task)
    assert cost() == bare_cost
    assert waiting() == []
    told(Project, "projects")
    assert cost() == bare_cost + 2


def test_what_changes_nothing_is_no_event(account: Account) -> None:
    """Contract push 1: nor is what is refused."""
    seen, phone, home = told(Project), account.first, project()
    phone.push(projects=created(home))
    assert len(waiting()) == 1
    phone.push(projects=created(home))
    phone.ask_push({"projects": created(project(name="x" * 256))})
    assert (len(waiting()), seen) == (1, [])


def test_a_large_push_is_several_events(
    account: Account, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, none twice; and each target has its own tables."""
    monkeypatch.setattr(outbox, "IDS_PER_EVENT", 10)
    home, seen, projects = project(), told(), told(Project, "projects")
    tasks = [task(home["id"]) for _ in range(25)]
    account.first.push(projects=created(home), tasks=created(*tasks))
    drain()
    assert [len(event.created) for event in seen] == [10, 10, 5]
    assert sorted(i for event in seen for i in event.created) == sorted(t["id"] for t in tasks)
    assert len({event.clock for event in seen}) == 1
    assert len({event.id for event in seen}) == 3
    assert [event.created for event in projects] == [[home["id"]]]


def test_50000_records_fit_the_databases_packets(account: Account, drain: Drain) -> None:
    home, seen = project(), told()
    account.first.push(projects=created(home))
    ids = [f"{n:036}" for n in range(50_000)]
    account.first.push(tasks=created(*(task(home["id"], id=i) for i in ids)))
    assert max(len(row.ids) for row in waiting()) < 64_000
    drain()
    assert [i for event in seen for i in event.created] == ids


def test_a_failing_job_is_tried_again_in_order(account: Account, drain: Drain) -> None:
    """Growing pauses, and nothing goes past what fails; another job and account go on."""
    calls: list[int] = []
    other = told(name="other")
    failures = 2

    @after(Task, "unsteady")
    def unsteady(event: Event) -> None:
        calls.append(event.clock)
        if len(calls) <= failures:
            raise ConnectionError("nobody there")

    home = project()
    account.first.push(projects=created(home), tasks=created(task(home["id"])))
    account.first.push(tasks=created(task(home["id"])))
    drain()
    assert (len(calls), len(other)) == (1, 2)
    (queue,) = queues()
    assert (queue.attempts, queue.error) == (1, "ConnectionError: nobody there")
    pauses = [seconds_to_wait()]
    drain()
    assert len(calls) == 1, "it pauses"
    make_due()
    drain()
    pauses.append(seconds_to_wait())
    assert calls[0] == calls[1]
    assert pauses[0] < pauses[1]
    make_due()
    drain()
    assert calls == [calls[0]] * 3 + [max(calls)]
    assert (waiting(), queues()) == ([], [])


def seconds_to_wait() -> float:
    (queue,) = queues()
    return float(queue.due_at - queue.failing_since)


def test_pauses_grow_from_seconds_to_hours() -> None:
    means = [outcomes.pause(attempts) for attempts in range(20)]
    assert 4 <= means[0] <= 6
    assert all(a < b for a, b in pairwise(means[:7]))
    assert max(means) <= 6 * 3600 * 1.1
    assert sum(sum(means[:n]) < outcomes.PATIENCE_SECONDS for n in range(20)) >= 12


def test_what_fails_for_three_days_is_set_aside(account: Account, drain: Drain) -> None:
    tried: list[int] = []

    @after(Project, "broken")
    def broken(event: Event) -> None:
        tried.append(event.clock)
        raise ValueError("no")

    account.first.push(projects=created(project()))
    account.first.push(projects=created(project()))
    drain()
    age = outcomes.PATIENCE_SECONDS
    old, new = (row.clock for row in waiting())
    (queue,) = queues()
    with db.engine.begin() as connection:
        old_one = update(OUTBOX).where(OUTBOX.c.clock == old)
        connection.execute(old_one.values(created_at_ms=OUTBOX.c.created_at_ms - age * 1000))
    make_due(failing_since=queue.failing_since - age + 60)
    drain()
    assert [row.is_set_aside for row in waiting()] == [False, False], "a minute is left"
    make_due(failing_since=queue.failing_since - age)
    drain()
    assert [(row.clock, row.is_set_aside) for row in waiting()] == [(old, True), (new, False)]
    assert tried == [old, old, old, new]
    assert {row.error for row in waiting()} == {None, "ValueError: no"}


def test_who_gives_up_is_asked_once_and_the_next_one_comes(account: Account, drain: Drain) -> None:
    tried: list[int] = []

    @after(Project, "final")
    def final(event: Event) -> None:
        tried.append(event.clock)
        if len(tried) == 1:
            raise GiveUp("never")

    account.first.push(projects=created(project()))
    account.first.push(projects=created(project()))
    drain()
    assert len(tried) == 2
    (left,) = waiting()
    assert (left.is_set_aside, left.error, left.clock) == (True, "GiveUp: never", tried[0])
    assert queues() == []


def test_a_job_that_writes_does_not_wake_itself(account: Account, drain: Drain) -> None:
    """Nor do two that wake each other; whoever else listens is told of both."""
    everything, user_id = told(Task, "all"), account.user["id"]
    calls: list[tuple[str, tuple[str, ...]]] = []

    @after(Task, "names")
    def name_projects(event: Event) -> None:
        calls.append(("names", event.causes))
        with changes(user_id) as mine:
            (home,) = mine.select(Project)
            home["name"] += "!"
            for one in mine.select(Task):
                one["description"] = f"{one['description']}."

    @after(Project, "titles")
    def title_tasks(event: Event) -> None:
        calls.append(("titles", event.causes))
        with changes(user_id) as mine:
            for one in mine.select(Task):
                one["title"] += "!"

    home = project()
    account.first.push(projects=created(home), tasks=created(task(home["id"])))
    drain()
    assert sorted(calls) == [
        ("names", ()),
        ("names", ("titles",)),
        ("titles", ()),
        ("titles", ("names",)),
    ]
    assert sorted(event.causes for event in everything) == [
        (),
        ("names",),
        ("names", "titles"),
        ("titles",),
        ("titles", "names"),
    ]
    assert (waiting(), queues()) == ([], [])


def test_an_accounts_events_go_with_it(account: Account, app: Flask, drain: Drain) -> None:
    seen, stranger = told(Project), Account(app)
    for one in (account, stranger):
        one.first.push(projects=created(project()))
    gone = account.first.call("DELETE", "/users/me", json={"password": PASSWORD})
    assert gone.status_code == 204
    assert {row.user_id for row in waiting()} == {stranger.user["id"]}
    drain()
    assert [event.account_id for event in seen] == [stranger.user["id"]]


def test_a_job_may_delete_the_account_it_is_told_of(account: Account, drain: Drain) -> None:
    @after(Project, "goodbye")
    def goodbye(_event: Event) -> None:
        account.first.call("DELETE", "/users/me", json={"password": PASSWORD})

    account.first.push(projects=created(project()))
    drain()
    assert (waiting(), queues()) == ([], [])


def test_wrong_jobs_stop_the_start() -> None:
    with pytest.raises(TypeError, match="wants a model that syncs"):
        after(dict)
    told(name="one")
    with pytest.raises(ValueError, match="a job 'one' already"):
        told(name="one")
    for name in ("é", "x" * 121, "a\nb"):
        with pytest.raises(ValueError, match="a job's name is ASCII"):
            told(name=name)
