"""Contract, "Push": rules 1 to 5 and 11 under last_write_wins, on every backend."""

from typing import Any

import pytest
from conftest import NO_DATABASE, statements
from devices import (
    NOTHING,
    Account,
    Device,
    bare,
    created,
    deleted,
    edited,
    new_id,
    project,
    task,
    updated,
)
from flask import Flask


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"]


def two_devices(account: Account, *records: dict[str, Any]) -> tuple[Device, Device]:
    """A phone that made these projects and a tablet that has them."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(*records))
    phone.pull(), tablet.pull()
    return phone, tablet


# 1: all or nothing, and a repetition


def test_nothing_of_a_bad_push_is_stored(account: Account) -> None:
    """Contract push 1."""
    home = project()
    bad = task(home["id"], title="x" * 256)
    account.first.pull()
    answer = account.first.ask_push({"projects": created(home), "tasks": created(bad)})
    assert failure(answer) == (422, "validation_failed")
    assert account.first.records("projects") == {}
    assert account.first.ask_pull(None).json["timestamp"] == account.first.pulled_at


def test_a_repeated_push_changes_nothing_and_succeeds(account: Account) -> None:
    """Contract push 1: the answer was lost."""
    phone, tablet = account.first, account.device()
    home, gone = project(), project()
    phone.push(projects=created(gone))
    phone.pull()
    changes = {"projects": {**created(home), "deleted": [gone["id"]]}}
    changes["tasks"] = created(task(home["id"]))
    first = phone.ask_push(changes).json
    tablet.pull()
    assert phone.ask_push(changes).json == first
    assert tablet.pull() == {"projects": NOTHING, "tasks": NOTHING}


def test_a_repeated_merge_does_not_undo_the_other_device(account: Account) -> None:
    """Contract push 1 with 3: the second time the last change is the device's own."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    edit = updated(edited(home, description="Phone's"))
    phone.push(projects=edit)
    phone.push(projects=edit)
    wanted = bare(home) | {"name": "Tablet's", "description": "Phone's"}
    assert phone.records("projects")[home["id"]] == wanted


# 2: created, updated and deleted are forgiving


def test_created_with_a_known_id_updates_it(account: Account) -> None:
    """Contract push 2."""
    home = project()
    account.first.push(projects=created(home))
    account.first.push(projects=created(home | {"name": "House"}))
    assert account.first.records("projects")[home["id"]]["name"] == "House"


def test_updated_with_an_unknown_id_creates_it(account: Account) -> None:
    """Contract push 2."""
    home = project()
    account.first.push(projects=updated(edited(home, name="House")))
    assert account.device().pull()["projects"] == created(bare(home) | {"name": "House"})


def test_deleted_with_an_unknown_id_is_ignored(account: Account) -> None:
    """Contract push 2."""
    assert account.first.push(projects=deleted(new_id())) is not None
    assert account.device().pull()["projects"] == NOTHING


def test_parents_are_stored_before_children_whatever_the_order(account: Account) -> None:
    """Contract push 2."""
    home = project()
    changes = {"tasks": created(task(home["id"])), "projects": created(home)}
    assert account.first.ask_push(changes).status_code == 200
    assert len(account.first.records("tasks")) == 1


def test_a_record_that_is_created_and_deleted_in_one_push_is_gone(account: Account) -> None:
    home = project()
    account.first.push(projects={"created": [home], "deleted": [home["id"]]})
    assert account.first.records("projects") == {}


# 3: conflicts


def test_different_columns_edited_on_two_devices_both_survive(account: Account) -> None:
    """Contract push 3."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    assert phone.push(projects=updated(edited(home, description="Phone's"))) is None
    wanted = bare(home) | {"name": "Tablet's", "description": "Phone's"}
    assert phone.pull()["projects"] == updated(wanted)
    assert tablet.pull()["projects"] == updated(wanted)


def test_the_same_column_edited_on_two_devices_the_last_wins(account: Account) -> None:
    """Contract push 3."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    phone.push(projects=updated(edited(home, name="Phone's")))
    assert tablet.pull()["projects"] == updated(bare(home) | {"name": "Phone's"})


