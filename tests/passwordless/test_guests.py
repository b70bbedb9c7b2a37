"""Contract, Accounts 18 and 19: who begins without saying who they are; on every backend."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import DATABASES, environment, fresh_database, make_app
from devices import API, PASSWORD, Account, Device, bare, created, guest, new_id, project
from flask import Flask
from flask_migrate import downgrade
from flask_migrate import upgrade as upgrade_to

import config as settings
from melon_api import create_app
from melon_api.models.base import db
from melon_api.ops.migrations import upgrade

NEW = "another-horse-battery"


def address() -> str:
    return f"{new_id()}@example.com"


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.json["code"]


def me(device: Device) -> dict[str, Any]:
    answer = device.call("GET", "/users/me")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def ways(user: dict[str, Any]) -> tuple[Any, ...]:
    names = ("email", "is_guest", "has_password", "email_verified", "identities")
    return tuple(user[name] for name in names)


def login(app: Flask, email: str, password: str = PASSWORD) -> Any:
    body = {"email": email, "password": password}
    return app.test_client().post(f"{API}/auth/login", json=body)


def test_a_guest_syncs_at_once(app: Flask) -> None:
    """Contract, Accounts 18: 201 token answer; the user's `email` is null."""
    body = {"name": "Ada", "device_name": "Phone", "device_id": "p1"}
    answer = app.test_client().post(f"{API}/auth/guest", json=body)
    assert answer.status_code == 201
    phone, home = Device(app, answer.json), project()
    assert ways(answer.json["user"]) == (None, True, False, False, [])
    assert answer.json["user"] == me(phone)
    assert answer.json["user"]["name"] == "Ada"
    phone.push(projects=created(home))
    assert phone.records("projects") == {home["id"]: bare(home)}
    assert guest(app).records("projects") == {}


def test_a_guest_needs_no_body(app: Flask) -> None:
    for more in ({}, {"json": {}}, {"json": {"name": None}}):
        assert app.test_client().post(f"{API}/auth/guest", **more).status_code == 201
    answer = app.test_client().post(f"{API}/auth/guest", json={"name": 7, "more": 1})
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"name", "more"}


def test_nobody_signs_in_as_a_guest(app: Flask) -> None:
    """It has no address and no password; the mark for none is no password either."""
    phone = guest(app)
    for email in ("", "None", "null", me(phone)["id"]):
        assert login(app, email).status_code == 422
    assert phone.call("POST", "/auth/email/resend").status_code == 202


def test_an_upgrade_keeps_id_sessions_and_records(app: Flask) -> None:
    """Contract, Accounts 18: a guest gets an address, and keeps its id, its sessions and its
    data."""
    phone, home, email = guest(app, name="Ada"), project(), address()
    before = me(phone)
    phone.push(projects=created(home))
    body = {"email": email.upper(), "password": NEW}
    answer = phone.call("POST", "/users/me/upgrade", json=body)
    assert answer.status_code == 200
    assert ways(answer.json) == (email, False, True, False, [])
    assert (answer.json["id"], answer.json["name"]) == (before["id"], "Ada")
    assert me(phone) == answer.json
    tablet = Device(app, login(app, email, NEW).json)
    assert set(tablet.records("projects")) == {home["id"]}
    assert len(tablet.call("GET", "/auth/sessions").json) == 2


def test_an_upgrade_needs_no_password(app: Flask) -> None:
    phone, email = guest(app), address()
    answer = phone.call("POST", "/users/me/upgrade", json={"email": email, "name": "Bo"})
    assert ways(answer.json) == (email, False, False, False, [])
    assert answer.json["name"] == "Bo"
    assert failure(login(app, email)) == (401, "invalid_credentials")
    assert failure(login(app, email, "!")) == (401, "invalid_credentials")


def test_an_upgrade_of_what_is_no_guest_is_forbidden(account: Account) -> None:
    """Contract, Accounts 18: 403 `forbidden`; and before any 409."""
    taken = Account(account.app).email
    answer = account.first.call("POST", "/users/me/upgrade", json={"email": taken})
    assert failure(answer) == (403, "forbidden")
    phone = guest(account.app)
    body = {"email": address()}
    assert phone.call("POST", "/users/me/upgrade", json=body).status_code == 200
    assert failure(phone.call("POST", "/users/me/upgrade", json=body)) == (403, "forbidden")


def test_a_bad_upgrade_names_all_of_it_and_changes_nothing(account: Account) -> None:
    """Contract, Errors 4."""
    phone = guest(account.app)
    before = me(phone)
    body = {"email": "no", "password": "short", "name": "x" * 300, "more": 1}
    answer = phone.call("POST", "/users/me/upgrade", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"email", "password", "name", "more"}
    taken = phone.call("POST", "/users/me/upgrade", json={"email": account.email})
    assert failure(taken) == (409, "email_taken")
    assert me(phone) == before


