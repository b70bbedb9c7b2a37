"""Run inside a copy of the project that has the tables of docs/own-tables.md: the contract holds.

Not collected by itself; `test_own_tables.py` runs it there, on each database.
"""

import zlib
from typing import Any

import pytest
from conftest import statements
from devices import (
    API,
    NOTHING,
    Account,
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

from melon_api.sync.discovery import synced_tables


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


def comment(task_id: str, **values: Any) -> dict[str, Any]:
    empty = {"score": None, "remind_at": None, "links": None, "answers_id": None}
    empty |= {"created_at": 1, "updated_at": 2}
    record = {"id": new_id(), "body": "Nice", "is_pinned": False, "likes": 0, "task_id": task_id}
    return record | empty | {"_status": "created", "_changed": ""} | values


def tag(**values: Any) -> dict[str, Any]:
    record = {"id": new_id(), "label": "red", "project_id": None, "created_at": 1, "updated_at": 2}
    return record | values


def test_parents_come_before_children() -> None:
    assert list(synced_tables()) == ["projects", "tags", "tasks", "comments"]


def test_every_kind_of_column_travels(account: Account) -> None:
    """Contract pull 4, push 5."""
    home = project()
    paint = task(home["id"])
    full = comment(
        paint["id"],
        body="ü📷" * 1000,
        is_pinned=True,
        likes=-(2**31),
        score=0.1,
        remind_at=2**62,
        links=' {"b": 1.0,\n "a": "\\u00fc📷"} ',
    )
    answer = comment(paint["id"], answers_id=full["id"])
    label = tag(project_id=home["id"])
    account.first.push(
        comments=created(answer, full),
        tags=created(label, free := tag()),
        tasks=created(paint),
        projects=created(home),
    )
    changes = account.device().pull()
    got = {record["id"]: record for record in changes["comments"]["created"]}
    assert got == {full["id"]: bare(full), answer["id"]: bare(answer)}
    tags = {record["id"]: record for record in changes["tags"]["created"]}
    assert tags == {label["id"]: label, free["id"]: free}


@pytest.mark.parametrize(
    ("column", "sent", "stored"),
    [
        ("likes", "5", 0),
        ("likes", None, 0),
        ("likes", 3.0, 3),
        ("likes", True, 0),
        ("score", "x", None),
        ("score", 2, 2),
        ("remind_at", "x", None),
        ("links", {"a": 1}, None),
        ("links", "", ""),
        ("is_pinned", 1, True),
        ("answers_id", 7, None),
    ],
)
def test_what_can_be_put_right_is(account: Account, column: str, sent: Any, stored: Any) -> None:
    """Contract push 5."""
    home = project()
    paint = task(home["id"])
    record = comment(paint["id"]) | {column: sent}
    account.first.push(projects=created(home), tasks=created(paint), comments=created(record))
    assert account.first.records("comments")[record["id"]][column] == stored


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("likes", 2**31),
        ("likes", 1.5),
        ("remind_at", 2**63),
        ("score", 2**53 + 1),
        ("links", "{a: 1}"),
        ("links", '"' + "ü" * 32_767 + '"'),
    ],
)
def test_what_cannot_be_kept_whole_is_refused(account: Account, column: str, value: Any) -> None:
    """Contract push 5."""
    home = project()
    paint = task(home["id"])
    changes = {"projects": created(home), "tasks": created(paint)}
    changes["comments"] = created(comment(paint["id"]) | {column: value})
    answer = account.first.ask_push(changes)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]["changes"]["comments"]["created"]["0"]) == [column]
    assert account.first.records("projects") == {}


