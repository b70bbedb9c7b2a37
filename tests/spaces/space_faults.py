"""What a review of shared spaces found, each as a story; run by test_space_faults.py, with the
example app."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, fresh_database, make_app
from devices import API, Account, Device, created, edited, project, task, updated
from flask import Flask

from melon_api.models.base import db

TOO_LONG = "x" * 300


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with fresh_database(request.param, tmp_path) as url:
        app = make_app(environment(request.param, url), tmp_path)
        yield app
        with app.app_context():
            db.engine.dispose()


class People:
    """An owner of a space and a member, who have pulled."""

    def __init__(self, app: Flask) -> None:
        self.a, self.b = Account(app).first, Account(app).first
        self.space = self.a.call("POST", "/spaces", json={"name": "Ours"}).json["id"]
        path = f"/spaces/{self.space}/invitations"
        token = self.a.call("POST", path, json={"role": "editor"}).json["token"]
        assert self.b.call("POST", "/spaces/join", json={"token": token}).status_code == 200
        self.a.pull()
        self.b.pull()


def living(phone: Device, table: str) -> dict[str, Any]:
    answer = phone.call("POST", "/sync/pull", json={"lastPulledAt": None})
    return {record["id"]: record for record in answer.json["changes"][table]["created"]}


def partial(phone: Device, **tables: Any) -> Any:
    body = {"changes": tables, "lastPulledAt": phone.pulled_at, "allowPartial": True}
    answer = phone.call("POST", "/sync/push", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_move_that_is_refused_where_it_arrives_loses_nothing(app: Flask) -> None:
    """Contract, push 6 and Spaces 4."""
    people = People(app)
    home = project(id="home", space_id=None)
    people.a.push(projects=created(home), tasks=created(task("home", id="t1")))
    moved = edited(home, space_id=people.space, name=TOO_LONG)
    found = partial(people.a, projects=updated(moved))
    assert found["rejected"] == {"projects": {"home": "validation_failed"}}
    assert living(people.a, "projects")["home"]["space_id"] is None
    assert set(living(people.a, "tasks")) == {"t1"}


def test_a_child_that_cannot_be_kept_moves_along_as_it_is(app: Flask) -> None:
    """Contract, push 6 and Spaces 4."""
    people = People(app)
    home, paint = project(id="home", space_id=None), task("home", id="t1")
    people.a.push(projects=created(home), tasks=created(paint))
    moved, wrong = edited(home, space_id=people.space), edited(paint, title=TOO_LONG)
    partial(people.a, projects=updated(moved), tasks=updated(wrong))
    assert living(people.b, "tasks")["t1"]["title"] == paint["title"]


def test_what_is_new_under_a_move_that_cannot_be_is_stored(app: Flask) -> None:
    """Contract, Spaces 2 and 4: it stays where its parent stays."""
    people = People(app)
    theirs = project(id="theirs", space_id=people.space)
    people.b.push(projects=created(theirs), tasks=created(task("theirs", id="t1")))
    home = project(id="home", space_id=None)
    people.a.push(projects=created(home), tasks=created(task("home", id="t1")))
    moved = edited(home, space_id=people.space)
    people.a.push(projects=updated(moved), tasks=created(task("home", id="t2")))
    mine = living(people.a, "tasks")
    assert {mine[i]["project_id"] for i in ("t1", "t2")} == {"home"}
    assert living(people.a, "projects")["home"]["space_id"] is None


def test_a_move_is_repeated_and_edited_before_the_next_pull(app: Flask) -> None:
    """Contract, push 1: its answer was lost."""
    people = People(app)
    home = project(id="home", space_id=None)
    people.a.push(projects=created(home))
    people.a.pull()
    moved = edited(home, space_id=people.space)
    people.a.push(projects=updated(moved))
    assert partial(people.a, projects=updated(moved))["rejected"] == {}
    partial(people.a, projects=updated(edited(moved, name="New")))
    assert living(people.b, "projects")["home"]["name"] == "New"


def test_a_parent_that_no_database_knows_is_told(app: Flask) -> None:
    """Contract, push 4, for an account that shares: its id is not ASCII."""
    people = People(app)
    answer = people.a.ask_push({"tasks": created(task("é"))})
    assert answer.json["code"] == "unknown_parent", answer.text


def test_an_id_with_a_blank_behind_it_is_another(app: Flask) -> None:
    """Contract, Spaces: MariaDB compares without it."""
    people = People(app)
    answer = people.a.http.get(
        f"{API}/spaces/{people.space}%20/members",
        headers={"Authorization": f"Bearer {people.a.access_token}"},
    )
    assert answer.status_code == 404
