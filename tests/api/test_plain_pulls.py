"""A pull with few news is answered in front of Flask as Flask answers it; others are Flask's."""

import gzip
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from conftest import close_cache, environment, fresh_database, make_app, statements
from devices import API, Account, Device, created, deleted, edited, project, task, updated
from flask import Flask
from in_front import headers_of, limiter_as_it_was, new_phone, phone, seen_by_flask, store
from servers import PrivateRedis
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from melon_api.models.base import db
from melon_api.ops.logs import REQUESTS
from melon_api.sync.front import call
from melon_api.sync.sql import changes_text, delta_pull

FIXTURES = (limiter_as_it_was, new_phone, phone, store)
PATH = f"{API}/sync/pull"
FEW = {"RATELIMIT_ENABLED": "true", "RATELIMIT_PULL_PER_ACCOUNT": "99/minute"}
Told = Callable[..., TestResponse]


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("news")
    with PrivateRedis(folder) as redis, fresh_database(request.param, folder) as url:
        app = make_app(environment(request.param, url, REDIS_URL=redis.url, **FEW), folder)
        yield app
        close_cache(app)
        with app.app_context():
            db.engine.dispose()


class Pair:
    """Two phones of an account; the process knows the first, which has news to pull."""

    def __init__(self, app: Flask) -> None:
        self.app, account = app, Account(app)
        self.phone, self.other = account.first, account.device()
        self.home, self.old = project(id="home"), task("home", id="old")
        self.phone.push(projects=created(self.home), tasks=created(self.old, task("home", id="x")))
        for _ in range(3):
            self.phone.pull()
        self.other.pull()
        self.tell(projects=created(project(id="theirs")))
        self.tell(tasks=updated(edited(self.old, title='"new"\n')))
        self.tell(tasks=deleted("x"))

    def tell(self, **tables: Any) -> None:
        """By the other phone."""
        self.other.push(**tables)

    def ask(self, **more: Any) -> TestResponse:
        body = {"lastPulledAt": self.phone.pulled_at, "schemaVersion": 1, "migration": None}
        return self.phone.call("POST", "/sync/pull", **{"json": body} | more)


@pytest.fixture
def pair(app: Flask) -> Pair:
    return Pair(app)


