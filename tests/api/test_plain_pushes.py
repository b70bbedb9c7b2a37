"""A push in front of Flask is stored, refused and told as Flask's is."""

import gzip
import logging
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import environment, make_app
from devices import API, Account, Device, created, deleted, edited, new_id, project, task, updated
from flask import Flask, request
from in_front import UNUSUAL, headers_of, limiter_as_it_was, new_phone, phone, seen_by_flask, store
from servers import PrivateRedis
from sqlalchemy import Engine
from sqlalchemy.engine.base import RootTransaction
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from melon_api.bulkheads import account_queue
from melon_api.errors import Unavailable
from melon_api.logic import before_push, registry
from melon_api.models.base import db
from melon_api.ops.logs import REQUESTS
from melon_api.sync import push as pushes
from melon_api.sync.front import call
from melon_api.web import app_routes

FIXTURES = (limiter_as_it_was, new_phone, phone, store)
FEW = {"RATELIMIT_ENABLED": "true", "RATELIMIT_PUSH_PER_ACCOUNT": "6/minute;100/hour"}
PATH = f"{API}/sync/push"


def push(phone: Device, tables: dict[str, Any] | None = None, **more: Any) -> TestResponse:
    tables = {"projects": created(project())} if tables is None else tables
    body = {"changes": tables, "lastPulledAt": phone.pulled_at}
    return phone.call("POST", "/sync/push", **{"json": body} | more)


@pytest.mark.parametrize("settings", [{}, {"CORS_ORIGINS": "https://app.example"}, FEW])
def test_both_answer_alike(new_phone: Any, monkeypatch: Any, settings: dict[str, str]) -> None:
    phone = new_phone(**settings)
    record = created(project(id="home"))
    with seen_by_flask(phone.http.application) as seen:
        first = push(phone, {"projects": record})
        again = push(phone, {"projects": record})
        assert not seen
        monkeypatch.setattr(call, "PLAIN_TYPES", set())
        second = push(phone, {"projects": record})
        assert seen
    phone.pull()
    assert first.json == {"timestamp": phone.pulled_at}
    assert (again.status, again.data) == (second.status, second.data)
    ours, flasks = headers_of(again), headers_of(second)
    left = [headers.pop("RateLimit-Remaining", None) for headers in (ours, flasks)]
    for headers in (ours, flasks):
        headers.pop("RateLimit-Reset", None)
    assert ours == flasks
    if settings is FEW:  # one push before
        assert left == ["3", "2"]


BAD = {
    "unknown table": ({"nothing": created(project())}, 422, "unknown_table"),
    "bad id": ({"projects": created(project(id="a b"))}, 422, "validation_failed"),
    "no parent": ({"tasks": created(task("nobody"))}, 422, "unknown_parent"),
    "no lists": ({"projects": {"created": 7}}, 422, "validation_failed"),
    "no table": ({"projects": 7}, 422, "validation_failed"),
    "too many": ({"projects": deleted(*["x"] * 60)}, 413, "payload_too_large"),
}


@pytest.mark.parametrize(("tables", "status", "code"), BAD.values(), ids=BAD)
def test_what_is_refused_is_refused_by_flask(
    phone: Device, monkeypatch: Any, tables: Any, status: int, code: str
) -> None:
    """In the same words, and nothing of it is stored or tried twice."""
    app = phone.http.application
    app.config["MAX_PUSH_RECORDS"] = 50
    tried: list[Any] = []
    store_push = pushes.push
    monkeypatch.setattr(pushes, "push", lambda *all_: (tried.append(1), store_push(*all_))[1])
    before = phone.records("projects")
    tables = tables | {"projects": tables.get("projects", created(project()))}
    ours = push(phone, tables)
    assert (ours.status_code, ours.json["code"]) == (status, code)
    assert ours.json["request_id"] == ours.headers["X-Request-ID"]
    assert len(tried) <= 1
    monkeypatch.setattr(call, "PLAIN_TYPES", set())
    flasks = push(phone, tables)
    assert ours.json | {"request_id": 0} == flasks.json | {"request_id": 0}
    assert phone.records("projects") == before


