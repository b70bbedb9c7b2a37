"""What becomes of its spaces when an account is deleted."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import NO_DATABASE, ON_A_SERVER
from devices import PASSWORD, Account, new_id
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
from sqlalchemy import select
from test_space_members import ROUNDS, at_once

from melon_api.models.base import db
from melon_api.models.space import Invitation, Membership, Retelling, Space, SyncPoint


def delete_account(account: Account) -> Any:
    return account.first.call("DELETE", "/users/me", json={"password": PASSWORD})


def rows_with(app: Flask, user_id: str) -> list[str]:
    """The tables of spaces that still hold an account's id."""
    with app.app_context():
        return [
            model.__tablename__
            for model in (Space, Membership, Invitation, SyncPoint, Retelling)
            if any(user_id in map(str, row) for row in db.session.execute(select(model.__table__)))
        ]


def test_another_owner_owns_on(account: Account, app: Flask) -> None:
    """Contract, Spaces 7: nobody's role changes, and no clock but that of the space's other
    members stays."""
    made, owner, editor = create(account), Account(app), Account(app)
    bring(account, made["id"], editor)
    bring(account, made["id"], owner, role="owner")
    ids, before = put_records(app, made["id"], 2), clock_of(editor)
    assert delete_account(account).status_code == 204
    assert roles_in(editor, made["id"]) == {
        owner.user["id"]: "owner",
        editor.user["id"]: "editor",
    }
    assert clock_of(editor) == before
    assert [(r.id, r.is_deleted) for r in records_of(app, made["id"])] == [(i, False) for i in ids]
    assert rows_with(app, account.user["id"]) == []


def test_the_longest_standing_editor_owns_on(account: Account, app: Flask) -> None:
    """Contract, Spaces 7: by `joined_at`; whoever left and came again has begun anew. Its clock
    is moved."""
    made, again, heir, late, reader = create(account), *(Account(app) for _ in range(4))
    bring(account, made["id"], reader, role="reader")
    bring(account, made["id"], again, heir, late)
    assert remove(again, made["id"], again).status_code == 204
    bring(account, made["id"], again)
    before = clock_of(heir)
    ids = put_records(app, made["id"], 1)
    assert delete_account(account).status_code == 204
    assert roles_in(reader, made["id"]) == {
        reader.user["id"]: "reader",
        again.user["id"]: "editor",
        heir.user["id"]: "owner",
        late.user["id"]: "editor",
    }
    after = clock_of(heir)
    assert after[0] == after[1] > before[0]
    assert [(r.id, r.is_deleted) for r in records_of(app, made["id"])] == [(ids[0], False)]
    assert give(heir, made["id"], late, "owner").status_code == 200


def test_a_space_without_an_editor_is_deleted(account: Account, app: Flask) -> None:
    """Contract, Spaces 7: for its readers as by DELETE: its records are tombstones, its id stays
    taken."""
    made, reader, gone = create(account), Account(app), Account(app)
    bring(account, made["id"], reader, role="reader")
    bring(account, made["id"], gone)
    assert remove(gone, made["id"], gone).status_code == 204
    put_records(app, made["id"], 2)
    before, token = clock_of(reader), invited(account, made["id"])["token"]
    assert delete_account(account).status_code == 204
    assert spaces_of(reader) == {}
    assert clock_of(reader)[0] > before[0]
    assert {row.is_deleted for row in records_of(app, made["id"])} == {True}
    assert failure(join(reader, token)) == (422, "validation_failed")
    taken = reader.first.call("POST", "/spaces", json={"id": made["id"], "name": "Mine"})
    assert failure(taken) == (409, "id_taken")
    assert rows_with(app, account.user["id"]) == []


