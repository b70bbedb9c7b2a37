"""All 422s of a call at once, in one answer (contract, Errors 4)."""

from pathlib import Path
from typing import Any

import pytest
from devices import PASSWORD, Account, created, deleted, new_id, project, task
from flask import Flask
from servers import environment, fresh_database, make_app

from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.web.request import API

WEAK, LONG = "short", "x" * 300
NOT_NOW = 9_000_000_000_000  # the year 2255


def told(answer: Any) -> set[str]:
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed"), answer.json
    return set(answer.json["errors"])


CALLS: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("POST", "/auth/register", {"email": "no", "password": WEAK}, {"email", "password"}),
    ("POST", "/auth/register", {"password": "12345678"}, {"email", "password"}),
    (
        "POST",
        "/auth/register",
        {"email": "no", "password": WEAK, "name": LONG, "device_id": "é", "more": 1},
        {"email", "password", "name", "device_id", "more"},
    ),
    (
        "POST",
        "/auth/password/reset",
        {"token": "no", "new_password": WEAK},
        {"token", "new_password"},
    ),
    ("POST", "/auth/password/reset", {"token": "no"}, {"token", "new_password"}),
    ("POST", "/auth/password/reset", {"new_password": WEAK}, {"token", "new_password"}),
    ("POST", "/auth/email/verify", {"token": "no", "more": 1}, {"token", "more"}),
    ("PATCH", "/users/me", {"email": "no"}, {"email", "current_password"}),
    (
        "PATCH",
        "/users/me",
        {"email": "no", "name": LONG, "current_password": "wrong"},
        {"email", "name", "current_password"},
    ),
    (
        "PATCH",
        "/users/me",
        {"email": "new@example.com", "name": LONG, "current_password": "wrong"},
        {"name", "current_password"},
    ),
    ("PATCH", "/users/me", {"name": LONG, "current_password": "wrong"}, {"name"}),
    ("PATCH", "/users/me", {"email": "no", "current_password": PASSWORD}, {"email"}),
    (
        "POST",
        "/users/me/password",
        {"current_password": "wrong", "new_password": WEAK},
        {"current_password", "new_password"},
    ),
    ("POST", "/users/me/password", {"new_password": WEAK}, {"current_password", "new_password"}),
    (
        "POST",
        "/users/me/password",
        {"current_password": "wrong", "new_password": 1, "more": 1},
        {"current_password", "new_password", "more"},
    ),
    ("DELETE", "/users/me", {"password": "wrong", "more": 1}, {"password", "more"}),
    ("POST", "/sync/pull", {"limit": 0, "cursor": "no"}, {"limit", "cursor"}),
    (
        "POST",
        "/sync/pull",
        {"limit": 0, "cursor": "no", "lastPulledAt": NOT_NOW, "migration": 7},
        {"limit", "cursor", "lastPulledAt", "migration"},
    ),
    (
        "GET",
        f"/sync/pull?limit=x&cursor=no&last_pulled_at={NOT_NOW}&migration={{",
        {},
        {"limit", "cursor", "lastPulledAt", "migration"},
    ),
    (
        "POST",
        "/sync/verify",
        {"lastPulledAt": -1, "tables": {"no": {}}},
        {"lastPulledAt", "tables"},
    ),
    (
        "POST",
        "/sync/push",
        {"changes": 7, "lastPulledAt": -1, "pushNumber": 0, "allowPartial": "x"},
        {"changes", "lastPulledAt", "pushNumber", "allowPartial"},
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "places"), CALLS)
def test_all_of_a_call_at_once(
    account: Account, method: str, path: str, body: dict[str, Any], places: set[str]
) -> None:
    """Contract, Errors 4."""
    more = {} if method == "GET" else {"json": body}
    assert told(account.first.call(method, path, **more)) == places
    assert account.device().call("GET", "/users/me").json == account.user


def test_a_409_only_where_there_is_no_422(account: Account, app: Flask) -> None:
    """Contract, Errors 4."""
    taken = Account(app).email
    register = {"email": taken, "password": WEAK}
    assert told(app.test_client().post(f"{API}/auth/register", json=register)) == {"password"}
    change = {"email": taken, "current_password": "wrong"}
    assert told(account.first.call("PATCH", "/users/me", json=change)) == {"current_password"}