def test_a_record_without_changed_is_written_whole(account: Account) -> None:
    """Contract push 3."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    phone.push(projects=updated(bare(home) | {"description": "Phone's"}))
    assert phone.records("projects")[home["id"]] == bare(home) | {"description": "Phone's"}


@pytest.mark.parametrize("changed", ["", "nonsense", "id", ",", 7, None, ["name"]])
def test_an_empty_changed_in_conflict_cannot_be_merged(account: Account, changed: Any) -> None:
    """Contract push 3: 409, and the client's next pull merges it."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    stale = home | {"description": "Phone's", "_status": "created", "_changed": changed}
    answer = phone.ask_push({"projects": created(stale, project())})
    assert failure(answer) == (409, "sync_conflict")
    assert answer.json["errors"] == {"projects": [home["id"]]}
    assert phone.records("projects") == {home["id"]: bare(home) | {"name": "Tablet's"}}
    phone.pull()
    assert phone.ask_push({"projects": created(stale)}).status_code == 200


def test_a_creation_sent_again_is_no_conflict_when_nobody_else_edited(account: Account) -> None:
    """Contract push 3: another *device* must have changed it."""
    home = project()
    account.first.push(projects=created(home))
    account.device().push(projects=created(project()))
    account.first.push(projects=created(home | {"name": "House"}))
    assert account.first.records("projects")[home["id"]]["name"] == "House"


def test_a_deletion_wins_over_an_edit(account: Account) -> None:
    """Contract push 3: and the editing device is told."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=deleted(home["id"]))
    assert phone.push(projects=updated(edited(home, name="Phone's"))) is None
    assert phone.pull()["projects"] == deleted(home["id"])
    assert phone.records("projects") == {}


def test_a_deletion_wins_over_an_earlier_edit(account: Account) -> None:
    """Contract push 3: whichever came first."""
    home = project()
    phone, tablet = two_devices(account, home)
    phone.push(projects=updated(edited(home, name="Phone's")))
    tablet.push(projects=deleted(home["id"]))
    assert phone.pull()["projects"] == deleted(home["id"])


def test_an_edit_of_a_record_long_deleted_is_told_the_deletion_again(account: Account) -> None:
    """Contract push 3: a device that has missed it for some reason is told once more."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=deleted(home["id"]))
    phone.pull()
    edit = updated(edited(home, name="Phone's"))
    phone.push(projects=edit)
    before = phone.ask_pull(phone.pulled_at).json["timestamp"]
    phone.push(projects=edit)
    assert phone.pull()["projects"] == deleted(home["id"])
    assert phone.pulled_at == before
    assert phone.pull()["projects"] == NOTHING


# 4: descendants


def test_deleting_a_record_deletes_its_descendants(account: Account) -> None:
    """Contract push 4."""
    home, other = project(), project()
    phone, tablet = two_devices(account, home, other)
    mine, kept = task(home["id"]), task(other["id"])
    tablet.push(tasks=created(mine, kept))
    assert phone.push(projects=deleted(home["id"])) is None
    assert phone.pull()["tasks"]["deleted"] == [mine["id"]]
    assert list(tablet.records("tasks")) == [kept["id"]]
    assert tablet.pull()["tasks"]["deleted"] == [mine["id"]]


def test_a_child_under_a_deleted_parent_is_stored_as_deleted(account: Account) -> None:
    """Contract push 4: no orphan, and its device is told."""
    home = project()
    phone, tablet = two_devices(account, home)
    tablet.push(projects=deleted(home["id"]))
    child = task(home["id"])
    assert phone.push(tasks=created(child)) is None
    assert phone.pull()["tasks"] == deleted(child["id"])
    assert tablet.pull()["tasks"] == deleted(child["id"])


def test_a_child_moved_under_a_deleted_parent_is_deleted(account: Account) -> None:
    """Contract push 4."""
    home, gone = project(), project()
    phone, tablet = two_devices(account, home, gone)
    child = task(home["id"])
    phone.push(tasks=created(child))
    tablet.push(projects=deleted(gone["id"]))
    phone.push(tasks=updated(edited(child, project_id=gone["id"])))
    assert phone.pull()["tasks"] == deleted(child["id"])


def test_a_child_pushed_together_with_its_parents_deletion_is_deleted(account: Account) -> None:
    """Contract push 4."""
    home = project()
    phone, tablet = two_devices(account, home)
    child = task(home["id"])
    phone.push(projects=deleted(home["id"]), tasks=created(child))
    assert tablet.pull()["tasks"] == deleted(child["id"])


