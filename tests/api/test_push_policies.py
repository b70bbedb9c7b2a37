"""Contract, "Push": the policy `reject` (3), partial pushes (6), fast-forward (7)."""

from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import Account, bare, created, deleted, edited, project, task, updated


@pytest.fixture
def rejecting(account: Account, settings_of: Any) -> Account:
    settings_of(SYNC_CONFLICT_POLICY="reject")
    return account


def refused(answer: Any, code: str, status: int = 409) -> Any:
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    return answer.json["errors"]


# 3: reject


def test_reject_lists_every_conflict_and_stores_nothing(rejecting: Account) -> None:
    """Contract push 3, `reject`."""
    phone, tablet = rejecting.first, rejecting.device()
    one, two, three = project(), project(), project()
    phone.push(projects=created(one, two, three))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(one, name="T"), edited(two, name="T")))
    fresh = project()
    edits = [edited(record, description="P") for record in (one, two, three)]
    answer = phone.ask_push({"projects": {"created": [fresh], "updated": edits}})
    assert refused(answer, "sync_conflict") == {"projects": [one["id"], two["id"]]}
    records = tablet.records("projects")
    assert set(records) == {one["id"], two["id"], three["id"]}
    assert records[three["id"]] == bare(three)
    phone.pull()
    assert phone.push(projects={"created": [fresh], "updated": edits}) is not None


def test_reject_takes_what_is_the_same_and_what_is_ones_own(rejecting: Account) -> None:
    """Contract push 3: it must be another device's change, and differ."""
    phone, tablet = rejecting.first, rejecting.device()
    home = project()
    phone.push(projects=created(home))
    phone.pull(), tablet.pull()
    same = edited(home, name="Same")
    tablet.push(projects=updated(same))
    assert phone.ask_push({"projects": updated(same)}).status_code == 200
    tablet.push(projects=updated(edited(same, name="Again")))


def test_reject_refuses_the_deletion_of_what_another_device_edited(rejecting: Account) -> None:
    """Contract push 3."""
    phone, tablet = rejecting.first, rejecting.device()
    home = project()
    phone.push(projects=created(home))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(home, name="T")))
    answer = phone.ask_push({"projects": deleted(home["id"])})
    assert refused(answer, "sync_conflict") == {"projects": [home["id"]]}
    phone.pull()
    phone.push(projects=deleted(home["id"]))
    assert tablet.pull()["projects"] == deleted(home["id"])


def test_reject_refuses_an_edit_of_what_was_deleted_since(rejecting: Account) -> None:
    """Contract push 3: after the pull it is ignored, and the deletion told again."""
    phone, tablet = rejecting.first, rejecting.device()
    home = project()
    phone.push(projects=created(home))
    phone.pull(), tablet.pull()
    tablet.push(projects=deleted(home["id"]))
    edit = {"projects": updated(edited(home, name="P"))}
    assert refused(phone.ask_push(edit), "sync_conflict") == {"projects": [home["id"]]}
    assert phone.pull()["projects"] == deleted(home["id"])
    for _ in range(2):
        assert phone.ask_push(edit).json == {"timestamp": None}
    assert phone.pull()["projects"] == deleted(home["id"])
    assert tablet.records("projects") == {}


# 6: partial pushes


@pytest.mark.parametrize("form", ["body", "query"])
def test_a_partial_push_stores_what_it_can(account: Account, form: str) -> None:
    """Contract push 6: every kind of 422."""
    phone = account.first
    home, long = project(), project(name="x" * 256)
    good, orphan, child = task(home["id"]), task("nobody"), task(long["id"])
    changes = {
        "projects": created(home, long),
        "tasks": {**created(good, orphan, child, {"id": "bad id"}), "deleted": ["bad/id"]},
        "drafts": {**created({"id": "d1"}), "deleted": ["d2"]},
    }
    if form == "body":
        answer = phone.ask_push(changes, allowPartial=True)
    else:
        path = "/sync/push?last_pulled_at=null&partial=1"
        answer = phone.call("POST", path, json=changes)
    assert answer.status_code == 200, answer.text
    assert answer.json["timestamp"] is None
    rejected = answer.json["experimentalRejectedIds"]
    assert {table: sorted(ids) for table, ids in rejected.items()} == {
        "projects": [long["id"]],
        "tasks": sorted([orphan["id"], child["id"], "bad id", "bad/id"]),
        "drafts": ["d1", "d2"],
    }
    assert answer.json["rejected"] == {
        "projects": {long["id"]: "validation_failed"},
        "tasks": {
            orphan["id"]: "unknown_parent",
            child["id"]: "unknown_parent",
            "bad id": "validation_failed",
            "bad/id": "validation_failed",
        },
        "drafts": {"d1": "unknown_table", "d2": "unknown_table"},
    }
    errors = answer.json["errors"]["changes"]
    assert list(errors["projects"]["created"]) == ["1"]
    assert sorted(errors["tasks"]["created"]) == ["1", "2", "3"]
    assert list(phone.records("projects")) == [home["id"]]
    assert list(phone.records("tasks")) == [good["id"]]


