"""What a review of shared spaces found of trees, and of records that belong to two others, each as
a story; run by test_space_faults.py, with tests/shelf_app."""

from typing import Any

import pytest
from devices import created, edited, updated
from flask import Flask
from sharing import People, living

LEVELS = 1_000


@pytest.fixture
def app(plain_app: Flask) -> Flask:
    return plain_app


def record(record_id: str, **values: Any) -> dict[str, Any]:
    times = {"created_at": 1, "updated_at": 2}
    fixed = {"id": record_id, "name": record_id, "_status": "created", "_changed": ""}
    return fixed | times | values


def folder(record_id: str, space: str | None, above: str | None = None) -> dict[str, Any]:
    return record(record_id, space_id=space, folder_id=above)


def test_two_people_who_drag_folders_into_each_other_keep_both(app: Flask) -> None:
    """Contract, Spaces 2: nothing hides what is in a circle."""
    people = People(app)
    one, other = folder("one", people.space), folder("other", people.space)
    below = folder("below", people.space, "one")
    people.a.push(folders=created(one, other, below))
    people.a.pull()
    people.b.pull()
    people.a.push(folders=updated(edited(one, folder_id="other")))
    people.b.push(folders=updated(edited(other, folder_id="one")))
    for phone in (people.a, people.b):
        assert phone.pull()["folders"]["deleted"] == []
        assert set(living(phone, "folders")) == {"one", "other", "below"}
    mended = edited(one | {"folder_id": "other"}, folder_id=None)
    people.a.push(folders=updated(mended))
    assert living(people.b, "folders")["one"]["folder_id"] is None


def test_a_long_chain_is_pulled_by_every_member(app: Flask) -> None:
    """Contract, pull 1: one member's tree is no error for the others."""
    people = People(app)
    chain = [folder(f"f{n:04}", people.space, f"f{n - 1:04}" if n else None) for n in range(LEVELS)]
    people.a.push(folders=created(*chain))
    assert len(people.b.pull()["folders"]["created"]) == LEVELS


def test_what_is_below_a_circle_is_saved_beside_a_move(app: Flask) -> None:
    """Contract, Spaces 4: to look where a parent goes ends."""
    people = People(app)
    one, other = folder("one", None), folder("other", None, "one")
    away = folder("away", None)
    people.a.push(folders=created(one, other, away))
    people.a.push(folders=updated(edited(one, folder_id="other")))
    people.a.push(
        folders={
            "created": [folder("new", None, "one")],
            "updated": [edited(away, space_id=people.space)],
            "deleted": [],
        }
    )
    found = living(people.a, "folders")
    assert (found["new"]["space_id"], found["away"]["space_id"]) == (None, people.space)


def test_what_moves_along_says_its_new_space_to_who_moved_it(app: Flask) -> None:
    """Contract, push 7: the server has altered it."""
    people = People(app)
    top, below = folder("top", None), folder("below", None, "top")
    people.a.push(folders=created(top, below))
    people.a.pull()
    moved = edited(top, space_id=people.space)
    assert people.a.push(folders=updated(moved)) is None
    told = {found["id"]: found["space_id"] for found in people.a.pull()["folders"]["updated"]}
    assert told["below"] == people.space


def test_a_reference_that_stays_behind_is_cleared(app: Flask) -> None:
    """Contract, push 4 and Spaces 4: the label is the account's own."""
    people = People(app)
    home, label = record("home", space_id=None), record("red", space_id=None)
    task = record("paint", project_id="home", label_id="red")
    people.a.push(projects=created(home), labels=created(label), tasks=created(task))
    people.a.push(projects=updated(edited(home, space_id=people.space)))
    assert living(people.a, "tasks")["paint"]["label_id"] is None
    assert set(living(people.b, "tasks")) == {"paint"}


def test_a_record_of_two_parents_moves_with_the_first(app: Flask) -> None:
    """Contract, Spaces 4: whatever the other one is, nothing is stuck."""
    people = People(app)
    homes = [record(name, space_id=None) for name in ("home", "other")]
    tasks = [record(f"in-{home['id']}", project_id=home["id"], label_id=None) for home in homes]
    link = record("link", from_id="in-home", to_id="in-other")
    people.a.push(projects=created(*homes), tasks=created(*tasks), links=created(link))
    people.a.push(projects=updated(edited(homes[0], space_id=people.space)))
    assert set(living(people.b, "links")) == {"link"}
    assert set(living(people.a, "links")) == {"link"}