@pytest.fixture
def by_flask(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> Told:
    """Ask Flask alone."""

    def ask(**more: Any) -> TestResponse:
        with monkeypatch.context() as patched:
            patched.setattr(call, "PLAIN_TYPES", set())
            return pair.ask(**more)

    return ask


def test_both_answer_alike(pair: Pair, by_flask: Told) -> None:
    """Contract pull 1 and 3."""
    with seen_by_flask(pair.app) as seen:
        first = pair.ask()
        assert not seen
        second = by_flask()
        assert seen == [PATH]
    assert (first.status, first.data) == (second.status, second.data)
    changes = first.json["changes"]
    assert [record["id"] for record in changes["projects"]["created"]] == ["theirs"]
    assert [record["title"] for record in changes["tasks"]["updated"]] == ['"new"\n']
    assert changes["tasks"]["deleted"] == ["x"]
    ours, flasks = headers_of(first), headers_of(second)
    left = [int(headers.pop("RateLimit-Remaining")) for headers in (ours, flasks)]
    for headers in (ours, flasks):
        headers.pop("RateLimit-Reset")
    assert ours == flasks
    assert left[0] - left[1] == 1


def test_the_next_pull_finds_nothing_and_asks_no_database(pair: Pair) -> None:
    """Contract pull 1: the clock is remembered when the answer has been sent."""
    pair.phone.pull()
    with statements(pair.app) as asked:
        answer = pair.ask()
    assert not asked
    assert answer.json["timestamp"] == pair.phone.pulled_at
    assert not any(answer.json["changes"]["tasks"].values())


def test_many_news_are_flasks(pair: Pair, by_flask: Told, monkeypatch: Any) -> None:
    """They are looked for in the quick way once, and counted once."""
    monkeypatch.setattr(delta_pull, "FEW", 2)
    delta_pull._few_statement.cache_clear()
    pair.tell(tasks=created(*(task("home") for _ in range(5))))
    with seen_by_flask(pair.app) as seen, statements(pair.app) as asked:
        first = pair.ask()
    ours = list(asked)
    with statements(pair.app) as asked:
        second = by_flask()
    monkeypatch.undo()
    delta_pull._few_statement.cache_clear()
    assert seen == [PATH]
    assert (first.status, first.data) == (second.status, second.data)
    assert len(first.json["changes"]["tasks"]["created"]) == 5
    assert ours == asked
    left = [int(answer.headers["RateLimit-Remaining"]) for answer in (first, second)]
    assert left[0] - left[1] == 1


def test_news_that_go_to_the_disk_are_flasks(pair: Pair, by_flask: Told, monkeypatch: Any) -> None:
    """Their answer is sent from there, and the file is closed."""
    monkeypatch.setattr(changes_text, "KEPT_BYTES", 20)
    with seen_by_flask(pair.app) as seen:
        first = pair.ask()
    assert seen == [PATH]
    assert first.data == by_flask().data
    assert first.json["changes"]["tasks"]["deleted"] == ["x"]


def test_the_line_of_a_pull_says_what_it_took(pair: Pair, by_flask: Told, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, REQUESTS):
        pair.ask(headers={"X-Request-ID": "from-the-phone"})
        by_flask()
    ours, flasks = (record.msg for record in caplog.records if record.name == REQUESTS)
    assert ours.keys() == flasks.keys()
    for fact in ("event", "pull", "records_pulled", "sql", "bytes_out", "account_id"):
        assert ours[fact] == flasks[fact]
    assert (ours["pull"], ours["records_pulled"]) == ("incremental", 3)
    assert ours["request_id"] == "from-the-phone"


def test_a_long_answer_is_packed(pair: Pair, by_flask: Told, monkeypatch: Any) -> None:
    """Contract, Requests 2: by Flask, and it is read once."""
    monkeypatch.setitem(pair.app.config, "COMPRESS_MIN_SIZE", 100)
    packed = {"Accept-Encoding": "gzip"}
    with statements(pair.app) as asked:
        first = pair.ask(headers=packed)
    assert len(asked) == 1
    second = by_flask(headers=packed)
    assert first.headers["Content-Encoding"] == second.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(first.data) == gzip.decompress(second.data)
    assert headers_of(first).keys() == headers_of(second).keys()


@pytest.mark.parametrize("since", ["before the account", "ahead", "far ahead"])
def test_a_strange_clock_is_told_as_flask_tells_it(pair: Pair, by_flask: Told, since: str) -> None:
    """Contract pull 1."""
    now = pair.ask().json["timestamp"]
    clock = {"before the account": 1, "ahead": now + 60_000, "far ahead": now + 10**9}[since]
    answers = [ask(json={"lastPulledAt": clock}) for ask in (pair.ask, by_flask)]
    ours, flasks = (a.json | {"request_id": 0} for a in answers)
    assert ours == flasks
    assert {a.status_code for a in answers} == {{1: 409, now + 60_000: 200}.get(clock, 422)}
    if clock == now + 60_000:
        assert ours["timestamp"] == clock


@pytest.mark.parametrize("end", ["none", "another's", "logout", "deactivate", "delete"])
def test_who_may_not_pull_is_told_nothing(pair: Pair, end: str) -> None:
    """No token, someone else's, a revoked one, a disabled and a deleted account's."""
    phone, token = pair.phone, pair.phone.access_token
    if end == "none":
        token = "x"
    elif end == "another's":
        token = Account(pair.app).first.access_token
    elif end == "logout":
        assert phone.call("POST", "/auth/logout").status_code == 204
    elif end == "delete":
        body = {"password": "correct-horse-battery"}
        assert phone.call("DELETE", "/users/me", json=body).status_code == 204
    else:
        email = phone.call("GET", "/users/me").json["email"]
        done = pair.app.test_cli_runner().invoke(args=["users", "deactivate", email])
        assert done.exit_code == 0
    answer = phone.call("POST", "/sync/pull", token, json={"lastPulledAt": phone.pulled_at})
    assert "theirs" not in answer.text
    assert answer.status_code == (200 if end == "another's" else answer.json["status"])
    codes = {"none": "token_invalid", "another's": None, "deactivate": "account_disabled"}
    assert answer.json.get("code") == codes.get(end, "token_revoked")


def test_a_database_that_is_away_is_an_outage(pair: Pair, monkeypatch: Any, caplog: Any) -> None:
    """Contract, Errors 6; it is asked once."""
    asked = []

    def stay_away(*_: Any) -> None:
        asked.append(1)
        raise OperationalError("SELECT 1", {}, Exception(2003, "away"))

    monkeypatch.setattr(Engine, "connect", stay_away)
    answer = pair.ask(headers={"X-Request-ID": "from-the-phone"})
    monkeypatch.undo()
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert answer.json["request_id"] == "from-the-phone"
    assert len(asked) == 1
    assert pair.ask().status_code == 200


def test_the_snapshot_ends_behind_the_answer(pair: Pair, monkeypatch: Any) -> None:
    """And the connection is in the pool again, whichever way the answer went."""
    ended: list[bool] = []
    with pair.app.app_context():
        pool, rollback = db.engine.pool, DefaultDialect.do_rollback

    def note(self: Any, connection: Any) -> None:
        ended.append(bool(told))
        rollback(self, connection)

    told: list[bytes] = []
    monkeypatch.setattr(DefaultDialect, "do_rollback", note)
    body = {"lastPulledAt": pair.phone.pulled_at}
    answer = pair.phone.call("POST", "/sync/pull", json=body, buffered=False)
    told += answer.response
    assert not ended
    answer.close()
    assert ended == [True]
    assert pool.checkedout() == 0  # type: ignore[attr-defined]
    assert b"theirs" in b"".join(told)
    pair.ask(json={"lastPulledAt": 1})
    assert pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_connection_that_breaks_behind_the_answer_is_replaced(
    pair: Pair, monkeypatch: Any, caplog: Any
) -> None:
    def broken(*_: Any) -> None:
        raise pymysql.OperationalError(2013, "lost")

    with monkeypatch.context() as patched:
        patched.setattr(DefaultDialect, "do_rollback", broken)
        answer = pair.ask()
    assert (answer.status_code, answer.json["changes"]["tasks"]["deleted"]) == (200, ["x"])
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "a snapshot was not ended: 2013"
    ]
    assert pair.ask().json["changes"]["tasks"]["deleted"] == ["x"]