def test_a_crash_is_logged_once_with_the_request(
    phone: Device, monkeypatch: Any, caplog: Any
) -> None:
    """Contract, Errors 3."""

    def fail(*_: Any) -> None:
        raise RuntimeError("of the engine")

    monkeypatch.setattr(pushes, "push", fail)
    with caplog.at_level(logging.INFO):
        answer = push(phone, headers={"X-Request-ID": "from-the-phone"})
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert answer.headers["X-Request-ID"] == "from-the-phone"
    crashes = [record for record in caplog.records if record.exc_info]
    assert len(crashes) == 1
    assert "of the engine" not in answer.text


def test_an_older_push_is_refused(phone: Device) -> None:
    """Contract push 8."""
    body = {"changes": {"projects": created(project())}, "lastPulledAt": phone.pulled_at}
    assert push(phone, json=body | {"pushNumber": 7}).status_code == 200
    with seen_by_flask(phone.http.application) as seen:
        assert push(phone, json=body | {"pushNumber": 8}).status_code == 200
        assert not seen
    answer = push(phone, json=body | {"pushNumber": 6})
    assert (answer.status_code, answer.json["code"]) == (409, "push_outdated")


def test_a_partial_push_is_told_what_is_left(phone: Device, monkeypatch: Any) -> None:
    """Contract push 6, by both ways."""
    tables = {"projects": created(project(id="ok"), project(id="a b"))}
    body = {"changes": tables, "lastPulledAt": phone.pulled_at, "allowPartial": True}
    with seen_by_flask(phone.http.application) as seen:
        ours = push(phone, json=body)
        assert not seen
    monkeypatch.setattr(call, "PLAIN_TYPES", set())
    assert ours.json == push(phone, json=body).json
    assert ours.json["rejected"] == {"projects": {"a b": "validation_failed"}}
    assert "ok" in phone.records("projects")


def test_a_long_answer_is_packed(phone: Device, monkeypatch: Any) -> None:
    """As Flask's is, and it is stored once."""
    tables = {"projects": created(project(id="ok"), *(project(id=f"a {n}") for n in range(50)))}
    body = {"changes": tables, "lastPulledAt": phone.pulled_at, "allowPartial": True}
    packed = {"json": body, "headers": {"Accept-Encoding": "gzip"}}
    tried: list[Any] = []
    store_push = pushes.push
    monkeypatch.setattr(pushes, "push", lambda *all_: (tried.append(1), store_push(*all_))[1])
    ours = push(phone, **packed)
    assert len(tried) == 1
    monkeypatch.setattr(call, "PLAIN_TYPES", set())
    flasks = push(phone, **packed)
    assert ours.headers["Content-Encoding"] == flasks.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(ours.data) == gzip.decompress(flasks.data)
    assert headers_of(ours).keys() == headers_of(flasks).keys()
    assert "ok" in phone.records("projects")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        *UNUSUAL,
        ({"query_string": {"partial": "1"}}, 200),
        ({"query_string": {"last_pulled_at": "0"}}, 200),
        ({"json": {"changes": 7}}, 422),
        ({"json": {"changes": {}, "lastPulledAt": -1}}, 422),
        ({"json": {"changes": {}, "lastPulledAt": None}}, 200),
        ({"json": {"changes": {}, "lastPulledAt": 1, "pushNumber": 0}}, 422),
        ({"json": {"changes": {}, "lastPulledAt": 1, "appVersion": "1.0"}}, 200),
        ({"json": {"lastPulledAt": 1}}, 422),
        ({"data": b"", "content_type": "application/json"}, 400),
        ({"data": b'{"changes": {"x": "' + b"y" * 70_000}, 400),
    ],
    ids=lambda value: str(value)[:60],
)
def test_whatever_is_unusual_goes_to_flask(
    phone: Device, request_: dict[str, Any], status: int
) -> None:
    more = dict(request_)
    if "data" in more:
        more = {"json": None, "content_type": "application/json"} | more
    with seen_by_flask(phone.http.application) as seen:
        answer = push(phone, **more)
    assert seen == [PATH]
    assert answer.status_code == status, answer.text


def test_half_an_emoji_goes_to_flask(phone: Device) -> None:
    body = {"changes": {"projects": created(project(id="x", name="?"))}, "lastPulledAt": 1}
    data = orjson.dumps(body).replace(b"?", rb"\ud83d")
    answer = push(phone, json=None, data=data, content_type="application/json")
    assert answer.status_code == 200
    assert phone.records("projects")["x"]["name"] == "\ufffd"


