"""`flask sync history`: who pushed and pulled when, how many of what, and what was refused."""

import os
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import DATABASES, statements
from devices import API, PASSWORD, Account, created, deleted, edited, new_id, project, task, updated
from flask import Flask
from helped import calls, flask, flush, keeping
from in_front import seen_by_flask
from redis_servers import until
from servers import PrivateRedis, Server, serving
from sqlalchemy import delete, func, select, update

from melon_api.history import keeper as keepers
from melon_api.history import run, store
from melon_api.history.devices import LONGEST
from melon_api.history.entry import MORE, MOST_PLACES, PUSH, Entry
from melon_api.history.run import DAY_MS
from melon_api.history.table import CODE_LENGTH, SyncCall
from melon_api.models.base import TEXT_BYTES, db
from melon_api.models.session import Session


@pytest.fixture(autouse=True)
def written_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 3600)


@pytest.fixture(scope="module", params=DATABASES)
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    with keeping(request.param, tmp_path_factory.mktemp("history")) as app:
        yield app


@pytest.fixture
def lone_app(tmp_path: Path) -> Iterator[Flask]:
    """On SQLite, and of one test alone."""
    with keeping("sqlite", tmp_path) as app:
        yield app


def rows(app: Flask) -> list[Any]:
    flush(app)
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(select(SyncCall.__table__)))


def test_it_tells_who_moved_how_many_of_what(app: Flask) -> None:
    account = Account(app)
    phone, tablet = account.device(device_name="Phone"), account.device(device_name="Tablet")
    homes = [project(), project()]
    phone.push(projects=created(*homes), tasks=created(task(homes[0]["id"])))
    tablet.pull()
    tablet.push(projects=updated(edited(homes[1], name="Shed")) | {"deleted": [homes[0]["id"]]})
    phone.call("GET", "/sync/pull?last_pulled_at=null")
    whole = {"lastPulledAt": tablet.pulled_at, "replacement": True}
    assert tablet.call("POST", "/sync/pull", json=whole).status_code == 200
    assert calls(app, account.email) == [
        "TIME  Phone  push  stored: projects 2 created; tasks 1 created",
        "TIME  Tablet  pull  was told all: projects 2 created; tasks 1 created",
        "TIME  Tablet  push  stored: projects 1 updated, 1 deleted",
        "TIME  Phone  pull  was told all: projects 1 created",
        "TIME  Tablet  pull  was told all anew: projects 1 updated, 1 deleted; tasks 1 deleted",
    ]


def test_it_names_the_devices(app: Flask) -> None:
    """The newest first, those signed out too; a name forges no line."""
    account = Account(app)
    account.device(device_name="Tablet\nTIME  Phone  push  stored")
    lost = account.device(device_name="Lost phone")
    lost.push(projects=created(project()))
    assert lost.call("POST", "/auth/logout").status_code == 204
    heads = [
        line
        for line in flask(app, "sync", "history", account.email).splitlines()
        if line.startswith("device")
    ]
    assert "signed out" in heads[0]
    assert heads[0].endswith("Lost phone")
    assert "signed in" in heads[1]
    assert heads[1].endswith("Tablet?TIME  Phone  push  stored")
    assert len(heads) == 3
    (line,) = calls(app, account.email)
    assert line == "TIME  Lost phone  push  stored: projects 1 created"
    account.device(device_name="n" * LONGEST + "more").push(projects=created(project()))
    assert f"  {'n' * LONGEST}  push  " in calls(app, account.email)[-1]


def test_a_session_that_is_deleted_is_told_by_its_id(app: Flask) -> None:
    account = Account(app)
    phone, session = account.device(device_name="Phone"), ""
    phone.push(projects=created(project()))
    with app.app_context(), db.engine.begin() as connection:
        is_mine = (Session.user_id == account.user["id"], Session.device_name == "Phone")
        session = connection.scalar(select(Session.id).where(*is_mine))
        connection.execute(delete(Session).where(*is_mine))
    shown = flask(app, "sync", "history", account.email)
    assert f"  (forgotten) {session}  push  stored: projects 1 created" in shown


def test_one_device_may_be_asked_for(app: Flask) -> None:
    account = Account(app)
    phone, tablet = account.device(device_name="Phone"), account.device(device_name="Tablet")
    phone.push(projects=created(project()))
    tablet.pull()
    account.first.push(projects=created(project()))  # without a name
    told = flask(app, "sync", "history", account.email)
    (session,) = re.findall(r"^device  (\S+) .*Tablet$", told, re.MULTILINE)
    for text in ("tab", session):
        (line,) = calls(app, account.email, "--device", text)
        assert line.startswith("TIME  Tablet  pull")
    told = calls(app, account.email, "--device", "WERKZEUG/")  # all have it, one has no other name
    assert [line.split("/")[0] for line in told][2:] == ["TIME  Werkzeug"]
    said = flask(app, "sync", "history", account.email, "--device", "watch", code=1)
    assert "This account has no device watch" in said