def test_of_many_upgrades_at_once_one_counts(app: Flask) -> None:
    phone = guest(app)
    emails = [address() for _ in range(4)]

    def ask(email: str) -> int:
        answer = app.test_client().post(
            f"{API}/users/me/upgrade",
            json={"email": email},
            headers={"Authorization": f"Bearer {phone.access_token}"},
        )
        return int(answer.status_code)

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(ask, emails))
    assert sorted(statuses) == [200, 403, 403, 403]
    assert me(phone)["email"] == emails[statuses.index(200)]


@pytest.mark.parametrize("more", [{}, {"json": {}}])
def test_a_guest_proves_itself_by_its_session(app: Flask, more: dict[str, Any]) -> None:
    """Contract, Accounts 18: it needs no more than its live session."""
    phone, other = guest(app), guest(app)
    phone.push(projects=created(project()))
    assert phone.call("DELETE", "/users/me", **more).status_code == 204
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")
    assert me(other)["is_guest"]


def test_a_guest_may_take_an_address_and_a_password_apart(app: Flask) -> None:
    phone, email = guest(app), address()
    assert phone.call("PATCH", "/users/me", json={"email": email}).json["email"] == email
    answer = phone.call("POST", "/users/me/password", json={"new_password": NEW})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["current_password"]  # it is no guest any more
    phone = guest(app)
    assert phone.call("POST", "/users/me/password", json={"new_password": NEW}).status_code == 204
    assert ways(me(phone)) == (None, False, True, False, [])


def test_an_account_with_no_password_asked_to_prove_itself(app: Flask) -> None:
    """A threat: neither nothing, nor what is stored in place of a password, proves anything."""
    phone = guest(app)
    phone.call("POST", "/users/me/upgrade", json={"email": address()})
    for password in ("!", "", PASSWORD, None):
        answer = phone.call("DELETE", "/users/me", json={"password": password})
        assert failure(answer) == (422, "validation_failed")
        assert list(answer.json["errors"]) == ["password"]
    assert failure(phone.call("DELETE", "/users/me")) == (422, "validation_failed")
    assert me(phone)["has_password"] is False


def test_guests_are_limited_for_a_client_address(tmp_path: Path) -> None:
    """Contract, Accounts 19."""
    limits = {"RATELIMIT_ENABLED": "true", "RATELIMIT_GUEST_PER_ADDRESS": "2/hour"}
    app = make_app(environment("sqlite", f"sqlite:///{tmp_path}/it.db", **limits), tmp_path)
    http = app.test_client()

    def ask(client: str) -> Any:
        return http.post(f"{API}/auth/guest", json={}, environ_base={"REMOTE_ADDR": client})

    assert [ask("192.0.2.1").status_code for _ in range(3)] == [201, 201, 429]
    assert failure(ask("192.0.2.1")) == (429, "rate_limited")
    assert int(ask("192.0.2.1").headers["Retry-After"]) > 0
    assert ask("192.0.2.2").status_code == 201


def test_an_operator_sees_guests(app: Flask) -> None:
    phones = [guest(app, name=f"Guest {n}") for n in range(3)]
    ids = {me(phone)["id"] for phone in phones}
    account = Account(app)
    run = app.test_cli_runner().invoke
    listed = [line.split() for line in run(args=["users", "list"]).output.splitlines()]
    found = {line[0]: line[1] for line in listed}
    assert {found[user_id] for user_id in ids} == {"-"}
    assert found[account.user["id"]] == account.email
    assert len(found) == len(listed)  # each once
    some = run(args=["users", "list", "guest 1"]).output
    assert me(phones[1])["id"] in some and me(phones[0])["id"] not in some
    (one, *_) = ids
    assert run(args=["users", "delete", one, "--yes"]).exit_code == 0


@pytest.fixture(params=DATABASES)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with fresh_database(request.param, tmp_path) as url:
        app = create_app(settings.load(environment(request.param, url), tmp_path))
        with app.app_context():
            upgrade()
            yield app
            db.session.remove()
            db.engine.dispose()


def test_guests_outlive_a_way_back(served: Flask) -> None:
    """A release is taken back and deployed again: nobody's records are lost, and who has no
    address has none again."""
    phones, home, account = [guest(served), guest(served)], project(), Account(served)
    phones[0].push(projects=created(home))
    account.first.push(projects=created(home))
    db.session.remove()
    downgrade(revision="melon@-1")
    upgrade_to(revision="heads")
    assert [ways(me(phone)) for phone in phones] == [(None, True, False, False, [])] * 2
    assert set(phones[0].records("projects")) == {home["id"]}
    assert account.device().records("projects") == {home["id"]: bare(home)}
