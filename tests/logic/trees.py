"""Run inside a copy of the project that has the tables of docs/own-tables.md: a rule sees all that
goes with a deletion, and what that clears.

Not collected by itself; `test_your_code.py` runs it there, on each database.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import statements
from devices import Account, created, deleted, edited, new_id, project, task, updated
from flask import Flask

from app.models import Comment, Project, Tag
from melon_api.logic import Changes, before_push, registry


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


@pytest.fixture(autouse=True)
def no_rules_afterwards() -> Iterator[None]:
    yield
    registry.rules.clear()


def comment(task_id: str, **values: Any) -> dict[str, Any]:
    record = {"id": new_id(), "body": "Nice", "is_pinned": False, "likes": 0, "task_id": task_id}
    return record | {"_status": "created", "_changed": ""} | values


def grown(account: Account, depth: int) -> tuple[str, list[dict[str, Any]]]:
    """A task, and a chain of answers that hangs from another one at its first link alone."""
    home, keep, paint = project(), task("home"), task("home")
    chain = [comment(paint["id"])]
    for _ in range(depth):
        chain.append(comment(keep["id"], answers_id=chain[-1]["id"]))
    tables = {"projects": created(home | {"id": "home"}), "tasks": created(keep, paint)}
    account.first.push(**tables, comments=created(*chain))
    account.first.pull()
    return paint["id"], chain


def test_a_rule_sees_a_whole_branch_in_few_statements(account: Account) -> None:
    """Contract push 4 and 10."""
    seen: list[Changes] = []
    counts = []
    for depth in (2, 200):
        paint, chain = grown(account, depth)
        registry.rules.clear()
        before_push(Comment)(seen.append)
        with statements(account.app) as asked:
            account.first.push(tasks=deleted(paint))
        counts.append(len(asked))
        assert {one.id for one in seen[-1].deleted} == {one["id"] for one in chain}
        assert account.first.records("comments") == {}
    assert counts[0] == counts[1]


def test_the_leaf_of_a_branch_is_refused_at_the_deletion_of_its_root(account: Account) -> None:
    """Contract push 4, 6 and 10."""
    paint, chain = grown(account, 3)
    pinned = edited(chain[-1], is_pinned=True)
    account.first.push(comments=updated(pinned))

    @before_push(Comment)
    def keep_what_is_pinned(comments: Changes) -> None:
        for one in comments.deleted:
            if one["is_pinned"]:
                one.refuse("It is pinned.")

    answer = account.first.ask_push({"tasks": deleted(paint)})
    assert answer.json["errors"] == {"changes": {"tasks": {"deleted": {"0": ["It is pinned."]}}}}
    answer = account.first.ask_push({"projects": deleted("home")}, allowPartial=True)
    assert answer.json["rejected"] == {"projects": {"home": "refused"}}
    assert len(account.first.records("comments")) == len(chain)
    moved = edited(pinned, answers_id=None)  # away, in the same push
    account.first.push(tasks=deleted(paint), comments=updated(moved))
    assert list(account.first.records("comments")) == [pinned["id"]]


def test_a_rule_sees_the_branch_that_another_rule_cuts(account: Account) -> None:
    """Contract push 4 and 10: of the same table, at any depth, in few statements."""
    counts = []
    for depth in (2, 200):
        registry.rules.clear()
        seen: list[Changes] = []
        _, chain = grown(account, depth)
        root = chain[0]["id"]

        @before_push(Comment)
        def cut(comments: Changes) -> None:
            for found in comments.account.get(Comment, [root]).values():
                found.delete()

        before_push(Comment)(seen.append)
        alone = comment(chain[-1]["task_id"])
        with statements(account.app) as asked:
            account.first.push(comments=created(alone))
        counts.append(len(asked))
        assert {one.id for one in seen[-1].deleted} == {one["id"] for one in chain}
    assert counts[0] == counts[1]
    assert len(account.first.records("comments")) == 2


def test_a_rule_sees_what_a_deletion_clears(account: Account) -> None:
    """Contract push 4 and 10: as an edit, which it may add to."""
    phone, tablet, home = account.first, account.device(), project()
    tag = {"id": new_id(), "label": "red", "project_id": home["id"]}
    phone.push(projects=created(home), tags=created(tag))
    tablet.pull()

    @before_push(Tag)
    def say_so(tags: Changes) -> None:
        for one in tags.updated:
            assert (one.before["project_id"], one["project_id"]) == (home["id"], None)
            one["label"] = "free"

    before_push(Project)(lambda projects: None)
    assert phone.push(projects=deleted(home["id"])) is None
    assert [one["label"] for one in tablet.pull()["tags"]["updated"]] == ["free"]
    (stored,) = phone.records("tags").values()
    assert (stored["label"], stored["project_id"]) == ("free", None)


def test_a_rule_sees_what_falls_because_its_parent_is_moved_under_a_deleted_one(
    account: Account,
) -> None:
    """Contract push 4 and 10: no way around a rule, though nothing is deleted in the push."""
    phone, tablet, home, other = account.first, account.device(), project(), project()
    paint = task(home["id"])
    pinned = comment(paint["id"], is_pinned=True)
    phone.push(projects=created(home, other), tasks=created(paint), comments=created(pinned))
    tablet.pull()
    tablet.push(projects=deleted(other["id"]))

    @before_push(Comment)
    def keep_what_is_pinned(comments: Changes) -> None:
        for one in comments.deleted:
            if one["is_pinned"]:
                one.refuse("It is pinned.")

    answer = phone.ask_push({"tasks": updated(edited(paint, project_id=other["id"]))})
    assert answer.json["errors"] == {"changes": {"tasks": {"updated": {"0": ["It is pinned."]}}}}
    assert list(phone.records("comments")) == [pinned["id"]]