def test_json_is_the_same_text_on_every_way(account: Account) -> None:
    """Contract pull 1, 4 and 5, push 1, Verify 2: changed, merged, paged, checked, exported."""
    phone, tablet, home = account.first, account.device(), project()
    paint = task(home["id"])
    texts = ["{}", "[1,  2.0, -0]", '{"b":1,"a":{"c":"\\ud83d"}}', '"' + "x" * 65_533 + '"']
    comments = [comment(paint["id"], links=text) for text in texts]
    phone.push(projects=created(home), tasks=created(paint), comments=created(*comments))
    tablet.pull()
    news = edited(comments[0], links="[true ]")
    phone.push(comments=updated(news))
    phone.pull()
    assert phone.push(comments=updated(news)) == phone.pulled_at  # the same: nothing is written
    assert tablet.pull()["comments"]["updated"] == [bare(news)]
    wanted = {c["id"]: bare(c) for c in (news, *comments[1:])}
    for more in ({}, {"replacement": True}, {"limit": 100}):
        lists = tablet.ask_pull(None, **more).json["changes"]["comments"]
        assert {c["id"]: c for c in lists["created"]} == wanted
    column = {"from": 1, "tables": [], "columns": [{"table": "comments", "columns": ["links"]}]}
    assert len(tablet.pull(migration=column)["comments"]["updated"]) == len(texts)
    exported = phone.call("GET", "/users/me/export").json["comments"]
    assert {c["id"]: c for c in exported} == wanted
    total = sum(zlib.crc32(f"s{c['id']}\0s{c['links']}\0".encode()) for c in wanted.values())
    held = {"comments": {"columns": ["links"], "count": len(wanted), "checksum": total}}
    body = {"lastPulledAt": tablet.pulled_at, "tables": held}
    assert tablet.call("POST", "/sync/verify", json=body).json["identical"] is True


def test_a_deletion_cascades_over_two_levels_and_down_a_tree(account: Account) -> None:
    """Contract push 4."""
    phone, tablet = account.first, account.device()
    home = project()
    paint, keep = task(home["id"]), task(home["id"])
    first = comment(paint["id"])
    second = comment(keep["id"], answers_id=first["id"])
    third = comment(keep["id"], answers_id=second["id"])
    free, bound = tag(), tag(project_id=home["id"])
    phone.push(
        projects=created(home),
        tasks=created(paint, keep),
        comments=created(third, second, first),
        tags=created(free, bound),
    )
    phone.pull(), tablet.pull()
    assert phone.push(tasks=deleted(paint["id"])) is None
    gone = tablet.pull()["comments"]["deleted"]
    assert sorted(gone) == sorted([first["id"], second["id"], third["id"]])
    tablet.push(projects=deleted(home["id"]))
    assert phone.pull()["tags"]["deleted"] == [bound["id"]]
    assert list(phone.records("tags")) == [free["id"]]
    assert phone.records("tasks") == phone.records("comments") == {}


def test_unborn_parents_take_their_children_along_at_every_level(account: Account) -> None:
    """Contract push 4: a task made and deleted offline, its comment and the answer to it pushed."""
    home = project()
    child, gone = comment("unborn"), new_id()
    reply = comment("unborn", answers_id=gone)
    account.first.push(
        projects=created(home),
        tasks=deleted("unborn"),
        comments={"created": [reply, child], "deleted": [gone]},
    )
    assert account.first.records("comments") == {}
    told = account.device().pull()["comments"]
    assert told == NOTHING


def test_a_tree_is_pushed_in_any_order_and_must_have_its_root(account: Account) -> None:
    """Contract push 2 and 4."""
    home = project()
    paint = task(home["id"])
    account.first.push(projects=created(home), tasks=created(paint))
    chain = [comment(paint["id"])]
    for _ in range(20):
        chain.append(comment(paint["id"], answers_id=chain[-1]["id"]))
    account.first.push(comments=created(*reversed(chain)))
    assert len(account.first.records("comments")) == 21
    one, two = comment(paint["id"]), comment(paint["id"])
    circle = created(one | {"answers_id": two["id"]}, two | {"answers_id": one["id"]})
    answer = account.first.ask_push({"comments": circle})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_parent")
    selfish = comment(paint["id"])
    answer = account.first.ask_push({"comments": created(selfish | {"answers_id": selfish["id"]})})
    assert answer.json["code"] == "unknown_parent"


def test_a_deep_tree_is_deleted_in_few_statements(account: Account) -> None:
    """Contract push 4, in sets: no statement for each level."""
    home = project()
    paint = task(home["id"])
    counts = []
    for depth in (2, 200):
        chain = [comment(paint["id"])]
        for _ in range(depth):
            chain.append(comment(paint["id"], answers_id=chain[-1]["id"]))
        account.first.push(projects=created(home), tasks=created(paint), comments=created(*chain))
        account.first.pull()
        with statements(account.app) as seen:
            account.first.push(comments=deleted(chain[0]["id"]))
        counts.append(len(seen))
        assert account.first.records("comments") == {}
    assert counts[0] == counts[1]


