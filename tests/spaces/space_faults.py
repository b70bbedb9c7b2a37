"""What a review of shared spaces found, each as a story; run by test_space_faults.py, with the
example app."""

from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app
from devices import API, Account, created, edited, project, task, updated
from flask import Flask
from servers import PrivateRedis
from sharing import People, bring, create, living, push_partly
from sqlalchemy import select

from app.models import Project, Task
from melon_api.logic import before_push, changes, registry
from melon_api.models.alteration import Alteration
from melon_api.models.base import db
from melon_api.sync import pull as pulls

TOO_LONG = "x" * 300


def test_a_move_that_is_refused_where_it_arrives_loses_nothing(app: Flask) -> None:
    """Contract, push 6 and Spaces 4."""
    people = People(app)
    home = project(id="home", space_id=None)
    people.a.push(projects=created(home), tasks=created(task("home", id="t1")))
    moved = edited(home, space_id=people.space, name=TOO_LONG)
    found = push_partly(people.a, projects=updated(moved))
    assert found["rejected"] == {"projects": {"home": "validation_failed"}}
    assert living(people.a, "projects")["home"]["space_id"] is None
    assert set(living(people.a, "tasks")) == {"t1"}


def test_a_move_with_what_a_rule_refuses_stays_where_it_is(app: Flask) -> None:
    """Contract, push 6 and 10, Spaces 4: the rule is asked where it arrives."""
    people = People(app)
    home, paint = project(id="home", space_id=None), task("home", id="t1")
    people.a.push(projects=created(home), tasks=created(paint))
    moved = edited(home, space_id=people.space)
    card = edited(paint, title="4111 1111 1111 1111")
    found = push_partly(people.a, projects=updated(moved), tasks=updated(card))
    assert found["rejected"]["tasks"] == {"t1": "refused"}
    assert found["rejected"]["projects"] == {"home": "refused"}
    assert living(people.a, "projects")["home"]["space_id"] is None
    assert living(people.a, "tasks")["t1"]["title"] == paint["title"]
    assert living(people.b, "tasks") == {}


def test_a_try_without_the_move_begins_as_the_first_did(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, push 6 and 10: what a rule wrote beside the first one is undone."""
    monkeypatch.setattr(registry, "rules", {})

    @before_push(Task)
    def alters_one_and_refuses_the_other(tasks: Any) -> None:
        for found in tasks.saved:
            if found["title"] == "No":
                found.refuse("No.")
            else:
                found["title"] = "Altered"

    people = People(app)
    home, one, other = project(id="home", space_id=None), task("home"), task("home")
    people.a.push(projects=created(home), tasks=created(one, other))
    edits = updated(edited(one, title="No"), edited(other, title="Yes"))
    moved = updated(edited(home, space_id=people.space))
    found = push_partly(people.a, projects=moved, tasks=edits)
    assert found["rejected"]["tasks"] == {one["id"]: "refused"}
    assert living(people.a, "tasks")[other["id"]]["title"] == "Altered"
    with app.app_context():
        noted = select(Alteration).where(Alteration.user_id == people.space)
        assert db.session.scalars(noted).all() == []


def test_a_child_that_cannot_be_kept_moves_along_as_it_is(app: Flask) -> None:
    """Contract, push 6 and Spaces 4."""
    people = People(app)
    home, paint = project(id="home", space_id=None), task("home", id="t1")
    people.a.push(projects=created(home), tasks=created(paint))
    moved, wrong = edited(home, space_id=people.space), edited(paint, title=TOO_LONG)
    push_partly(people.a, projects=updated(moved), tasks=updated(wrong))
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
    assert push_partly(people.a, projects=updated(moved))["rejected"] == {}
    push_partly(people.a, projects=updated(edited(moved, name="New")))
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


def test_what_is_told_again_is_told_once(app: Flask) -> None:
    """Contract, Spaces 1 and pull 5: though the same pull adds a column that it holds."""
    owner, reader = Account(app), Account(app)
    space = create(owner)["id"]
    home = project(id="home", space_id=space, description="Ours")
    owner.first.push(projects=created(home))
    bring(owner, space, reader, role="reader")
    reader.first.pull()
    reader.first.push(projects=updated(edited(home, name="Mine")))
    added = {
        "from": 1,
        "tables": [],
        "columns": [{"table": "projects", "columns": ["description"]}],
    }
    told = reader.first.pull(migration=added)["projects"]
    assert [record["id"] for record in told["updated"]] == ["home"]
    assert not told["created"]


def test_a_rule_that_waits_for_its_own_lock_fails_at_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a push into a shared space as in any: its account is locked as well."""
    people, asked = People(app), []
    monkeypatch.setattr(registry, "rules", {})

    @before_push(Project)
    def looks_aside(found: Any) -> None:
        asked.append(found.account.member_id)
        with changes(found.account.member_id):
            raise AssertionError("it is locked by the push")

    answer = people.a.ask_push({"projects": created(project(space_id=people.space))})
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert len(asked) == 1


def test_a_push_between_a_pulls_snapshot_and_its_tick_is_told_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, pull 1: Redis remembers no clock for more than the phone was told."""
    settled, meanwhile = pulls._settled, project(id="meanwhile")
    with PrivateRedis() as redis:
        url = f"sqlite:///{tmp_path}/melon.db"
        app = make_app(environment("sqlite", url, REDIS_URL=redis.url), tmp_path)
        owner, editor = Account(app), Account(app)
        space = create(owner)["id"]
        bring(owner, space, editor)
        tablet = owner.device()
        owner.first.pull()
        editor.first.push(projects=created(project(space_id=space)))

        def later(*arguments: Any) -> Any:
            monkeypatch.setattr(pulls, "_settled", settled)
            tablet.push(projects=created(meanwhile))
            return settled(*arguments)

        monkeypatch.setattr(pulls, "_settled", later)
        assert "meanwhile" not in ids(owner.first.pull()["projects"])
        assert pulls._settled is settled  # it came between
        assert ids(owner.first.pull()["projects"]) == ["meanwhile"]


def ids(lists: dict[str, Any]) -> list[str]:
    return [record["id"] for record in lists["created"]]
