"""`flask users load` (contract, The server's own changes), on every backend."""

import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from click.testing import Result
from devices import API, PASSWORD, Account, Device, new_id
from flask import Flask
from sqlalchemy import select

from melon_api.loading import accounts
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.users import admin

OURS = "$argon2id$"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.jsonl"


def load(app: Flask, file: Path, *lines: Any, options: tuple[str, ...] = ()) -> Result:
    if lines:
        file.write_text("\n".join(map(json.dumps, lines)))
    return app.test_cli_runner().invoke(args=["users", "load", *options, str(file)])


def bad(result: Result) -> dict[int, str]:
    said = [one.removeprefix("line ").partition(": ") for one in result.stderr.splitlines()]
    return {int(number): sentence for number, _, sentence in said if number.isdigit()}


def address() -> str:
    return f"ada.{new_id()}@example.com"


def hashed(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def login(app: Flask, email: str, password: str = PASSWORD) -> Any:
    body = {"email": email, "password": password}
    return app.test_client().post(f"{API}/auth/login", json=body)


def stored(app: Flask, email: str) -> Any:
    columns = User.__table__.c
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(select(*columns).where(User.email == email)).one_or_none()


def test_people_sign_in_with_the_password_that_they_had(app: Flask, file: Path) -> None:
    """Contract, Accounts 9: the hash is ours afterwards."""
    email, account_id = address(), new_id()
    whole = {"email": email.upper(), "name": "Ada", "password_hash": hashed(), "verified": True}
    result = load(app, file, whole | {"id": account_id})
    assert (result.exit_code, result.stdout) == (0, "Opened 1 accounts; 0 were there already.\n")
    answer = login(app, email)
    assert answer.status_code == 200
    user = answer.json["user"]
    assert (user["id"], user["email"], user["name"]) == (account_id, email, "Ada")
    row = stored(app, email)
    assert row.password.startswith(OURS) and row.email_verified_at and row.is_active
    assert Device(app, answer.json).pull()["projects"]["created"] == []


def test_an_address_is_enough(app: Flask, file: Path) -> None:
    """Such a person has a new password mailed, or is given one."""
    email = address()
    assert load(app, file, {"email": email}).exit_code == 0
    row = stored(app, email)
    assert (row.name, row.email_verified_at) == (None, None)
    assert login(app, email).status_code == 401
    with app.app_context():
        admin.set_password(row.id, PASSWORD)
    assert login(app, email).status_code == 200


def test_an_account_that_is_there_stays_as_it_is(account: Account, file: Path) -> None:
    """Its person may have another password by now: twice is once."""
    before, new = stored(account.app, account.email), address()
    lines = (
        {"email": account.email, "name": "Eve", "password_hash": hashed("eve-eve-eve")},
        {"email": new},
    )
    result = load(account.app, file, *lines)
    assert result.stdout == "Opened 1 accounts; 1 were there already.\n"
    assert stored(account.app, account.email) == before
    again = stored(account.app, new)
    result = load(account.app, file)
    assert (result.exit_code, result.stdout) == (0, "Opened 0 accounts; 2 were there already.\n")
    assert stored(account.app, new) == again


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "email"),
    ({"email": "ada"}, "email"),
    ({"email": None}, "email"),
    ({"email": f"{'a' * 250}@example.com"}, "email"),
    ({"email": "a@b.example", "password": PASSWORD}, "password: Unknown field"),
    ({"email": "a@b.example", "password_hash": "secret"}, "password_hash: Neither bcrypt"),
    ({"email": "a@b.example", "password_hash": "$2b$31$" + "a" * 53}, "cost of 31"),
    ({"email": "a@b.example", "password_hash": 5}, "password_hash"),
    ({"email": "a@b.example", "name": "x" * 256}, "name"),
    ({"email": "a@b.example", "verified": "perhaps"}, "verified"),
    ({"email": "a@b.example", "id": "no id!"}, "id: An id is"),
    ({"email": "a@b.example", "id": None}, "id"),
]


def test_each_bad_line_is_named_and_the_others_are_opened(app: Flask, file: Path) -> None:
    first, last = address(), address()
    result = load(app, file, {"email": first}, *(one for one, _ in BAD), {"email": last})
    assert result.exit_code == 1
    said = bad(result)
    assert sorted(said) == list(range(2, 2 + len(BAD)))
    for number, (_, words) in enumerate(BAD, 2):
        assert words in said[number]
    assert stored(app, first) and stored(app, last)
    assert PASSWORD not in result.output and "secret" not in result.output


def test_two_people_cannot_be_one(account: Account, file: Path) -> None:
    """Neither by their address, whatever its case, nor by their id."""
    app, taken, email, mine = account.app, account.user["id"], address(), new_id()
    lines = (
        {"email": email, "id": mine},
        {"email": email.upper(), "password_hash": hashed()},
        {"email": account.email, "id": new_id()},
        {"email": address(), "id": taken},
        {"email": address(), "id": mine},
    )
    result = load(app, file, *lines)
    assert bad(result) == {
        2: "email: that of a line above",
        3: f"email: the account {taken} has it, and the line another id",
        4: "id: that of another account",
        5: "id: that of another account",
    }
    assert login(app, email).status_code == 401 and stored(app, email).id == mine


def test_who_registers_at_this_very_moment_is_not_opened_twice(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, made = accounts._stored, list[Account]()

    def look(some: Any) -> Any:
        found = original(some)
        if not made:
            made.append(Account(app))
            some[0]["email"] = made[0].email  # which was free a moment ago
        return found

    monkeypatch.setattr(accounts, "_stored", look)
    result = load(app, file, {"email": address()}, {"email": address()})
    assert (result.exit_code, result.stdout) == (0, "Opened 1 accounts; 1 were there already.\n")
    assert login(app, made[0].email).status_code == 200


def test_a_dry_run_opens_nothing(app: Flask, file: Path) -> None:
    email = address()
    result = load(app, file, {"email": email}, {"email": "ada"}, options=("--dry-run",))
    assert result.stdout == "Would open 1 accounts; 0 were there already. Bad lines: 1.\n"
    assert stored(app, email) is None