def test_a_body_cut_short_is_not_stored(phone: Device) -> None:
    """Contract, Requests 4."""
    answer = push(phone, environ_overrides={"CONTENT_LENGTH": "999"})
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert len(phone.records("projects")) == 1


@pytest.mark.parametrize("end", ["logout", "delete", "deactivate", "verify"])
def test_who_may_not_push_stores_nothing(phone: Device, end: str) -> None:
    """A revoked token, a deleted account, a disabled one, an address that is not verified."""
    app = phone.http.application
    if end == "logout":
        assert phone.call("POST", "/auth/logout").status_code == 204
    elif end == "delete":
        body = {"password": "correct-horse-battery"}
        assert phone.call("DELETE", "/users/me", json=body).status_code == 204
    elif end == "deactivate":
        email = phone.call("GET", "/users/me").json["email"]
        assert app.test_cli_runner().invoke(args=["users", "deactivate", email]).exit_code == 0
    else:
        app.config["REQUIRE_VERIFIED_EMAIL"] = True
    answer = push(phone)
    assert answer.json["code"] in {"token_revoked", "account_disabled", "email_not_verified"}
    assert answer.status_code in (401, 403)


def test_it_is_the_tokens_account_that_is_written(new_phone: Any) -> None:
    phone = new_phone()
    other = Account(phone.http.application).first
    for _ in range(3):
        other.pull()
    with seen_by_flask(phone.http.application) as seen:
        assert push(other, {"projects": created(project(id="mine"))}).status_code == 200
        assert not seen
    assert "mine" not in phone.records("projects")
    assert "mine" in other.records("projects")


def test_the_limit_is_the_same_on_both_ways(new_phone: Any) -> None:
    phone = new_phone(**FEW)
    answers = [push(phone, headers={"Accept": a}) for a in ("*/*", "application/*") * 4]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    left = [answer.headers["RateLimit-Remaining"] for answer in answers]
    assert left == ["4", "3", "2", "1", "0", "0", "0", "0"]
    assert len(phone.records("projects")) == 6


def test_a_refused_push_is_counted_once_and_says_so(new_phone: Any, monkeypatch: Any) -> None:
    phone = new_phone(**FEW)
    tables = {"tasks": created(task("nobody"))}
    ours = push(phone, tables)
    monkeypatch.setattr(call, "PLAIN_TYPES", set())
    flasks = push(phone, tables)
    assert ours.status_code == flasks.status_code == 422
    assert headers_of(ours).keys() == headers_of(flasks).keys()
    left = [answer.headers["RateLimit-Remaining"] for answer in (ours, flasks)]
    assert left == ["4", "3"]


def test_a_full_queue_is_told(phone: Device, monkeypatch: Any) -> None:
    monkeypatch.setattr("melon_api.bulkheads.TURN_SECONDS", 0.1)
    user = phone.call("GET", "/users/me").json["id"]
    release, taken = threading.Event(), threading.Event()

    def hold() -> None:
        with account_queue(user, 1) as queue, queue.turn():
            taken.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    answer = push(phone)
    release.set()
    holder.join()
    assert (answer.status_code, answer.json["code"]) == (503, Unavailable.code)
    assert push(phone).status_code == 200


def test_a_rule_of_the_app_is_asked(phone: Device) -> None:
    """Contract push 10."""
    from tests.example.models import Project  # noqa: PLC0415 - as the application knows it

    @before_push(Project)
    def no_x(changes: Any) -> None:
        for record in changes.created:
            if record["name"] == "x":
                record.refuse("Not x.")

    try:
        answer = push(phone, {"projects": created(project(name="x"))})
        assert (answer.status_code, answer.json["code"]) == (422, "refused")
        assert push(phone, {"projects": created(project(name="y"))}).status_code == 200
    finally:
        registry.rules.clear()


def test_hooks_of_the_app_see_each_push(new_phone: Any, monkeypatch: Any) -> None:
    """A blueprint may have some for every call."""
    seen: list[str] = []

    def note() -> None:
        seen.append(request.path)

    def with_hook(app: Flask) -> None:
        init_app(app)
        app.before_request(note)

    init_app = app_routes.init_app
    monkeypatch.setattr(app_routes, "init_app", with_hook)
    phone = new_phone()
    seen.clear()
    assert push(phone).status_code == 200
    assert seen == [PATH]


