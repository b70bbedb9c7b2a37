"""The example syncs, and its rule, its call and its job do what they say (docs/testing.md)."""

import time
from typing import Any

import pytest

from app.models import Project, Task
from melon_api.errors import Refused
from melon_api.testing import NewPhone, Phone, RunCommand

DAY_MS = 86_400_000
CARD = "4111 1111 1111 1111"


def test_a_phone_pushes_and_another_pulls(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = ada.create(Project, name="Home")
    ada.create(Task, title="Paint", project_id=home.id)
    ada.sync()
    tablet.sync()
    assert [one["name"] for one in tablet.records(Project)] == ["Home"]
    assert [one["title"] for one in tablet.records(Task, project_id=home.id)] == ["Paint"]


def test_a_card_number_is_refused(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = ada.create(Project, name="Home")
    task = ada.create(Task, title="Pay", description=CARD, project_id=home.id)
    with pytest.raises(Refused):
        ada.sync()
    said = ["A card number is not safe in a list: take it out."]
    assert ada.errors_of(task) == {"description": said}

    ada.sync(partial=True)
    assert home.is_synced and not task.is_synced
    ada.update(task, description="with the blue card")
    ada.sync()
    tablet.sync()
    assert tablet.get(Task, task.id)["description"] == "with the blue card"


@pytest.mark.parametrize(
    ("title", "is_taken"),
    [
        (CARD, False),
        ("5500000000000004 for the tiles", False),
        ("4111-1111-1111-1111", False),
        ("4111 1111 1111", True),
        ("order 941111111111111111", True),
        ("in ms: 1700000000000000", True),
        ("", True),
    ],
)
def test_what_is_taken_for_a_card_number(phone: NewPhone, title: str, is_taken: bool) -> None:
    ada = phone("ada")
    home = ada.create(Project, name="Home")
    task = ada.create(Task, title=title, project_id=home.id)
    ada.sync(partial=True)
    assert task.is_synced == is_taken


def test_a_project_is_copied_with_its_tasks(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = ada.create(Project, name="Home")
    for title in ("Paint", "Sand"):
        ada.create(Task, title=title, project_id=home.id)
    ada.sync()
    answer = ada.call("POST", f"/projects/{home.id}/copy", json={"name": "Copy"})
    tablet.sync()
    copy = tablet.get(Project, answer.json["id"])
    assert (answer.status_code, copy["name"]) == (201, "Copy")
    assert {one["title"] for one in tablet.records(Task, project_id=copy.id)} == {"Paint", "Sand"}


def test_only_ones_own_project_is_copied(phone: NewPhone) -> None:
    ada, eve = phone("ada"), phone("eve")
    home = ada.create(Project, name="Home")
    ada.sync()

    def code(who: Phone, **options: Any) -> str:
        path = f"/projects/{home.id}/copy"
        return who.call("POST", path, **{"json": {"name": "Copy"}, **options}).json["code"]

    assert code(eve) == "not_found"
    assert code(ada, json={"name": ""}) == "validation_failed"
    assert code(ada, headers={"Authorization": ""}) == "token_missing"
    ada.call("POST", "/auth/logout")
    assert code(ada) == "token_revoked"
    for one in (eve, phone("ada", "tablet")):
        one.sync()
    assert [len(one.records(Project)) for one in (eve, phone("ada", "tablet"))] == [0, 1]


def test_what_is_done_for_long_is_cleared_for_everybody(phone: NewPhone, flask: RunCommand) -> None:
    people = phone("ada"), phone("bob")
    long_ago = int(time.time() * 1000) - 31 * DAY_MS
    for one in people:
        home = one.create(Project, name="Home")
        one.create(Task, title="old", project_id=home.id, is_completed=True, updated_at=long_ago)
        one.create(Task, title="new", project_id=home.id, is_completed=True)
        one.create(Task, title="open", project_id=home.id, updated_at=long_ago)
        one.sync()
    for _ in range(2):
        assert {one.account_id for one in people} == {*flask("tasks", "clear-done").split()}
    for one in people:
        one.sync()
        assert {task["title"] for task in one.records(Task)} == {"new", "open"}


def test_the_demo_account_has_some(flask: RunCommand) -> None:
    assert "5 projects and 20 tasks" in flask("seed", "--records", "20")