def test_a_partial_push_keeps_conflicts_back(account: Account) -> None:
    """Contract push 6: 409 alike, under last_write_wins."""
    phone, tablet = account.first, account.device()
    home, other = project(), project()
    phone.push(projects=created(home))
    tablet.pull()
    tablet.push(projects=updated(edited(home, name="T")))
    changes = {"projects": created(home | {"name": "P"}, other)}
    answer = phone.ask_push(changes, allowPartial=True)
    assert answer.json["experimentalRejectedIds"] == {"projects": [home["id"]]}
    assert answer.json["rejected"] == {"projects": {home["id"]: "sync_conflict"}}
    assert phone.records("projects")[home["id"]]["name"] == "T"
    assert other["id"] in phone.records("projects")


def test_a_partial_push_keeps_conflicts_back_when_rejecting(rejecting: Account) -> None:
    """Contract push 6, under `reject`, deletions too."""
    phone, tablet = rejecting.first, rejecting.device()
    one, two, three = project(), project(), project()
    phone.push(projects=created(one, two, three))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(one, name="T"), edited(two, name="T")))
    changes = {"updated": [edited(one, name="P")], "deleted": [two["id"], three["id"]]}
    answer = phone.ask_push({"projects": changes}, allowPartial=True)
    assert answer.json["experimentalRejectedIds"] == {"projects": [one["id"], two["id"]]}
    codes = {one["id"]: "sync_conflict", two["id"]: "sync_conflict"}
    assert answer.json["rejected"] == {"projects": codes}
    assert set(phone.records("projects")) == {one["id"], two["id"]}


def test_a_record_that_is_refused_twice_has_the_gravest_reason(account: Account) -> None:
    """Contract push 6 and Errors 4, whichever was found first."""
    phone, home, long = account.first, project(), task("nobody", title="x" * 256)
    twice = {
        "created": [task("nobody", id="t")],
        "updated": [task("nobody", id="t", title="x" * 256)],
    }
    for tasks, record_id in ((created(long), long["id"]), (twice, "t")):
        answer = phone.ask_push({"projects": created(home), "tasks": tasks}, allowPartial=True)
        assert answer.json["rejected"] == {"tasks": {record_id: "validation_failed"}}


def test_a_partial_push_without_problems_rejects_nothing(account: Account) -> None:
    answer = account.first.ask_push({"projects": created(project())}, allowPartial=True)
    assert answer.json["experimentalRejectedIds"] == answer.json["rejected"] == {}
    assert answer.json["errors"] == {}
    assert answer.json["timestamp"] is not None


@NO_DATABASE
@pytest.mark.parametrize("wrong", ["yes", 7, []])
def test_a_wrong_partial_flag_is_named(account: Account, wrong: Any) -> None:
    errors = refused(
        account.first.ask_push({}, allowPartial=wrong), "validation_failed", status=422
    )
    assert list(errors) == ["allowPartial"]


def test_a_partial_push_stores_the_good_tables_beside_a_shapeless_one(account: Account) -> None:
    """Contract push 6: every kind of 422 alike."""
    home = project()
    changes = {"projects": created(home), "tasks": {"created": "x", "deleted": [5]}}
    answer = account.first.ask_push(changes, allowPartial=True)
    assert answer.status_code == 200, answer.text
    assert answer.json["experimentalRejectedIds"] == {}
    assert "tasks" in answer.json["errors"]["changes"]
    assert list(account.first.records("projects")) == [home["id"]]


# the same, where only one device exists or the other one is not in the way


def test_what_a_device_did_itself_is_no_conflict(rejecting: Account) -> None:
    """Contract push 3: another *device*; whatever the same one repeats, late or without a pull."""
    phone = rejecting.first
    home, child = project(), task("x")
    child["project_id"] = home["id"]
    start = phone.pulled_at
    phone.push(projects=created(home), tasks=created(child))
    phone.push(projects=deleted(home["id"]))
    phone.push(tasks=updated(edited(child, title="again")))
    phone.push(projects=created(home), tasks=created(child))
    other = project()
    phone.push(projects=created(other))
    phone.pull()
    phone.push(projects=updated(edited(other, name="new")))
    phone.pulled_at = start
    phone.push(projects=created(other))


def test_a_deletion_told_again_is_no_new_deletion(rejecting: Account) -> None:
    """Contract push 3: the record was deleted before `lastPulledAt`, and is told to both."""
    phone, tablet, third = rejecting.first, rejecting.device(), rejecting.device()
    home = project()
    phone.push(projects=created(home))
    third.pull()
    third.push(projects=deleted(home["id"]))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(home, name="T")))
    phone.push(projects=updated(edited(home, name="P")))
    assert phone.pull()["projects"] == deleted(home["id"])
    assert tablet.pull()["projects"] == deleted(home["id"])