def test_verify_names_every_table_and_column(account: Account) -> None:
    """Contract, Errors 4."""
    held = {
        "no": {"count": 0, "checksum": 0},
        "nor": 7,
        "tasks": {"count": -1, "checksum": 0, "columns": ["no"]},
        "projects": {"count": 0, "checksum": 0, "columns": ["no"]},
    }
    answer = account.first.call("POST", "/sync/verify", json={"lastPulledAt": 0, "tables": held})
    assert told(answer) == {"tables"}
    tables = answer.json["errors"]["tables"]
    assert tables.keys() == held.keys()
    assert "There is no such table." in str(tables["nor"])
    assert set(tables["tasks"]) == {"value", "columns"}


BAD = {"projects": created(project(name=LONG))}


@pytest.mark.parametrize(
    "more", [{"lastPulledAt": NOT_NOW}, {"lastPulledAt": -1}, {"pushNumber": 0}]
)
@pytest.mark.parametrize("table", ["projects", "nothing"])
def test_a_push_names_its_records_beside_its_own_fields(
    account: Account, more: dict[str, int], table: str
) -> None:
    """Contract, Errors 4: its code that of the gravest."""
    changes = BAD | {"nothing": created(project())} if table == "nothing" else BAD
    answer = account.first.ask_push(changes, **more)
    assert answer.status_code == 422
    expected = "unknown_table" if table == "nothing" else "validation_failed"
    assert answer.json["code"] == expected
    assert answer.json["errors"].keys() == {*more, "changes"}
    assert answer.json["errors"]["changes"].keys() == changes.keys()
    assert account.first.records("projects") == {}


def test_a_clock_from_the_future_is_told_with_the_missing_parents(account: Account) -> None:
    """Contract, Errors 4; and a partial push is refused with it, as before."""
    changes = {"tasks": created(task("nobody"))}
    for partial in (False, True):
        answer = account.first.ask_push(changes, lastPulledAt=NOT_NOW, allowPartial=partial)
        assert told(answer) == {"lastPulledAt", "changes"}
    good = {"projects": created(project())}
    answer = account.first.ask_push(good, lastPulledAt=NOT_NOW, allowPartial=True)
    assert told(answer) == {"lastPulledAt"}
    assert account.first.records("projects") == {}


def test_a_late_or_forgotten_push_is_told_its_422_first(account: Account, app: Flask) -> None:
    """Contract, Errors 4: what is wrong for good, before what another pull would mend."""
    phone = account.first
    assert phone.ask_push({}, pushNumber=5).status_code == 200
    assert told(phone.ask_push(BAD, pushNumber=4)) == {"changes"}
    assert phone.ask_push(BAD, pushNumber=4, allowPartial=True).json["code"] == "push_outdated"
    phone.push(projects=created(project(id="a")))
    phone.push(projects=deleted("a"))
    phone.pull()
    with app.app_context():
        clock = db.session.query(User).filter_by(email=account.email).one()
        clock.purged_clock = phone.pulled_at
        db.session.commit()
    orphans = {"tasks": created(task("a"))}
    old = {"lastPulledAt": phone.pulled_at - 1}
    assert told(phone.ask_push(BAD | orphans, **old)) == {"changes"}
    for answer in (
        phone.ask_push(orphans, **old),  # its parent may be one that is forgotten
        phone.ask_push(BAD, allowPartial=True, **old),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "sync_conflict")


def test_a_body_that_is_wrong_elsewhere_is_no_way_around_the_limit(tmp_path: Path) -> None:
    """Contract, Accounts 13: guesses at a password count, whatever else is wrong with the body."""
    bodies = [
        ("PATCH", "/users/me", {"email": "no", "current_password": "wrong"}),
        ("POST", "/users/me/password", {"current_password": "wrong", "new_password": 1}),
        ("DELETE", "/users/me", {"password": "wrong", "more": 1}),
        ("POST", "/auth/email/verify", {"token": new_id(), "more": 1}),
        ("POST", "/auth/password/reset", {"token": new_id(), "new_password": 1}),
    ]
    with fresh_database("sqlite", tmp_path) as url:
        few = {"RATELIMIT_ENABLED": "true", "RATELIMIT_LOGIN_PER_ADDRESS": "3/hour"}
        app = make_app(environment("sqlite", url, **few), tmp_path)
        for number, (method, path, body) in enumerate(bodies):
            phone, here = Account(app).first, {"REMOTE_ADDR": f"192.0.2.{number}"}
            asked = [phone.call(method, path, json=body, environ_overrides=here) for _ in range(4)]
            statuses = [answer.status_code for answer in asked]
            assert statuses == [422, 422, 422, 429], path
        with app.app_context():
            db.engine.dispose()
