"""The worker: who holds what, and for how long; and that development needs none."""

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from devices import API, PASSWORD, Account, created, new_id, project, task
from flask import Flask
from servers import Server, serving
from sqlalchemy import update
from telling import listening, make_due, queues, told, waiting

import config as settings
from melon_api.events import Event, after, registry, turns
from melon_api.events import queues as held
from melon_api.events.turns import Turns
from melon_api.events.worker import Worker
from melon_api.models.base import db
from melon_api.models.outbox import EventQueue
from tests.example.models import Project

Drain = Callable[[], None]
PATIENCE_SECONDS = 60


@pytest.fixture(autouse=True)
def drain(app: Flask) -> Iterator[Drain]:
    with listening(app) as drain:
        yield drain


@contextmanager
def working(app: Flask, threads: int = 2) -> Iterator[Worker]:
    worker = Worker(Turns(app), threads)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        worker.join(PATIENCE_SECONDS)


def eventually(is_so: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def test_what_is_committed_while_it_works_is_told(app: Flask) -> None:
    seen, accounts = told(Project), [Account(app) for _ in range(3)]
    with working(app):
        for _ in range(5):
            for account in accounts:
                account.first.push(projects=created(project()))
        eventually(lambda: len(seen) == 15)
        eventually(lambda: not queues())
    for account in accounts:
        clocks = [event.clock for event in seen if event.account_id == account.user["id"]]
        assert clocks == sorted(set(clocks))


def test_of_one_account_one_event_is_told_at_a_time(account: Account, app: Flask) -> None:
    """Though many threads wait for work."""
    inside, most = [0], [0]

    @after(Project, "slow")
    def slow(_event: Event) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1

    for _ in range(20):
        account.first.push(projects=created(project()))
    with working(app, threads=6):
        eventually(lambda: not queues())
    assert most == [1]


def test_who_works_for_longer_than_the_lease_keeps_it(
    account: Account, app: Flask, settings_of: Any
) -> None:
    settings_of(EVENT_LEASE_SECONDS=6)
    calls: list[int] = []

    @after(Project, "long")
    def long(event: Event) -> None:
        calls.append(event.clock)
        time.sleep(9)

    account.first.push(projects=created(project()))
    with working(app, threads=3):
        eventually(lambda: not queues())
    assert len(calls) == 1


def test_who_was_replaced_notes_nothing(account: Account, drain: Drain) -> None:
    """As after a pause of the machine: another one has it now, and its event is not deleted."""

    def lose(_event: Event) -> None:
        with db.engine.begin() as connection:
            connection.execute(update(EventQueue).values(holder=7, due_at=EventQueue.due_at + 60))

    after(Project, "lost")(lose)
    for _ in range(2):
        account.first.push(projects=created(project()))
    drain()
    assert len(waiting()) == 2
    (queue,) = queues()
    assert (queue.holder, queue.attempts) == (7, 0)


def test_what_was_held_by_the_dead_is_taken_when_the_lease_is_over(
    account: Account, app: Flask, drain: Drain
) -> None:
    seen = told(Project)
    account.first.push(projects=created(project()))
    assert held.take(db.engine, ["told"], 60)
    assert held.take(db.engine, ["told"], 60) is None
    drain()
    assert seen == []
    make_due()
    drain()
    assert len(seen) == 1


def test_a_long_queue_lets_others_have_their_turn(
    account: Account, app: Flask, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0)
    seen, other = told(Project), Account(app)
    for one in (account, account, account, other):
        one.first.push(projects=created(project()))
    drain()
    assert len(seen) == 4
    assert queues() == []


def test_it_works_until_it_is_stopped_and_finishes_what_it_has_begun(
    account: Account, app: Flask
) -> None:
    """What takes too long is cut off: the event stays, and is told again."""
    begun, go_on = threading.Event(), threading.Event()

    @after(Project, "patient")
    def patient(_event: Event) -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)

    worker = Worker(Turns(app), 1)
    worker.start()
    joined = threading.Thread(target=worker.join, args=[0.2])
    joined.start()
    joined.join(1.5)
    assert joined.is_alive(), "nobody has stopped it"
    account.first.push(projects=created(project()))
    assert begun.wait(PATIENCE_SECONDS)
    worker.stop()
    joined.join(PATIENCE_SECONDS)
    assert not joined.is_alive()
    assert len(waiting()) == 1
    go_on.set()
    worker.join(PATIENCE_SECONDS)
    assert waiting() == []


def test_what_ends_a_thread_is_raised(account: Account, app: Flask) -> None:
    """A mistake of ours, or a database that was not migrated."""
    told(Project)
    account.first.push(projects=created(project()))
    broken = Turns(app)
    broken.engine = None  # type: ignore[assignment]
    worker = Worker(broken, 1)
    worker.start()
    with pytest.raises(AttributeError, match="'NoneType'"):
        worker.join(PATIENCE_SECONDS)


def test_an_event_of_a_target_that_nobody_knows_stays(account: Account, drain: Drain) -> None:
    """A job that was renamed, or that a newer release alone has."""
    told(Project, "old")
    account.first.push(projects=created(project()))
    job = registry.jobs.pop("old")
    drain()
    assert len(waiting()) == 1
    registry.jobs["old"] = job
    drain()
    assert waiting() == []


def test_a_job_that_ends_the_process_ends_itself_alone(account: Account, drain: Drain) -> None:
    @after(Project, "exits")
    def exits(_event: Event) -> None:
        sys.exit("I am no command")

    account.first.push(projects=created(project()))
    drain()
    (queue,) = queues()
    assert queue.error == "SystemExit: I am no command"


def test_in_development_the_server_tells_it_itself(tmp_path: Path) -> None:
    """One command shows everything: `./scripts/serve`, and `flask run`, too."""
    told_file = tmp_path / "told"
    environ = {"APP_ENV": "development", "TOLD": str(told_file)}
    environ["PYTHONPATH"] = str(Path(__file__).parent)
    with serving("sqlite", tmp_path, workers=2, application="told_app:app", **environ) as server:
        email = f"{new_id()}@example.com"
        body = {"email": email, "password": PASSWORD}
        token = ask(server, "/auth/register", body)["access_token"]
        home = project()
        changes = {"projects": created(home), "tasks": created(task(home["id"], id="t1"))}
        ask(server, "/sync/push", {"changes": changes, "lastPulledAt": 0}, token)
        eventually(lambda: told_file.exists() and told_file.read_text().endswith(" t1\n"))
    assert told_file.read_text().count("t1") == 1


def ask(server: Server, path: str, body: Any, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    url = f"{server.url}{API}{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_elsewhere_it_does_not(plain_app: Flask) -> None:
    """Nor does a command in development: its worker begins with the first request."""
    assert plain_app.config["RUNS_EVENTS"] is False
    assert settings.Development.RUNS_EVENTS is True
    assert settings.Production.RUNS_EVENTS is settings.Staging.RUNS_EVENTS is False
