"""Contract, *Spaces*, the calls: who is in a space, in which role, and that people go."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from conftest import NO_DATABASE, ON_A_SERVER
from devices import Account, created, project
from flask import Flask
from sharing import (
    bring,
    clock_of,
    create,
    failure,
    give,
    invited,
    join,
    put_records,
    records_of,
    remove,
    roles_in,
    spaces_of,
)

from melon_api.models.base import db
from melon_api.models.space import Membership, Space

ROUNDS = 5  # of a race


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What they answer who begin at the same moment."""
    start = Barrier(len(calls))

    def run(one: Callable[[], Any]) -> Any:
        start.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def membership(person: Account, space_id: str) -> Membership:
    with person.app.app_context():
        found = db.session.get(Membership, (person.user["id"], space_id))
        assert found is not None
        return found


def test_members_see_each_other_and_no_address(account: Account, app: Flask) -> None:
    made, friend, reader = create(account), Account(app), Account(app)
    bring(account, made["id"], friend)
    bring(account, made["id"], reader, role="reader")
    lists = [
        person.first.call("GET", f"/spaces/{made['id']}/members").json
        for person in (account, friend, reader)
    ]
    assert lists[0] == lists[1] == lists[2]
    for member, person in zip(lists[0], (account, friend, reader), strict=True):
        assert set(member) == {"user_id", "name", "role", "joined_at"}
        assert (member["user_id"], member["name"]) == (person.user["id"], "Ada")
        assert datetime.fromisoformat(member["joined_at"]).utcoffset() == timedelta(0)
    assert [member["role"] for member in lists[0]] == ["owner", "editor", "reader"]


def test_an_owner_gives_roles(account: Account, app: Flask) -> None:
    """The member's clock is moved, once, and nobody else's; what it may do changes at once."""
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend)
    mine, theirs = clock_of(account), clock_of(friend)
    answer = give(account, made["id"], friend, "owner")
    (_, member) = account.first.call("GET", f"/spaces/{made['id']}/members").json
    assert (answer.status_code, answer.json) == (200, member)
    assert member["role"] == "owner"
    moved = clock_of(friend)
    assert moved[0] == moved[1] > theirs[0]
    assert give(account, made["id"], friend, "owner").json == member
    assert (clock_of(account), clock_of(friend)) == (mine, moved)
    assert give(friend, made["id"], account, "reader").status_code == 200
    assert failure(give(account, made["id"], friend, "reader")) == (403, "forbidden")


def test_a_profile_is_no_newer_for_it(account: Account, app: Flask) -> None:
    """`updated_at` of the user is that of the name and the address."""
    bring(account, create(account)["id"], friend := Account(app))
    assert friend.first.call("GET", "/users/me").json == friend.user
    assert account.first.call("GET", "/users/me").json == account.user


@NO_DATABASE
@pytest.mark.parametrize("body", [{}, {"role": "king"}, {"role": None}, {"role": "owner", "x": 1}])
def test_a_role_is_one_of_three(account: Account, app: Flask, body: dict[str, Any]) -> None:
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend)
    for path in (f"members/{friend.user['id']}", "invitations"):
        method = "PATCH" if "members" in path else "POST"
        answer = account.first.call(method, f"/spaces/{made['id']}/{path}", json=body)
        assert failure(answer) == (422, "validation_failed")
    assert roles_in(account, made["id"])[friend.user["id"]] == "editor"


def test_the_last_owner_stays_one(account: Account, app: Flask) -> None:
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend)
    before = clock_of(account)
    for role in ("editor", "reader"):
        assert failure(give(account, made["id"], account, role)) == (409, "last_owner")
    assert failure(remove(account, made["id"], account)) == (409, "last_owner")
    assert clock_of(account) == before
    assert roles_in(account, made["id"]) == {
        account.user["id"]: "owner",
        friend.user["id"]: "editor",
    }
    assert give(account, made["id"], account, "owner").status_code == 200
    assert give(account, made["id"], friend, "owner").status_code == 200
    assert remove(account, made["id"], account).status_code == 204
    assert failure(remove(friend, made["id"], friend)) == (409, "last_owner")


@pytest.mark.parametrize("role", ["owner", "editor", "reader"])
def test_each_member_may_leave(account: Account, app: Flask, role: str) -> None:
    """Its clock is moved, and that is when it was a member last."""
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend, role=role)
    before, joined = clock_of(friend), membership(friend, made["id"])
    assert (joined.role, joined.left_tick, joined.joined_tick) == (role, None, before[0])
    assert remove(friend, made["id"], friend).status_code == 204
    after = clock_of(friend)
    assert after[0] == after[1] > before[0]
    assert membership(friend, made["id"]).left_tick == after[0]
    assert spaces_of(friend) == {}
    assert roles_in(account, made["id"]) == {account.user["id"]: "owner"}
    assert spaces_of(account)[made["id"]]["members"] == 1
    assert failure(remove(friend, made["id"], friend)) == (404, "not_found")