def test_a_conflict_does_not_hide_what_is_invalid(account: Account) -> None:
    """Contract, Errors 4: 409 only where there is no 422, and each place by its own reason."""
    phone, tablet = account.first, account.device()
    home, other = project(), project()
    phone.push(projects=created(home, other))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(home, name="T"), edited(other, name="T")))
    long = home | {"name": "x" * 256}
    answer = phone.ask_push({"projects": created(long, other | {"name": "P"})})
    errors = refused(answer, "validation_failed", status=422)
    assert errors["changes"] == {
        "projects": {"created": {"0": {"name": ["Longer than maximum length 255."]}}}
    }


def test_a_child_of_a_refused_parent_is_not_accused(account: Account) -> None:
    """Contract, Errors 4: its parent is there, in the same push."""
    long = project(name="x" * 256)
    changes = {"projects": created(long), "tasks": created(task(long["id"]))}
    errors = refused(account.first.ask_push(changes), "validation_failed", status=422)
    assert list(errors["changes"]) == ["projects"]


# 7: the answer's timestamp


def test_a_device_that_is_alone_is_up_to_date_after_its_push(account: Account) -> None:
    """Contract push 7: it never downloads its own changes."""
    phone = account.first
    phone.pull()
    home = project()
    timestamp = phone.push(projects=created(home), tasks=created(task(home["id"])))
    assert timestamp is not None
    assert timestamp == phone.ask_pull(None).json["timestamp"]
    phone.pulled_at = timestamp
    assert phone.pull()["projects"] == created()
    again = phone.push(projects=updated(edited(home, name="House")))
    assert again is not None
    assert again > timestamp


def test_two_pushes_without_a_pull_between_are_up_to_date(account: Account) -> None:
    """Contract push 7: nobody *else* changed anything."""
    phone = account.first
    phone.pull()
    home = project()
    phone.push(projects=created(home))
    assert phone.push(projects=updated(edited(home, name="House"))) is not None


def test_no_timestamp_when_another_device_changed_something(account: Account) -> None:
    """Contract push 7."""
    phone, tablet = account.first, account.device()
    phone.pull(), tablet.pull()
    tablet.push(projects=created(project()))
    assert phone.push(projects=created(project())) is None
    assert phone.push() is None
    phone.pull()
    assert phone.push() == phone.pulled_at
    assert phone.push(projects=created(project())) is not None


@pytest.mark.parametrize(
    "broken",
    [{"name": None}, {"description": 5}, {"created_at": "x"}, {"colour": "red"}],
)
def test_no_timestamp_when_something_was_put_right(account: Account, broken: Any) -> None:
    """Contract push 7: not stored as sent; it comes with the next pull, even after a retry."""
    phone = account.first
    phone.pull()
    home = project() | broken
    assert phone.push(projects=created(home)) is None
    assert phone.push(projects=created(home)) is None
    assert phone.push(projects=created(project())) is None
    assert [r["id"] for r in phone.pull()["projects"]["updated"]][:1] != []


def test_no_timestamp_when_descendants_were_deleted(account: Account) -> None:
    """Contract push 7 with 4: the device must be told of them."""
    phone = account.first
    home = project()
    child = task(home["id"])
    phone.push(projects=created(home), tasks=created(child))
    phone.pull()
    assert phone.push(projects=deleted(home["id"])) is None
    assert phone.pull()["tasks"] == deleted(child["id"])


def test_a_device_that_deletes_descendants_itself_is_up_to_date(account: Account) -> None:
    """Contract push 7: as the client's `experimentalMarkAsDeleted` of a tree sends it."""
    phone = account.first
    home = project()
    child = task(home["id"])
    phone.push(projects=created(home), tasks=created(child))
    phone.pull()
    assert phone.push(projects=deleted(home["id"]), tasks=deleted(child["id"])) is not None


def test_a_push_that_changes_nothing_moves_no_clock(account: Account) -> None:
    """Contract push 1 and 7."""
    phone = account.first
    home = project()
    timestamp = phone.push(projects=created(home))
    assert phone.push(projects=created(home)) == timestamp
    assert phone.push(projects=updated(edited(home, name=home["name"]))) == timestamp
    assert phone.push(projects=deleted("nobody")) == timestamp
    assert phone.push() == timestamp


def test_who_edits_what_it_has_deleted_is_told_the_deletion(account: Account) -> None:
    """Contract push 7: also when it pushes again before it pulls, and again after a lost answer."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    phone.pull()
    phone.push(projects=deleted(home["id"]))
    edit = updated(edited(home, name="written by a copy of its database"))
    assert phone.push(projects=edit) is None
    other = account.device()
    other.pull()
    assert phone.push(projects=edit) is None
    assert other.ask_pull(other.pulled_at).json["timestamp"] == other.pulled_at
    assert phone.push(projects=created(project())) is None
    assert phone.pull()["projects"]["deleted"] == [home["id"]]