def test_calls_of_one_moment_are_told_as_they_came(app: Flask) -> None:
    account = Account(app)
    flush(app)
    ids = [str(number) for number in range(10)]
    entries = [
        Entry(account.user["id"], "session", PUSH, 200, None, {}, request_id, 1, 1)
        for request_id in ids
    ]
    with app.app_context():
        store.write(db.engine, entries)
        told = [entry.request_id for entry in store.read(db.engine, account.user["id"])]
    assert told[::-1] == ids
    assert "\n1970-01-01 00:00:00  " in flask(app, "sync", "history", account.email)


def test_what_is_too_long_to_be_kept_is_kept_without(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code of the app's own, a push of very many tables; and no more is read than is shown."""
    account = Account(app)
    flush(app)
    facts = {"places": ["x" * TEXT_BYTES]}
    entry = Entry(account.user["id"], "session", PUSH, 422, "c" * 99, facts, "id", 1, 1)
    with app.app_context():
        store.write(db.engine, [entry, entry])
        (kept, _) = store.read(db.engine, account.user["id"])
        monkeypatch.setattr(store, "MOST_READ", 1)
        assert len(store.read(db.engine, account.user["id"])) == 1
    assert (kept.code, kept.facts) == ("c" * CODE_LENGTH, {})


def test_pulls_that_find_nothing_are_not_kept(app: Flask) -> None:
    account = Account(app)
    account.first.push(projects=created(project()))
    for _ in range(3):
        account.first.pull()
    assert len(calls(app, account.email)) == 2


def test_nothing_is_kept_that_anybody_wrote(app: Flask) -> None:
    """No value, no id of a record, not what is said of a place."""
    account = Account(app)
    phone = account.first
    secret, odd = f"secret{new_id()}", f"odd{new_id()}"
    home = project(id=f"id{secret}"[:36], name=secret)
    phone.push(projects=created(home))
    phone.pull()
    phone.ask_push({"tasks": created(task(f"no{secret}"[:36], title=secret))})
    phone.ask_push({"projects": created(project(id=f"a {secret}", name=secret * 40))})
    phone.ask_push({"projects": deleted(home["id"])}, lastPulledAt="no number")
    phone.ask_push({odd: created({"id": secret})})
    kept = [row for row in rows(app) if row.user_id == account.user["id"]]
    assert len(kept) == 6
    assert secret not in str(kept)
    assert odd in str(kept)  # a table's name, which is the app's


REFUSED = {
    "value": (
        {"changes": {"projects": created(project(name="x" * 300))}},
        'REFUSED, 422 validation_failed: projects 1 created; at changes.projects.created["0"].name',
    ),
    "parent": (
        {"changes": {"tasks": created(task("nobody"))}},
        'REFUSED, 422 unknown_parent: tasks 1 created; at changes.tasks.created["0"].project_id',
    ),
    "table": (
        {"changes": {"no\nte": created({"id": "x"})}},
        "REFUSED, 422 unknown_table: at changes.no\\nte",
    ),
    "shape": ({"changes": 7}, "REFUSED, 422 validation_failed: at changes"),
    "no JSON": ("{", "REFUSED, 400 malformed_json"),
    "too many": (
        {"changes": {"projects": deleted(*["x"] * 60)}},
        "REFUSED, 413 payload_too_large",
    ),
    "old number": (
        {"changes": {"projects": created(project())}, "pushNumber": 6},
        "REFUSED, 409 push_outdated: projects 1 created; at pushNumber",
    ),
}


@pytest.mark.parametrize(("body", "line"), REFUSED.values(), ids=REFUSED)
def test_a_refused_push_is_there_with_its_reason(
    app: Flask, monkeypatch: pytest.MonkeyPatch, body: Any, line: str
) -> None:
    monkeypatch.setitem(app.config, "MAX_PUSH_RECORDS", 50)
    account = Account(app)
    phone = account.device(device_name="Phone")
    phone.ask_push({}, pushNumber=7)
    data = body if isinstance(body, str) else orjson.dumps({"lastPulledAt": 0} | body)
    answer = phone.call("POST", "/sync/push", data=data, content_type="application/json")
    assert answer.status_code >= 400
    assert calls(app, account.email)[-1] == f"TIME  Phone  push  {line}"
    shown = flask(app, "sync", "history", account.email)
    assert f"request_id={answer.headers['X-Request-ID']}" in shown


def test_a_conflict_names_the_table(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "SYNC_CONFLICT_POLICY", "reject")
    account, home = Account(app), project()
    phone, tablet = account.first, account.device(device_name="Tablet")
    phone.push(projects=created(home))
    tablet.pull()
    phone.push(projects=updated(edited(home, name="phone's")))
    assert tablet.ask_push({"projects": updated(edited(home, name="t"))}).status_code == 409
    assert calls(app, account.email)[-1] == (
        "TIME  Tablet  push  REFUSED, 409 sync_conflict: projects 1 updated;"
        " 1 changed by another device, too; at projects"
    )


def test_a_push_that_is_stored_in_part_says_what_is_not(app: Flask) -> None:
    account = Account(app)
    phone = account.device(device_name="Phone")
    bad = [project(name="x" * 300) for _ in range(MOST_PLACES + 2)]
    tables = {"projects": created(project(), *bad), "tasks": created(task("nobody"))}
    assert phone.ask_push(tables, allowPartial=True).status_code == 200
    (line,) = calls(app, account.email)
    places = ", ".join(f'changes.projects.created["{n}"].name' for n in range(1, MOST_PLACES + 1))
    assert line == (
        f"TIME  Phone  push  stored in part: projects {MOST_PLACES + 3} created; tasks 1 created;"
        f" NOT STORED: 1 unknown_parent; NOT STORED: {MOST_PLACES + 2} validation_failed;"
        f" at {places}, {MORE}"
    )


def test_what_was_put_right_is_counted(app: Flask) -> None:
    account = Account(app)
    phone = account.device(device_name="Phone")
    phone.push(projects=created(project(name=None, description=7)))
    (line,) = calls(app, account.email)
    assert line == "TIME  Phone  push  stored: projects 1 created; 2 values put right"


def test_what_is_refused_again_and_again_is_one_line(app: Flask) -> None:
    """In one stretch of memory, and in the rows that several of them left."""
    account = Account(app)
    phone, tablet = account.device(device_name="Phone"), account.device(device_name="Tablet")
    for _ in range(2):
        for _ in range(3):
            phone.ask_push({"tasks": created(task("nobody"))})
        flush(app)
        tablet.push(projects=created(project()))
    lines = calls(app, account.email)
    (refused,) = [line for line in lines if "Phone" in line]
    assert refused.endswith('["0"].project_id  (6 times since TIME)')
    assert len(lines) == 3


def test_older_lines_are_there_for_the_asking(app: Flask) -> None:
    account = Account(app)
    for number in range(4):
        account.first.push(projects=created(project(name=str(number))))
    shown = flask(app, "sync", "history", account.email, "--last", "3")
    assert "… 1 older lines: --last 4" in shown
    assert len(calls(app, account.email, "--last", "4")) == 4


def test_another_accounts_calls_are_not_told(app: Flask) -> None:
    account, other = Account(app), Account(app)
    other.first.push(projects=created(project()))
    assert calls(app, account.email) == []
    assert len(calls(app, other.user["id"])) == 1
    assert "There is no account nobody@x" in flask(app, "sync", "history", "nobody@x", code=1)


def test_it_goes_with_the_account(app: Flask) -> None:
    """What was written, and what waits to be."""
    account, other = Account(app), Account(app)
    account.first.push(projects=created(project()))
    flush(app)
    other.first.push(projects=created(project()))
    account.first.push(projects=created(project()))
    body = {"password": account.password}
    assert account.first.call("DELETE", "/users/me", json=body).status_code == 204
    users = {row.user_id for row in rows(app)}
    assert account.user["id"] not in users
    assert other.user["id"] in users


def test_the_purge_forgets_what_is_older_than_the_setting(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In steps of its own, and with a setting that says otherwise, otherwise."""
    monkeypatch.setattr(store, "ROWS_PER_TRANSACTION", 2)
    flask(app, "sync", "purge", "--older-than", "90d")
    known = {row.user_id for row in rows(app)}
    account = Account(app)
    for _ in range(5):
        account.first.push(projects=created(project()))
    flush(app)
    is_mine = SyncCall.user_id == account.user["id"]
    aged = update(SyncCall).where(is_mine).values(at_ms=SyncCall.at_ms - 31 * DAY_MS)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(aged)
    account.first.push(projects=created(project()))
    purge = ("sync", "purge", "--older-than", "90d")
    assert "Would forget 5 calls of the history." in flask(app, *purge, "--dry-run")
    assert "Forgot 5 calls of the history." in flask(app, *purge)
    assert len(calls(app, account.email)) == 1
    assert known <= {row.user_id for row in rows(app)}
    monkeypatch.setitem(app.config, "SYNC_HISTORY_DAYS", 0)
    monkeypatch.setattr(run, "now_ms", lambda: 2**52)
    flask(app, *purge)
    assert rows(app) == []


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with keeping("sqlite", tmp_path, SYNC_HISTORY_DAYS="0") as app:
        account = Account(app)
        account.first.push(projects=created(project()))
        assert rows(app) == []
        said = flask(app, "sync", "history", account.email)
        assert "SYNC_HISTORY_DAYS is 0: this server keeps no history." in said


def test_no_request_waits_for_it(lone_app: Flask) -> None:
    """Many calls are one statement, which is nobody's."""
    accounts = [Account(lone_app) for _ in range(5)]
    with statements(lone_app) as seen:
        for account in accounts:
            account.first.push(projects=created(project()))
        assert not [sql for sql in seen if "sync_history" in sql]
        seen.clear()
        flush(lone_app)
    assert len([sql for sql in seen if "INSERT INTO sync_history" in sql]) == 1
    assert len(seen) <= 4  # SQLite's BEGINs among them


def test_the_thread_writes_by_itself(lone_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 0.01)
    account = Account(lone_app)
    account.first.push(projects=created(project()))
    count = select(func.count()).select_from(SyncCall)

    def is_written() -> bool:
        with db.engine.connect() as connection:
            return bool(connection.scalar(count))

    with lone_app.app_context():
        until(is_written)


def test_a_call_in_front_of_flask_is_kept_alike(tmp_path: Path) -> None:
    with (
        PrivateRedis() as redis,
        keeping("sqlite", tmp_path, REDIS_URL=redis.url) as app,
    ):
        account = Account(app)
        phone = account.device(device_name="Phone")
        phone.push(projects=created(project()))
        for _ in range(3):
            phone.pull()
        bodies: list[dict[str, Any]] = [
            {"projects": created(project())},
            {"projects": created(project(), project(id="a b"))},
            {"tasks": created(task("nobody"))},
        ]
        before, told = len(calls(app, account.email)), []
        for accept, most in (("*/*", 1), ("application/*", 3)):
            with seen_by_flask(app) as seen:
                for body in bodies:
                    json = {"changes": body, "lastPulledAt": phone.pulled_at}
                    json["allowPartial"] = "a b" in str(body)
                    phone.call("POST", "/sync/push", json=json, headers={"Accept": accept})
            assert len(seen) == most
            told.append(calls(app, account.email)[before:])
            before += len(told[-1])
        ours, flasks = told
        assert ours == flasks
        assert len(ours) == 3


def test_a_packed_answer_is_read_before_it_is_packed(lone_app: Flask) -> None:
    account = Account(lone_app)
    bad = [project(name="x" * 300) for _ in range(100)]
    body = {"changes": {"projects": created(*bad)}, "lastPulledAt": 0, "allowPartial": True}
    headers = {"Accept-Encoding": "gzip"}
    answer = account.first.call("POST", "/sync/push", json=body, headers=headers)
    assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert calls(lone_app, account.email)[-1].endswith(MORE)


def test_a_stop_writes_what_waits(tmp_path: Path) -> None:
    """Workers that are told to stop have written all that they answered."""
    with serving("sqlite", tmp_path, SYNC_HISTORY_DAYS="30") as server:
        person = {"email": f"{new_id()}@example.com", "password": PASSWORD}
        token = post(server, "/auth/register", person)["access_token"]
        push = {"changes": {"projects": created(project())}, "lastPulledAt": 0}
        for _ in range(10):
            post(server, "/sync/push", push, token)
        os.kill(server.pid, signal.SIGTERM)
        wait_for_end(server)
        (database,) = tmp_path.glob("*.db")
        with closing(sqlite3.connect(database)) as connection:
            kept = connection.execute("SELECT kind, status FROM sync_history").fetchall()
    assert kept == [("push", 200)] * 10


def post(server: Server, path: str, body: Any, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{server.url}{API}{path}", orjson.dumps(body), headers)
    with urllib.request.urlopen(request) as answer:
        return orjson.loads(answer.read())


def wait_for_end(server: Server) -> None:
    """gunicorn's master says it when its workers have ended."""
    until(lambda: "Shutting down: Master" in server.log_tail())