def test_a_parent_made_and_deleted_offline_takes_its_child_along(account: Account) -> None:
    """Contract push 4: the server never had the parent; the phone must not be stuck for it."""
    phone, tablet = account.first, account.device()
    phone.pull(), tablet.pull()
    child = task("unborn")
    changes = {"projects": deleted("unborn", "nobodys"), "tasks": created(child)}
    for _ in range(2):
        assert phone.ask_push(changes).json == {"timestamp": None}
    assert phone.pull() == {"projects": deleted("unborn"), "tasks": deleted(child["id"])}
    late = task("unborn")
    phone.push(tasks=created(late))
    assert phone.pull()["tasks"] == deleted(late["id"])
    assert tablet.records("projects") == tablet.records("tasks") == {}


@pytest.mark.parametrize("parent", ["nobody", "", None, 7, "ü", "x" * 300])
def test_a_child_without_its_parent_is_refused(account: Account, parent: Any) -> None:
    """Contract push 4."""
    answer = account.first.ask_push({"tasks": created(task(parent))})
    assert failure(answer) == (422, "unknown_parent")
    assert list(answer.json["errors"]["changes"]["tasks"]["created"]["0"]) == ["project_id"]
    assert account.first.records("tasks") == {}


def test_another_accounts_record_is_no_parent(account: Account) -> None:
    """Contract push 4 and 11."""
    home = project()
    Account(account.app).first.push(projects=created(home))
    answer = account.first.ask_push({"tasks": created(task(home["id"]))})
    assert failure(answer) == (422, "unknown_parent")


# 5: what can be put right is put right


@pytest.mark.parametrize(
    ("column", "sent", "stored"),
    [
        ("title", None, ""),
        ("title", 5, ""),
        ("title", True, ""),
        ("title", ["x"], ""),
        ("description", 5, None),
        ("description", {}, None),
        ("is_completed", 1, True),
        ("is_completed", 0, False),
        ("is_completed", 1.0, True),
        ("is_completed", 2, False),
        ("is_completed", "true", False),
        ("is_completed", None, False),
        ("created_at", None, 0),
        ("created_at", "1700000000000", 0),
        ("created_at", True, 0),
        ("created_at", 12.75, 12.75),
        ("updated_at", 1e300, 1e300),
        ("updated_at", 1234567890123456800, 1234567890123456800),
    ],
)
def test_a_wrong_type_becomes_the_columns_empty_value(
    account: Account, column: str, sent: Any, stored: Any
) -> None:
    """Contract push 5, by the client's own rules (`sanitizedRaw`)."""
    home = project()
    record = task(home["id"]) | {column: sent}
    account.first.push(projects=created(home), tasks=created(record))
    value = account.first.records("tasks")[record["id"]][column]
    assert value == stored
    assert type(value) is type(stored)


def test_every_text_is_kept_to_the_character(account: Account) -> None:
    """Contract push 5: nothing that SQL knows is changed, in what is new and in what is edited."""
    control = "".join(map(chr, range(1, 32)))
    texts = [
        "'",
        "\\",
        "\\'",
        "'; --",
        "%s %(x)s %%",
        '"`',
        "\\0\\n\\Z",
        control,
        "'" * 200,
        "\\" * 200,
    ]
    home = project()
    tasks = [task(home["id"], title=text, description=text * 100) for text in texts]
    account.first.push(projects=created(home), tasks=created(*tasks))
    held = account.first.records("tasks")
    assert [held[t["id"]] for t in tasks] == [bare(t) for t in tasks]
    swapped = [edited(t, title=text) for t, text in zip(tasks, reversed(texts), strict=True)]
    account.first.pull()
    account.first.push(tasks=updated(*swapped))
    held = account.first.records("tasks")
    assert [held[t["id"]] for t in tasks] == [bare(t) for t in swapped]


def test_half_an_emoji_is_put_right(account: Account) -> None:
    """Contract push 5: JavaScript cuts strings between surrogates; no sync may fail for it."""
    body = '{"changes":{"projects":{"created":[{"id":"x","name":"cut \\ud83d"}]}}}'
    answer = account.first.call("POST", "/sync/push", data=body, content_type="application/json")
    assert answer.status_code == 200, answer.text
    assert account.first.records("projects")["x"]["name"] == "cut \ufffd"


def test_unknown_columns_are_dropped_and_absent_ones_kept(account: Account) -> None:
    """Contract push 5: an older app does not know a column."""
    home = project(description="kept", colour="red", __proto__={}, user_id="x", is_deleted=True)
    account.first.push(projects=created(home))
    partial = {"id": home["id"], "name": "House", "_changed": "name", "_status": "updated"}
    account.first.push(projects=updated(partial))
    fresh = {"id": new_id()}
    account.first.push(projects=created(fresh))
    records = account.first.records("projects")
    assert records[home["id"]] == {
        "id": home["id"],
        "name": "House",
        "description": "kept",
        "created_at": 1,
        "updated_at": 2,
    }
    empty = {"name": "", "description": None, "created_at": 0, "updated_at": 0}
    assert records[fresh["id"]] == fresh | empty