def test_a_crash_is_logged_once(pair: Pair, monkeypatch: Any, caplog: Any) -> None:
    """Contract, Errors 3."""

    def fail(*_: Any) -> None:
        raise RuntimeError("of the engine")

    monkeypatch.setattr(delta_pull, "read_few", fail)
    with caplog.at_level(logging.INFO):
        answer = pair.ask()
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert "of the engine" not in answer.text


def test_sqlite_leaves_news_to_flask(phone: Device) -> None:
    since = phone.pulled_at
    phone.push(projects=created(project(id="new")))
    with seen_by_flask(phone.http.application) as seen:
        answer = phone.call("POST", "/sync/pull", json={"lastPulledAt": since})
    assert seen == [PATH]
    assert [record["id"] for record in answer.json["changes"]["projects"]["updated"]] == ["new"]


def test_hooks_of_the_servers_own_module_see_each_pull(
    app: Flask, store: PrivateRedis, tmp_path: Path
) -> None:
    """Registered on what `create_app` returns."""
    seen: list[int] = []

    def note(response: Any) -> Any:
        seen.append(response.status_code)
        return response

    url = str(app.config["SQLALCHEMY_DATABASE_URI"])
    hooked = make_app(environment("mysql", url, REDIS_URL=store.url), tmp_path)
    hooked.after_request(note)
    pair = Pair(hooked)
    seen.clear()
    assert pair.ask().json["changes"]["tasks"]["deleted"] == ["x"]
    assert seen == [200]