def test_a_circle_made_by_edits_is_deleted_whole(account: Account) -> None:
    """Contract push 4: two phones moved two branches under each other."""
    home = project()
    paint, other = task(home["id"]), task(home["id"])
    one, two = comment(paint["id"]), comment(other["id"])
    phone = account.first
    phone.push(projects=created(home), tasks=created(paint, other), comments=created(one, two))
    phone.push(comments=updated(edited(one, answers_id=two["id"])))
    phone.push(comments=updated(edited(two, answers_id=one["id"])))
    phone.push(tasks=deleted(paint["id"]))
    assert phone.records("comments") == {}
    result = account.app.test_cli_runner().invoke(args=["sync", "purge", "--older-than", "0m"])
    assert result.exit_code == 0, result.output


def test_a_child_under_a_deleted_parent_anywhere_is_deleted(account: Account) -> None:
    """Contract push 4."""
    phone, tablet = account.first, account.device()
    home = project()
    paint = task(home["id"])
    top = comment(paint["id"])
    phone.push(projects=created(home), tasks=created(paint), comments=created(top))
    tablet.pull()
    phone.push(projects=deleted(home["id"]))
    late, reply = comment(paint["id"]), comment(paint["id"], answers_id=top["id"])
    tablet.push(comments=created(late, reply), tags=created(tag(project_id=home["id"])))
    assert tablet.records("comments") == tablet.records("tags") == {}
    assert sorted(tablet.pull()["comments"]["deleted"]) == sorted(
        [late["id"], reply["id"], top["id"]]
    )


def test_migration_sync_holds_for_the_new_table(account: Account) -> None:
    """Contract pull 5."""
    phone, tablet = account.first, account.device()
    label, other = tag(), tag(label="")
    phone.push(tags=created(label, other))
    tablet.pull()
    added = {"from": 1, "tables": ["tags"], "columns": []}
    ids = {r["id"] for r in tablet.pull(migration=added)["tags"]["created"]}
    assert ids == {label["id"], other["id"]}
    column = {"from": 1, "tables": [], "columns": [{"table": "tags", "columns": ["label"]}]}
    assert tablet.pull(migration=column)["tags"] == updated(label)
    assert tablet.pull()["tags"] == NOTHING


def test_pages_hold_for_the_new_tables(account: Account) -> None:
    """Contract pull 6."""
    home = project()
    paint = task(home["id"])
    comments = [comment(paint["id"]) for _ in range(5)]
    account.first.push(
        projects=created(home),
        tasks=created(paint),
        comments=created(*comments),
        tags=created(tag(), tag()),
    )
    told: list[tuple[str, str]] = []
    cursor, answer = None, None
    while answer is None or cursor:
        answer = account.first.ask_pull(None, limit=2, **({"cursor": cursor} if cursor else {}))
        cursor = answer.json["cursor"]
        tables = answer.json["changes"].items()
        told += [(name, r["id"]) for name, lists in tables for r in lists["created"]]
    order = list(synced_tables())
    assert len(told) == len(set(told)) == 9
    assert [order.index(name) for name, _ in told] == sorted(order.index(n) for n, _ in told)


def test_an_export_has_the_new_tables(account: Account) -> None:
    """Contract, Accounts 12."""
    label = tag()
    account.first.push(tags=created(label))
    exported = account.first.call("GET", "/users/me/export").json
    assert exported["tags"] == [label]
    assert exported["comments"] == []


def test_accounts_stay_apart(account: Account) -> None:
    """Contract push 11."""
    other = Account(account.app)
    label = tag()
    account.first.push(tags=created(label))
    other.first.push(tags=created(label | {"label": "theirs"}))
    assert account.first.records("tags") == {label["id"]: label}


def test_the_description_has_the_new_tables(account: Account) -> None:
    spec = account.app.test_client().get("/openapi.json").json
    assert (
        spec["components"]["schemas"]["CommentRecord"]["properties"]["likes"]["type"] == "integer"
    )
    links = spec["components"]["schemas"]["CommentRecord"]["properties"]["links"]
    assert links == {"type": ["string", "null"], "description": "JSON, as text"}
    assert "tags" in spec["components"]["schemas"]["Changes"]["properties"]


def test_the_examples_of_the_new_tables_are_true(account: Account) -> None:
    spec = account.app.test_client().get("/openapi.json").json
    push = spec["paths"][f"{API}/sync/push"]["post"]["requestBody"]["content"]["application/json"]
    changes = push["examples"]["created"]["value"]["changes"]
    assert {"projects", "tasks", "tags", "comments"} == set(changes)
    account.first.push(**changes)
    assert account.device().pull() == changes