@pytest.mark.parametrize("role", ["editor", "reader"])
def test_who_owns_nothing_is_just_gone(account: Account, app: Flask, role: str) -> None:
    """What it came in by, too; what an owner has invited others by is kept from nobody."""
    made, friend, guest = create(account), Account(app), Account(app)
    token = invited(account, made["id"], role)["token"]
    assert join(friend, token).status_code == 200
    bring(account, made["id"], guest)
    put_records(app, made["id"], 1)
    assert delete_account(friend).status_code == 204
    assert set(roles_in(account, made["id"])) == {account.user["id"], guest.user["id"]}
    assert [row.is_deleted for row in records_of(app, made["id"])] == [False]
    assert rows_with(app, friend.user["id"]) == []


def test_an_inviter_who_is_gone(account: Account, app: Flask) -> None:
    """Its open invitations are; who came in by one may still repeat the call."""
    made, owner, guest = create(account), Account(app), Account(app)
    bring(account, made["id"], owner, role="owner")
    used, kept = invited(account, made["id"])["token"], invited(account, made["id"])["token"]
    assert join(guest, used).status_code == 200
    assert delete_account(account).status_code == 204
    assert failure(join(Account(app), kept)) == (422, "validation_failed")
    assert join(guest, used).status_code == 200
    assert rows_with(app, account.user["id"]) == []


def test_a_space_that_was_left_long_ago(account: Account, app: Flask) -> None:
    """Nothing of the account is kept there either: who made it, who invited whom."""
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend, role="owner")
    assert remove(account, made["id"], account).status_code == 204
    assert {"spaces", "memberships", "invitations"} <= {*rows_with(app, account.user["id"])}
    assert delete_account(account).status_code == 204
    assert rows_with(app, account.user["id"]) == []
    assert roles_in(friend, made["id"]) == {friend.user["id"]: "owner"}


def test_a_wrong_password_leaves_all_as_it_is(account: Account, app: Flask) -> None:
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend)
    answer = account.first.call("DELETE", "/users/me", json={"password": "wrong"})
    assert failure(answer) == (422, "validation_failed")
    assert roles_in(friend, made["id"])[account.user["id"]] == "owner"


@ON_A_SERVER
def test_two_owners_who_delete_their_accounts_at_once(account: Account, app: Flask) -> None:
    """The editor owns then, whoever was first, and who joins meanwhile is in, or is told."""
    for _ in range(ROUNDS):
        first, second, editor, late = (Account(app) for _ in range(4))
        made = create(first)
        bring(first, made["id"], second, role="owner")
        bring(first, made["id"], editor)
        token = invited(first, made["id"], "reader")["token"]
        *gone, came = at_once(
            lambda: delete_account(first),
            lambda: delete_account(second),
            lambda: join(late, token),
        )
        assert [answer.status_code for answer in gone] == [204, 204]
        assert came.status_code in (200, 422)
        roles = {editor.user["id"]: "owner"}
        roles |= {late.user["id"]: "reader"} if came.status_code == 200 else {}
        assert roles_in(editor, made["id"]) == roles


def test_the_export_says_which_spaces_one_is_in(account: Account, app: Flask) -> None:
    """Contract, Accounts 12 and Spaces 7: and holds the records of those it owns, none of the
    others'."""
    friend, mine = Account(app), create(account)
    theirs = create(friend)
    bring(friend, theirs["id"], account)
    owned, others = put_records(app, mine["id"], 1), put_records(app, theirs["id"], 1)
    found = account.first.call("GET", "/users/me/export").json
    assert found["spaces"] == account.first.call("GET", "/spaces").json
    assert [record["id"] for record in found["projects"]] == owned != others


@NO_DATABASE
def test_no_account_is_loaded_with_the_id_of_a_space(
    account: Account, app: Flask, tmp_path: Path
) -> None:
    """Its own space would be that one."""
    made, file = create(account), tmp_path / "accounts.jsonl"
    people = [{"email": f"{new_id()}@example.com", "id": i} for i in (made["id"], "catalogue")]
    file.write_text("\n".join(map(json.dumps, people)))
    done = app.test_cli_runner().invoke(args=["users", "load", str(file)])
    assert done.exit_code == 1
    assert done.output.count("id: that of a shared space") == 2
