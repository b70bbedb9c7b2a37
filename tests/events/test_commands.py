"""`flask events`: what an operator sees and does; and what Prometheus is told."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from devices import Account, created, project
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from telling import listening, make_due, queues, told, waiting

from melon_api.events import Event, GiveUp, after, registry
from melon_api.models.base import db
from tests.example.models import Project

Drain = Callable[[], None]


@pytest.fixture(autouse=True)
def drain(app: Flask) -> Iterator[Drain]:
    with listening(app) as drain:
        yield drain


def flask(app: Flask, *arguments: str, code: int = 0) -> str:
    done = app.test_cli_runner().invoke(args=["events", *arguments])
    assert done.exit_code == code, done.output
    return str(done.output)


def metrics(app: Flask) -> dict[str, float]:
    families = text_string_to_metric_families(app.test_client().get("/metrics").text)
    samples = (sample for family in families for sample in family.samples)
    return {one.name: one.value for one in samples if one.name.startswith("melon_event")}


class Unsteady:
    """A job that fails as it is told."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.taken: list[str] = []
        after(Project, "unsteady")(self.run)

    def run(self, event: Event) -> None:
        if self.error:
            raise self.error
        self.taken.append(event.created[0])


def test_what_waits_is_shown_and_told_at_once(account: Account, app: Flask, drain: Drain) -> None:
    job, one = Unsteady(ConnectionError("no\nset aside  forged")), project()
    assert flask(app, "list") == ""
    account.first.push(projects=created(one))
    drain()
    (line,) = flask(app, "list").splitlines()
    assert re.match(rf"waiting  unsteady  {account.user['id']}  1 since 20\d\d-", line)
    assert "1 failed, next 20" in line and line.endswith(": ConnectionError: no set aside  forged")
    job.error = None
    drain()
    assert job.taken == [], "it pauses"
    assert flask(app, "retry", "--all") == "0 events are told again.\n"
    assert flask(app, "work", "--once").splitlines() == ["Telling: unsteady"]
    assert job.taken == [one["id"]]
    assert flask(app, "list") == ""


def test_what_is_set_aside_is_shown_and_told_again(
    account: Account, app: Flask, drain: Drain
) -> None:
    """One, all of them, or none ever; in the order of the clock."""
    job, some = Unsteady(GiveUp("never")), [project() for _ in range(4)]
    for one in some:
        account.first.push(projects=created(one))
    drain()
    lines = flask(app, "list").splitlines()
    names = [line.split()[2] for line in lines]
    assert all(
        re.match(r"set aside  \S+  unsteady  \S+  of 20.*: GiveUp: never$", x) for x in lines
    )
    assert len(set(names)) == 4
    assert queues() == []
    job.error = None
    assert flask(app, "retry", names[2]) == "1 events are told again.\n"
    assert flask(app, "retry", names[2], "unknown") == "0 events are told again.\n"
    drain()
    assert job.taken == [some[2]["id"]]
    assert flask(app, "drop", names[1], "--yes") == "Dropped 1.\n"
    assert flask(app, "retry", "--all") == "2 events are told again.\n"
    drain()
    assert job.taken == [some[n]["id"] for n in (2, 0, 3)]
    assert (waiting(), queues()) == ([], [])


def test_what_waits_for_nobody_is_shown_and_dropped(account: Account, app: Flask) -> None:
    told(Project, "gone"), told(Project, "here")
    account.first.push(projects=created(project()))
    del registry.jobs["gone"]
    gone, here = flask(app, "list").splitlines()
    assert gone.endswith("nobody is called that here")
    assert not here.endswith("here ")
    assert "They will never be told" in flask(app, "drop", "--target", "gone", code=1)
    assert len(waiting()) == 2
    assert flask(app, "drop", "--target", "gone", "--yes") == "Dropped 1.\n"
    assert [row.target for row in waiting()] == [row.target for row in queues()] == ["here"]


@pytest.mark.parametrize(
    "wrong", [["retry"], ["retry", "x", "--all"], ["drop", "--yes"], ["drop", "x", "--target", "y"]]
)
def test_half_a_command_does_nothing(app: Flask, wrong: list[str]) -> None:
    if wrong[0] == "drop" and "--yes" not in wrong:
        wrong = [*wrong, "--yes"]
    assert "Usage: " in flask(app, *wrong, code=2)


def test_prometheus_is_told_how_much_waits(account: Account, app: Flask, drain: Drain) -> None:
    nothing = dict.fromkeys(
        (
            "melon_events_waiting",
            "melon_events_oldest_seconds",
            "melon_events_set_aside",
            "melon_event_queues_failing",
        ),
        0.0,
    )
    assert metrics(app) == nothing
    job = Unsteady(GiveUp("never"))
    account.first.push(projects=created(project()))
    drain()
    job.error = ValueError("not now")
    for _ in range(2):
        account.first.push(projects=created(project()))
    drain()
    with db.engine.begin() as connection:
        old = "UPDATE outbox SET created_at_ms = created_at_ms - 60000 WHERE is_set_aside = 0"
        connection.execute(text(old))
    said = metrics(app)
    assert said.pop("melon_events_oldest_seconds") >= 60
    assert said == {
        "melon_events_waiting": 2,
        "melon_events_set_aside": 1,
        "melon_event_queues_failing": 1,
    }
    job.error = None
    make_due()
    drain()
    flask(app, "retry", "--all")
    drain()
    assert metrics(app) == nothing


def test_without_its_table_the_rest_is_told(plain_app: Flask) -> None:
    """As while the database is away."""
    with plain_app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DROP TABLE outbox"))
    answer: Any = plain_app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert "melon_request_seconds" in answer.text
    assert "melon_events_waiting" not in answer.text
