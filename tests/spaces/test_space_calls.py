"""Contract, *Spaces*, the calls: spaces are made, named, deleted, and hidden from all others."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import Account, new_id
from flask import Flask
from sharing import bring, clock_of, create, failure, give, invited, join, roles_in, spaces_of
from sqlalchemy import select

from melon_api.models.base import db
from melon_api.models.space import Membership

# Every call, with a body that is right.
CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/spaces", None),
    ("POST", "/spaces", {"name": "Home"}),
    ("PATCH", "/spaces/{space}", {"name": "Family"}),
    ("DELETE", "/spaces/{space}", None),
    ("GET", "/spaces/{space}/members", None),
    ("PATCH", "/spaces/{space}/members/{member}", {"role": "reader"}),
    ("DELETE", "/spaces/{space}/members/{member}", None),
    ("POST", "/spaces/{space}/invitations", {"role": "reader"}),
    ("GET", "/spaces/{space}/invitations", None),
    ("DELETE", "/spaces/{space}/invitations/{invitation}", None),
    ("POST", "/spaces/join", {"token": "x"}),
]
OF_A_SPACE = [call for call in CALLS if "{space}" in call[1]]
OF_OWNERS = [call for call in OF_A_SPACE if call[:2] != ("GET", "/spaces/{space}/members")]
each_call = pytest.mark.parametrize(("method", "path", "body"), CALLS)


def test_who_makes_a_space_owns_it(account: Account) -> None:
    space_id = new_id()
    made = create(account, id=space_id, name="Unser Garten 🌱")
    assert set(made) == {"id", "name", "role", "members", "created_at"}
    created_at = datetime.fromisoformat(made["created_at"])
    assert created_at.utcoffset() == timedelta(0)
    assert made == {
        "id": space_id,
        "name": "Unser Garten 🌱",
        "role": "owner",
        "members": 1,
        "created_at": made["created_at"],
    }
    assert account.first.call("GET", "/spaces").json == [made]
    assert roles_in(account, space_id) == {account.user["id"]: "owner"}


def test_the_same_id_again_is_the_same_space(account: Account) -> None:
    """By the same caller: its first answer may have been lost. Its clock is moved once."""
    made, before = create(account), clock_of(account)
    again = account.first.call("POST", "/spaces", json={"id": made["id"], "name": "Other"})
    assert (again.status_code, again.json) == (200, made)
    assert clock_of(account) == before
    give_up = account.first.call("PATCH", f"/spaces/{made['id']}", json={"name": "New"})
    assert give_up.status_code == 200
    again = account.first.call("POST", "/spaces", json={"id": made["id"], "name": "Home"})
    assert (again.status_code, again.json["name"]) == (200, "New")


def test_an_id_is_never_used_twice(account: Account, app: Flask) -> None:
    """A space's, one that was deleted, one that was left, an account's, the catalogue's."""
    other, made, dead = Account(app), create(account), create(account)
    assert account.first.call("DELETE", f"/spaces/{dead['id']}").status_code == 204
    left = create(account)
    bring(account, left["id"], other, role="owner")
    mine = f"/spaces/{left['id']}/members/{account.user['id']}"
    assert account.first.call("DELETE", mine).status_code == 204
    taken = [made["id"], dead["id"], left["id"], account.user["id"], other.user["id"], "catalogue"]
    for caller in (other, account):
        for space_id in taken:
            answer = caller.first.call("POST", "/spaces", json={"id": space_id, "name": "Mine"})
            is_mine = caller is account and space_id == made["id"]
            assert answer.status_code == (200 if is_mine else 409), (space_id, answer.text)
            assert is_mine or failure(answer) == (409, "id_taken")
    assert set(spaces_of(other)) == {left["id"]}


def test_without_an_id_the_server_chooses_one(account: Account) -> None:
    ids = {
        account.first.call("POST", "/spaces", json={"name": "Home"}).json["id"] for _ in range(2)
    }
    assert ids == set(spaces_of(account)) and len(ids) == 2