def test_an_owner_removes_whom_it_wants(account: Account, app: Flask) -> None:
    made, friend, other = create(account), Account(app), Account(app)
    bring(account, made["id"], friend, other)
    assert failure(remove(friend, made["id"], other)) == (403, "forbidden")
    assert remove(account, made["id"], friend).status_code == 204
    assert failure(remove(account, made["id"], friend)) == (404, "not_found")
    assert spaces_of(friend) == {}
    assert set(roles_in(other, made["id"])) == {account.user["id"], other.user["id"]}


@pytest.mark.parametrize("user_id", ["nobody", "ä", "x" * 99])
def test_who_is_no_member_has_no_role(account: Account, app: Flask, user_id: str) -> None:
    """Nor is anything told of whom there is: an account that never was in it is one like that."""
    made = create(account)
    for one in (user_id, Account(app).user["id"]):
        path = f"/spaces/{made['id']}/members/{one}"
        changed = account.first.call("PATCH", path, json={"role": "reader"})
        gone = account.first.call("DELETE", path)
        assert failure(changed) == failure(gone) == (404, "not_found")
        assert changed.json["detail"] == "There is no such member of this space."


def test_who_comes_again_begins_anew(account: Account, app: Flask) -> None:
    """One row: the old time is over, and the new one begins at the space's clock of now."""
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend)
    first = membership(friend, made["id"])
    assert remove(friend, made["id"], friend).status_code == 204
    bring(account, made["id"], friend, role="reader")
    again = membership(friend, made["id"])
    assert (again.role, again.left_tick) == ("reader", None)
    assert again.joined_tick > first.joined_tick
    assert again.joined_at > first.joined_at
    assert roles_in(friend, made["id"])[friend.user["id"]] == "reader"


@ON_A_SERVER
def test_of_two_owners_who_leave_at_once_one_stays(account: Account, app: Flask) -> None:
    for _ in range(ROUNDS):
        made, friend = create(account), Account(app)
        bring(account, made["id"], friend, role="owner")
        answers = at_once(
            lambda: remove(account, made["id"], account),
            lambda: remove(friend, made["id"], friend),
        )
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        (stays,) = (p for p, a in zip((account, friend), answers, strict=True) if a.data)
        assert roles_in(stays, made["id"]) == {stays.user["id"]: "owner"}


@ON_A_SERVER
def test_of_two_owners_who_demote_each_other_one_stays(account: Account, app: Flask) -> None:
    for _ in range(ROUNDS):
        made, friend = create(account), Account(app)
        bring(account, made["id"], friend, role="owner")
        answers = at_once(
            lambda: give(account, made["id"], friend, "reader"),
            lambda: give(friend, made["id"], account, "reader"),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403]
        assert sorted(roles_in(account, made["id"]).values()) == ["owner", "reader"]


@ON_A_SERVER
def test_a_space_that_is_deleted_while_somebody_joins(account: Account, app: Flask) -> None:
    """Nobody is left in it, whoever was first; pushes of its members go on meanwhile."""
    for _ in range(ROUNDS):
        made, friend, late = create(account), Account(app), Account(app)
        bring(account, made["id"], friend)
        token = invited(account, made["id"])["token"]
        gone, came, pushed = at_once(
            lambda: account.first.call("DELETE", f"/spaces/{made['id']}"),
            lambda: join(late, token),
            lambda: friend.first.ask_push({"projects": created(project())}),
        )
        assert (gone.status_code, pushed.status_code) == (204, 200)
        assert came.status_code in (200, 422)
        assert [spaces_of(person) for person in (account, friend, late)] == [{}, {}, {}]


def test_the_records_of_a_deleted_space_are_tombstones(account: Account, app: Flask) -> None:
    """At one tick of its clock; those of other spaces, and the account's own, live."""
    made, other = create(account), create(account)
    ids = put_records(app, made["id"], 3)
    put_records(app, other["id"], 1)
    account.first.push(projects=created(project(id=ids[0])))
    assert account.first.call("DELETE", f"/spaces/{made['id']}").status_code == 204
    with app.app_context():
        space = db.session.get(Space, made["id"])
        assert space is not None and space.deleted_at is not None
    gone = records_of(app, made["id"])
    assert {(row.is_deleted, row.updated_at_ms) for row in gone} == {(True, space.sync_clock)}
    assert [row.id for row in gone] == ids
    for living in (other["id"], account.user["id"]):
        assert [row.is_deleted for row in records_of(app, living)] == [False]