def test_edits_and_deletions_arrive(phone: Device) -> None:
    home = project(id=new_id())
    with seen_by_flask(phone.http.application) as seen:
        push(phone, {"projects": created(home)})
        push(phone, {"projects": updated(edited(home, name="new"))})
        push(phone, {"projects": deleted(home["id"])})
        assert not seen
    assert home["id"] not in phone.records("projects")


def test_a_push_that_may_be_stored_is_not_said_to_be_lost(
    phone: Device, store: PrivateRedis, monkeypatch: Any
) -> None:
    """Contract, Errors 6. The database and Redis go at the COMMIT: who asks Flask is known no
    more."""
    app, commit = phone.http.application, RootTransaction.commit
    with app.app_context():
        engine = db.engine

    def stay_away(*_: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception(2003, "away"))

    def broken(self: RootTransaction) -> None:
        commit(self)
        store.kill()
        monkeypatch.setattr(type(engine), "connect", stay_away)
        raise OperationalError("COMMIT", {}, Exception(2013, "lost"), connection_invalidated=True)

    monkeypatch.setattr(RootTransaction, "commit", broken)
    answer = push(phone, {"projects": created(project(id="mine"))})
    monkeypatch.undo()
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "mine" in phone.records("projects")


@pytest.mark.parametrize("accept", ["*/*", "application/*"], ids=["front", "flask"])
def test_a_push_is_stored_of_which_nobody_can_be_told(
    phone: Device, store: PrivateRedis, monkeypatch: Any, accept: str
) -> None:
    """Redis and the database go behind its COMMIT: Redis may be back in a moment, with an older
    clock. 503 would say that nothing was applied (contract, Errors 6)."""
    commit = RootTransaction.commit

    def stay_away(*_: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception(2003, "away"))

    def lost_behind(self: RootTransaction) -> None:
        commit(self)
        store.kill()
        monkeypatch.setattr(Engine, "connect", stay_away)

    monkeypatch.setattr(RootTransaction, "commit", lost_behind)
    body = {"projects": created(project(id="mine"))}
    answer = push(phone, body, headers={"Accept": accept})
    monkeypatch.undo()
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "mine" in phone.records("projects")


def test_the_line_of_a_refused_push_says_what_it_took(
    phone: Device, monkeypatch: Any, caplog: Any
) -> None:
    """Also what was done in front of Flask."""

    def lines() -> list[Any]:
        return [record.msg for record in caplog.records if record.name == REQUESTS]

    tables = {"projects": created(project()), "tasks": created(task("nobody"))}
    with caplog.at_level(logging.INFO):
        push(phone, tables)
        monkeypatch.setattr(call, "PLAIN_TYPES", set())
        push(phone, tables)
    ours, flasks = lines()
    assert ours.keys() == flasks.keys()
    assert (ours["sql"], ours["records_pushed"]) == (flasks["sql"], flasks["records_pushed"])
    assert ours["records_pushed"] == 2


def test_a_rule_sees_the_request(phone: Device) -> None:
    """As it does where Flask is given the push from the start."""
    from tests.example.models import Project  # noqa: PLC0415 - as the application knows it

    @before_push(Project)
    def in_the_phones_language(changes: Any) -> None:
        for record in changes.created:
            record.refuse("Nein." if request.accept_languages.best == "de" else "No.")

    try:
        for _ in range(2):
            answer = push(phone, headers={"Accept-Language": "de"})
            assert answer.status_code == 422
            assert "Nein." in answer.text
        with seen_by_flask(phone.http.application) as seen:
            assert push(phone, {"projects": deleted("x")}).status_code == 200
            assert seen == [PATH]
    finally:
        registry.rules.clear()


def test_hooks_of_the_servers_own_module_see_each_push(store: PrivateRedis, tmp_path: Path) -> None:
    """Registered on what `create_app` returns."""
    seen: list[str] = []

    def note(response: Any) -> Any:
        seen.append(request.path)
        return response

    url = f"sqlite:///{tmp_path}/hooks.db"
    app = make_app(environment("sqlite", url, REDIS_URL=store.url), tmp_path)
    app.after_request(note)
    phone = Account(app).first
    for _ in range(3):
        phone.pull()
    seen.clear()
    assert push(phone).status_code == 200
    assert seen == [PATH]