@NO_DATABASE
@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, {"name"}),
        ({"name": ""}, {"name"}),
        ({"name": "x" * 256}, {"name"}),
        ({"name": None}, {"name"}),
        ({"name": 7}, {"name"}),
        ({"name": "Home", "id": ""}, {"id"}),
        ({"name": "Home", "id": "x" * 37}, {"id"}),
        ({"name": "Home", "id": "a b"}, {"id"}),
        ({"name": "Home", "id": "ä"}, {"id"}),
        ({"name": "Home", "id": "a\n"}, {"id"}),
        ({"name": "Home", "id": 7}, {"id"}),
        ({"name": "Home", "id": None}, {"id"}),
        ({"name": "", "id": "/", "more": 1}, {"name", "id", "more"}),
    ],
)
def test_what_is_wrong_is_named_all_at_once(
    account: Account, body: dict[str, Any], places: set[str]
) -> None:
    """Contract, Errors 4; and nothing is stored."""
    answer = account.first.call("POST", "/spaces", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == places
    assert spaces_of(account) == {}


def test_the_longest_names_and_ids_are_kept_whole(account: Account) -> None:
    name, space_id = "🌱" * 255, new_id().ljust(36, "-")
    assert create(account, id=space_id, name=name)["name"] == name
    assert spaces_of(account)[space_id]["name"] == name


@NO_DATABASE
@pytest.mark.parametrize("name", [{}, {"name": ""}, {"name": "x" * 256}, {"name": None}])
def test_a_new_name_is_one(account: Account, name: dict[str, Any]) -> None:
    made = create(account)
    answer = account.first.call("PATCH", f"/spaces/{made['id']}", json=name)
    assert failure(answer) == (422, "validation_failed")
    assert spaces_of(account)[made["id"]] == made


def test_a_space_is_named_by_its_owners(account: Account, app: Flask) -> None:
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend, role="owner")
    answer = friend.first.call("PATCH", f"/spaces/{made['id']}", json={"name": "Family"})
    assert answer.status_code == 200
    assert answer.json == made | {"name": "Family", "members": 2}
    assert spaces_of(account)[made["id"]]["name"] == "Family"


def test_a_deleted_space_is_gone_for_everybody(account: Account, app: Flask) -> None:
    """Its members, its invitations, and their clocks are moved, so that phones are told."""
    made, kept, friend = create(account), create(account), Account(app)
    bring(account, made["id"], friend)
    token = invited(account, made["id"])["token"]
    before = [clock_of(person) for person in (account, friend)]
    assert account.first.call("DELETE", f"/spaces/{made['id']}").status_code == 204
    for person, (clock, _) in zip((account, friend), before, strict=True):
        assert clock_of(person)[0] == clock_of(person)[1] > clock
        assert made["id"] not in spaces_of(person)
        gone = person.first.call("GET", f"/spaces/{made['id']}/members")
        assert failure(gone) == (404, "not_found")
    assert set(spaces_of(account)) == {kept["id"]}
    assert failure(join(Account(app), token)) == (422, "validation_failed")
    again = account.first.call("DELETE", f"/spaces/{made['id']}")
    assert failure(again) == (404, "not_found")
    with app.app_context():
        left = select(Membership.left_tick).where(Membership.space_id == made["id"])
        assert set(db.session.scalars(left)) == {clock_of(account)[0], clock_of(friend)[0]}