@pytest.mark.parametrize(
    ("column", "value"),
    [("title", "x" * 256), ("description", "x" * 65_536), ("description", "ü" * 32_768)],
)
def test_what_cannot_be_kept_whole_is_refused_by_name(
    account: Account, column: str, value: str
) -> None:
    """Contract push 5: never cut, every such record named."""
    home = project()
    good, bad, worse = (task(home["id"]) for _ in range(3))
    changes = created(good, bad | {column: value}, worse | {column: value})
    answer = account.first.ask_push({"projects": created(home), "tasks": changes})
    assert failure(answer) == (422, "validation_failed")
    places = answer.json["errors"]["changes"]["tasks"]["created"]
    assert {index: list(columns) for index, columns in places.items()} == {
        "1": [column],
        "2": [column],
    }
    assert account.first.records("projects") == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [("title", "ü📷" * 127), ("description", "x" * 65_535), ("description", "📷" * 16_383)],
)
def test_what_just_fits_is_kept_whole(account: Account, column: str, value: str) -> None:
    """Contract push 5."""
    home = project()
    record = task(home["id"]) | {column: value}
    account.first.push(projects=created(home), tasks=created(record))
    assert account.first.records("tasks")[record["id"]][column] == value


@pytest.mark.parametrize("content", [{}, None, [], NOTHING, {"created": None}])
def test_an_unknown_table_without_changes_is_ignored(account: Account, content: Any) -> None:
    """Contract push 5."""
    assert account.first.ask_push({"drafts": content}).status_code == 200


@pytest.mark.parametrize("content", [created({"id": "x"}), deleted("x"), ["x"], "x"])
def test_an_unknown_table_with_changes_is_refused(account: Account, content: Any) -> None:
    """Contract push 5 and Errors 4: gravest first."""
    bad = project(name="x" * 256)
    answer = account.first.ask_push({"drafts": content, "projects": created(bad, project())})
    assert failure(answer) == (422, "unknown_table")
    assert sorted(answer.json["errors"]["changes"]) == ["drafts", "projects"]
    assert account.first.records("projects") == {}


def test_all_422_errors_come_in_one_answer_the_gravest_named(account: Account) -> None:
    """Contract, Errors 2 and 4."""
    long, orphan = project(name="x" * 256), task("nobody")
    answer = account.first.ask_push({"projects": created(long), "tasks": created(orphan)})
    assert failure(answer) == (422, "validation_failed")
    errors = answer.json["errors"]["changes"]
    assert list(errors["projects"]["created"]["0"]) == ["name"]
    assert list(errors["tasks"]["created"]["0"]) == ["project_id"]


@NO_DATABASE
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ([], "changes"),
        ("x", "changes"),
        (None, "changes"),
        ({"tasks": []}, "tasks"),
        ({"tasks": "x"}, "tasks"),
        ({"tasks": {"created": {}}}, "created"),
        ({"tasks": {"deleted": "x"}}, "deleted"),
        ({"tasks": {"created": ["x"]}}, "0"),
        ({"tasks": {"updated": [None]}}, "0"),
    ],
)
def test_a_body_of_the_wrong_shape_is_named(account: Account, changes: Any, place: str) -> None:
    answer = account.first.ask_push(changes)
    assert failure(answer) == (422, "validation_failed")
    assert f"'{place}'" in str(answer.json["errors"])


def test_a_wrong_shape_hides_nothing_else(account: Account) -> None:
    """Contract, Errors 4: all in one answer, the gravest named."""
    long = project(name="x" * 256)
    changes = {"drafts": created({"id": "d"}), "tasks": [], "projects": created(long)}
    answer = account.first.ask_push(changes)
    assert failure(answer) == (422, "unknown_table")
    assert sorted(answer.json["errors"]["changes"]) == ["drafts", "projects", "tasks"]


def test_a_number_with_too_many_digits_names_its_column(account: Account) -> None:
    """Contract push 5."""
    answer = account.first.ask_push({"projects": created(project(created_at=2**53 + 1))})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]["changes"]["projects"]["created"]["0"]) == ["created_at"]


# 8: ids


