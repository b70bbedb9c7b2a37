"""Run inside a copy of the project whose models clear and keep references to deleted records.

Not collected by itself; `test_own_tables.py` runs it there, on each database.
"""

from typing import Any

import pytest
from devices import Account, bare, created, deleted, edited, new_id, project, task, updated
from flask import Flask


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


def record(**values: Any) -> dict[str, Any]:
    base = {"id": new_id(), "text": "red", "created_at": 1, "updated_at": 2}
    return base | {"_status": "created", "_changed": ""} | values


def label(**values: Any) -> dict[str, Any]:
    return record(**{"project_id": None, "like_id": None, "under_id": None} | values)


def memo(project_id: str, **values: Any) -> dict[str, Any]:
    return record(**{"project_id": project_id, "task_id": None, "label_id": None} | values)


def synced(account: Account, **tables: Any) -> tuple[Any, Any]:
    """Two phones that hold the same."""
    phone, tablet = account.first, account.device()
    phone.push(**tables)
    phone.pull(), tablet.pull()
    return phone, tablet


def test_a_cleared_reference_is_told_to_every_device(account: Account) -> None:
    """Contract push 4: the deleting one, too, which may go on at no clock before it has pulled."""
    home = project()
    red = label(project_id=home["id"])
    phone, tablet = synced(account, projects=created(home), labels=created(red))
    assert phone.push(projects=deleted(home["id"])) is None
    for device in (phone, tablet):
        told = device.pull()
        assert told["labels"] == updated(bare(red | {"project_id": None}))
        assert told["projects"]["deleted"] == [home["id"]]
    assert phone.pull()["labels"] == tablet.pull()["labels"] == created()
    assert phone.records("labels") == {red["id"]: bare(red | {"project_id": None})}


def test_an_edit_on_another_device_is_kept_beside_it(account: Account) -> None:
    """Contract push 3 and 4: what the other names in `_changed` is stored, the reference is not."""
    home = project()
    red, blue = label(project_id=home["id"]), label(project_id=home["id"])
    phone, tablet = synced(account, projects=created(home), labels=created(red, blue))
    phone.push(projects=deleted(home["id"]))
    new = label(project_id=home["id"])
    moved = edited(blue, project_id=(other := project())["id"])
    changes = {"created": [new], "updated": [edited(red, text="mine"), moved]}
    assert tablet.push(projects=created(other), labels=changes) is None
    wanted = {
        red["id"]: bare(red | {"text": "mine", "project_id": None}),
        blue["id"]: bare(blue | {"project_id": other["id"]}),
        new["id"]: bare(new | {"project_id": None}),
    }
    assert {r["id"]: r for r in tablet.pull()["labels"]["updated"]} == wanted
    assert phone.records("labels") == wanted


def test_a_repeated_deletion_hides_no_edit_of_another_device(account: Account) -> None:
    """Contract push 3: an answer is lost; what the tablet wrote before is still another's."""
    home = project()
    red = label(project_id=home["id"])
    phone, tablet = synced(account, projects=created(home), labels=created(red))
    tablet.push(labels=updated(edited(red, text="theirs")))
    phone.push(projects=deleted(home["id"]))
    again = edited(red, created_at=7)
    phone.push(projects=deleted(home["id"]), labels=updated(again))
    wanted = bare(red | {"text": "theirs", "project_id": None, "created_at": 7})
    assert phone.pull()["labels"]["updated"] == [wanted]


def test_naming_a_deleted_record_again_is_undone_for_a_device_that_knew(account: Account) -> None:
    """Contract push 4: else it would hold the reference for ever."""
    home = project()
    red = label(project_id=home["id"])
    phone, _ = synced(account, projects=created(home), labels=created(red))
    phone.push(projects=deleted(home["id"]))
    phone.pull()
    assert phone.push(labels=updated(edited(red, project_id=home["id"]))) is None
    assert phone.pull()["labels"] == updated(bare(red | {"project_id": None}))


def test_references_are_cleared_below_a_cascade_and_in_a_tree(account: Account) -> None:
    """Contract push 4: tasks go with their project, what names them stays; so in one table."""
    home, other = project(), project()
    paint = task(home["id"])
    root = label()
    below, like = label(under_id=root["id"]), label(like_id=root["id"])
    far = label(like_id=below["id"])
    kept = memo(other["id"], task_id=paint["id"])
    gone = memo(other["id"], task_id=paint["id"], label_id=below["id"])
    phone, tablet = synced(
        account,
        projects=created(home, other),
        tasks=created(paint),
        labels=created(root, below, like, far),
        memos=created(kept, gone),
    )
    assert phone.push(projects=deleted(home["id"]), labels=deleted(root["id"])) is None
    for device in (phone, tablet):
        told = device.pull()
        assert sorted(told["labels"]["deleted"]) == sorted([root["id"], below["id"]])
        cleared = {r["id"]: r for r in told["labels"]["updated"]}
        assert cleared == {r["id"]: bare(r | {"like_id": None}) for r in (like, far)}
        assert told["memos"]["updated"] == [bare(kept | {"task_id": None})]
        assert told["memos"]["deleted"] == [gone["id"]]


def test_one_push_clears_what_it_brings_itself(account: Account) -> None:
    """Contract push 4: made and deleted offline, in another table and in the same one."""
    lost = label(project_id="unborn")
    root = label()
    like = label(like_id=root["id"])
    phone = account.first
    phone.push(labels=created(root))
    changes = {"created": [lost, like], "updated": [], "deleted": [root["id"]]}
    assert phone.push(projects=deleted("unborn"), labels=changes) is None
    wanted = [bare(lost | {"project_id": None}), bare(like | {"like_id": None})]
    assert phone.records("labels") == {r["id"]: r for r in wanted}


def test_a_kept_reference_names_what_is_gone(account: Account) -> None:
    """Contract push 4: nothing is told of it, and no push fails for it, after a purge either."""
    home = project()
    note = memo(home["id"])
    phone, tablet = synced(account, projects=created(home), memos=created(note))
    assert phone.push(projects=deleted(home["id"])) is not None
    assert tablet.pull()["memos"] == created()
    late = memo(home["id"])
    assert tablet.push(memos=created(late, memo("never-here"))) is not None
    assert {note["id"], late["id"]} < tablet.records("memos").keys()
    assert all(r["project_id"] for r in tablet.records("memos").values())


def test_a_reference_to_nothing_is_still_refused(account: Account) -> None:
    """Contract push 4 and 6: where it would be cleared, and where it is needed; in parts, too."""
    wrong, right = label(project_id="nowhere"), label()
    answer = account.first.ask_push({"labels": created(wrong, right)})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_parent")
    assert account.first.ask_push({"memos": created(memo(""))}).json["code"] == "unknown_parent"
    answer = account.first.ask_push({"labels": created(wrong, right)}, allowPartial=True)
    assert answer.json["experimentalRejectedIds"] == {"labels": [wrong["id"]]}
    assert list(account.first.records("labels")) == [right["id"]]