@pytest.mark.parametrize(("method", "path", "body"), OF_A_SPACE)
def test_for_who_is_no_member_there_is_no_such_space(
    account: Account, app: Flask, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Someone else's token, and one who was a member: answered as where there is none."""
    made, friend = create(account), Account(app)
    open_one = invited(account, made["id"])["id"]
    bring(account, made["id"], friend, role="owner")
    mine = f"/spaces/{made['id']}/members/{friend.user['id']}"
    assert friend.first.call("DELETE", mine).status_code == 204
    known = {"member": account.user["id"], "invitation": open_one}
    answers = [
        caller.first.call(method, path.format(space=space_id, **known), json=body)
        for caller in (friend, Account(app))
        for space_id in (made["id"], new_id(), "ä", "x" * 99)
    ]
    assert {failure(answer) for answer in answers} == {(404, "not_found")}
    assert len({answer.json["detail"] for answer in answers}) == 1
    assert spaces_of(account) == {made["id"]: made}
    assert len(account.first.call("GET", f"/spaces/{made['id']}/invitations").json) == 1


@pytest.mark.parametrize("role", ["editor", "reader"])
@pytest.mark.parametrize(("method", "path", "body"), OF_OWNERS)
def test_what_takes_an_owner(
    account: Account, app: Flask, method: str, path: str, body: dict[str, Any] | None, role: str
) -> None:
    made, friend = create(account), Account(app)
    open_one = invited(account, made["id"])["id"]
    bring(account, made["id"], friend, role=role)
    known = {"space": made["id"], "member": account.user["id"], "invitation": open_one}
    answer = friend.first.call(method, path.format(**known), json=body)
    assert failure(answer) == (403, "forbidden")
    assert roles_in(account, made["id"]) == {account.user["id"]: "owner", friend.user["id"]: role}
    assert spaces_of(account)[made["id"]] == made | {"members": 2}


@NO_DATABASE
@each_call
def test_each_call_takes_a_living_token(
    account: Account, app: Flask, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """No token, a refresh token, one of a session that was ended."""
    path = path.format(space="x", member="x", invitation="x")
    none = account.first.http.open(f"/api/v1{path}", method=method, json=body)
    assert failure(none) == (401, "token_missing")
    other = account.first.call(method, path, account.first.refresh_token, json=body)
    assert failure(other) == (401, "token_invalid")
    account.first.call("POST", "/auth/logout")
    assert failure(account.first.call(method, path, json=body)) == (401, "token_revoked")


@NO_DATABASE
@each_call
def test_an_address_is_confirmed_where_the_server_wants_it(
    account: Account, settings_of: Any, method: str, path: str, body: dict[str, Any] | None
) -> None:
    settings_of(REQUIRE_VERIFIED_EMAIL=True)
    path = path.format(space="x", member="x", invitation="x")
    answer = account.first.call(method, path, json=body)
    assert failure(answer) == (403, "email_not_verified")


def test_an_account_is_in_so_many_spaces(account: Account, app: Flask, settings_of: Any) -> None:
    """Beyond, 422 says so; those that there are stay, and a repeated call is answered."""
    first, theirs = create(account), create(Account(app))
    settings_of(MAX_SPACES_PER_ACCOUNT=2)
    last = create(account)
    full = account.first.call("POST", "/spaces", json={"id": theirs["id"], "name": "Home"})
    assert failure(full) == (422, "validation_failed")  # a 409 only where there is no 422
    assert full.json["errors"] == {"spaces": ["No account is in more than 2."]}
    worse = account.first.call("POST", "/spaces", json={"id": "/"})
    assert set(worse.json["errors"]) == {"id", "name", "spaces"}
    again = account.first.call("POST", "/spaces", json={"id": last["id"], "name": "Home"})
    assert again.status_code == 200
    assert set(spaces_of(account)) == {first["id"], last["id"]}
    account.first.call("DELETE", f"/spaces/{first['id']}")
    assert create(account)["role"] == "owner"


def test_no_new_spaces_beside_an_older_release(account: Account, settings_of: Any) -> None:
    made = create(account)
    settings_of(MAX_SPACES_PER_ACCOUNT=0)
    answer = account.first.call("POST", "/spaces", json={"name": "Home"})
    assert failure(answer) == (422, "validation_failed")
    assert set(spaces_of(account)) == {made["id"]}


@NO_DATABASE
def test_a_space_may_have_the_name_of_a_call(account: Account) -> None:
    made = create(account, id="join")
    answer = account.first.call("PATCH", "/spaces/join", json={"name": "Joined"})
    assert answer.json == made | {"name": "Joined"}
    assert account.first.call("DELETE", "/spaces/join").status_code == 204


def test_spaces_are_listed_in_the_order_they_were_joined(account: Account, app: Flask) -> None:
    friend = Account(app)
    theirs = create(friend)
    mine = create(account)
    bring(friend, theirs["id"], account)
    last = create(account)
    listed = account.first.call("GET", "/spaces").json
    assert [space["id"] for space in listed] == [mine["id"], theirs["id"], last["id"]]
    assert [space["role"] for space in listed] == ["owner", "editor", "owner"]
    assert [space["members"] for space in listed] == [1, 2, 1]
    assert give(friend, theirs["id"], account, "reader").status_code == 200
    assert spaces_of(account)[theirs["id"]]["role"] == "reader"