@NO_DATABASE
@pytest.mark.parametrize("bad", ["", "a b", "a" * 37, "ü", "a/b", "a'b", "a\n", None, 7, {}])
def test_an_id_of_the_wrong_form_is_refused(account: Account, bad: Any) -> None:
    """Contract push 11."""
    answer = account.first.ask_push({"projects": created(project(), project(id=bad))})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]["changes"]["projects"]["created"]["1"]) == ["id"]
    answer = account.first.ask_push({"projects": deleted(bad)})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]["changes"]["projects"]["deleted"]) == ["0"]
    assert account.first.records("projects") == {}


def test_ids_differ_by_case_and_may_be_long(account: Account) -> None:
    """Contract push 11."""
    ids = ["abc", "ABC", "a.b_c-d", "a" * 36, "0"]
    account.first.push(projects=created(*(project(id=i) for i in ids)))
    assert sorted(account.first.records("projects")) == sorted(ids)


# forms of the request


def test_the_changes_alone_may_be_the_body(account: Account) -> None:
    """Contract, Push: the snippet in WatermelonDB's docs, with no content type."""
    home = project()
    body = {"projects": created(home), "tasks": NOTHING}
    phone = account.first
    assert phone.call("POST", "/sync/push?last_pulled_at=null", json=body).status_code == 200
    assert list(phone.records("projects")) == [home["id"]]
    phone.pull()
    path = f"/sync/push?last_pulled_at={phone.pulled_at}"
    gone = {"projects": deleted(home["id"])}
    answer = phone.call("POST", path, json=gone, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 200
    assert phone.records("projects") == {}


def test_a_push_without_changes_is_told_so(account: Account) -> None:
    answer = account.first.call("POST", "/sync/push", json={"tasks": created(task("x"))})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["changes"]


# in sets


def test_the_number_of_statements_does_not_grow_with_the_records(account: Account) -> None:
    """No query per record: a push and a pull of 1, of 500 and of 1,000. What is more than a few
    news is asked for in another way, after one look (sync/sql/delta_pull)."""
    counts = []
    for size in (1, 500, 1_000):
        phone = Account(account.app).first
        home = project()
        phone.push(projects=created(home))
        phone.pull()
        tasks = [task(home["id"]) for _ in range(size)]
        with statements(account.app) as seen:
            phone.push(tasks=created(*tasks))
            phone.push(tasks=updated(*(edited(t, title="x") for t in tasks)))
            phone.pull()
            phone.push(tasks=deleted(*(t["id"] for t in tasks)))
            phone.ask_pull(None)
        counts.append(len(seen))
    assert counts[1] == counts[2] <= counts[0] + 2 < 60


def test_ten_thousand_tasks_are_pushed_and_pulled(account: Account) -> None:
    """The proof of size, with a count of statements that does not depend on it."""
    home = project()
    tasks = [task(home["id"], id=f"t{i}", title=f"Task {i} 📷") for i in range(10_000)]
    with statements(account.app) as seen:
        account.first.push(projects=created(home), tasks=created(*tasks))
        changes = account.first.pull()
    assert len(seen) < 30
    assert sorted(changes["tasks"]["created"], key=lambda t: t["id"]) == sorted(
        map(bare, tasks), key=lambda t: t["id"]
    )


@pytest.mark.parametrize("more", [{}, {"allowPartial": True}])
def test_a_push_is_bounded(account: Account, settings_of: Any, more: dict[str, bool]) -> None:
    """Contract push 1 and Requests 3: 413, taken whole or refused, never half."""
    settings_of(MAX_PUSH_RECORDS=5)
    phone, home = account.first, project()
    tasks = [task(home["id"]) for _ in range(3)]
    lists = {"projects": created(home), "tasks": created(*tasks) | {"deleted": ["old"]}}
    too_many = {**lists, "nothing": {"deleted": ["one"]}}
    answer = phone.ask_push(too_many, **more)
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")
    assert phone.records("projects") == phone.records("tasks") == {}
    assert phone.ask_push(lists, **more).status_code == 200
    assert phone.records("tasks") == {t["id"]: bare(t) for t in tasks}


def test_50_000_records_are_one_push(plain_app: Flask) -> None:
    phone, home = Account(plain_app).first, project()
    tasks = [task(home["id"]) for _ in range(49_999)]
    assert phone.push(projects=created(home), tasks=created(*tasks))
    assert phone.records("tasks").keys() == {t["id"] for t in tasks}
    answer = phone.ask_push({"tasks": updated(*tasks), "projects": deleted("a", "b")})
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")
