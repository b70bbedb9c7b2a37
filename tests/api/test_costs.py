"""What the most frequent requests cost, in counts that no other work on the machine disturbs.

A change that needs more of something than its budget says fails here: raise the budget in the same
commit, with the reason in its message, or find what is done twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import pytest
from calls import calls
from conftest import environment, fresh_database, make_app
from devices import API, PASSWORD, Account, Device, created, edited, new_id, project, task, updated
from flask import Flask
from helped import flush
from redis import Redis
from round_trips import round_trips
from servers import PrivateRedis
from werkzeug.test import EnvironBuilder

from melon_api.history import keeper
from melon_api.models.base import db
from melon_api.storage.memory import near_cache

Environ = dict[str, Any]

RECORDS, CHANGED = 1_000, 100
STATUS = "SHOW SESSION STATUS WHERE Variable_name = 'Questions' OR Variable_name LIKE 'Handler_%'"


@dataclass(frozen=True)
class Cost:
    """Of one request: statements that the database was sent (COMMIT and ROLLBACK, too), rows that
    it looked at, commands that Redis was sent, and calls of functions in Python and C."""

    statements: int
    rows: int
    redis: int
    calls: int


# On MariaDB and MySQL, with limits, the log and no CORS as in production, CPython 3.11; calls with
# 10 % to spare. Of limits as high as a sync's, most calls ask Redis nothing; a login is
# counted there each time. A push's last word to Redis is a poke, for whose answer it does not wait.
BUDGETS = {
    "idle pull": Cost(statements=0, rows=0, redis=0, calls=370),
    "cold idle pull": Cost(statements=2, rows=6, redis=3, calls=3_180),
    "incremental pull": Cost(statements=2, rows=110, redis=2, calls=1_800),
    "small push": Cost(statements=5, rows=10, redis=3, calls=2_100),
    "profile": Cost(statements=0, rows=0, redis=0, calls=1_160),
    "login": Cost(statements=5, rows=8, redis=1, calls=4_280),
}


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("costs")
    limits = {"RATELIMIT_ENABLED": "true", "RATELIMIT_PULL_PER_ACCOUNT": "9999/minute"}
    limits |= {"RATELIMIT_PUSH_PER_ACCOUNT": "9999/minute", "LOG_LEVEL": "INFO"}
    limits |= {"RATELIMIT_LOGIN_PER_ACCOUNT": "99/minute", "ARGON2_MEMORY_KIB": "8"}
    limits |= {"CORS_ORIGINS": "", "SYNC_HISTORY_DAYS": "30"}
    with PrivateRedis() as redis, fresh_database(request.param, folder) as url:
        app = make_app(environment(request.param, url, REDIS_URL=redis.url, **limits), folder)
        yield app
        flush(app)
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is. What is kept of calls is written behind them all."""
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 3600)
    monkeypatch.setattr(keeper, "PAUSE_SECONDS", 3600)


@pytest.fixture
def phone(app: Flask) -> Device:
    """With a project and its tasks, all pulled."""
    phone = Account(app).first
    home = project(id="home")
    phone.push(projects=created(home))
    phone.push(tasks=created(*(task("home", id=f"task{i:04}") for i in range(RECORDS))))
    phone.pull()
    return phone


def idle_pull(phone: Device) -> Environ:
    return request(phone, "/sync/pull", lastPulledAt=phone.pulled_at)


def cold_idle_pull(phone: Device) -> Environ:
    """Of a phone that no process remembers, as it comes every few minutes: who calls, and the
    clock, are one question."""
    with Redis.from_url(phone.http.application.config["REDIS_URL"]) as store:
        keys = [key for key in store.keys("melon:*") if b"catalogue" not in key]
        store.delete(*keys)
        store.ping()
    return idle_pull(phone)


def incremental_pull(phone: Device) -> Environ:
    """Of 100 tasks that have changed."""
    since = phone.pulled_at
    changed = [edited(task("home", id=f"task{i:04}"), title=new_id()) for i in range(CHANGED)]
    phone.push(tasks=updated(*changed))
    return request(phone, "/sync/pull", lastPulledAt=since)


def small_push(phone: Device) -> Environ:
    """One task made, one changed, by a phone that is up to date."""
    phone.pull()
    changed = edited(task("home", id="task0000"), title=new_id())
    tasks = {"created": [task("home")], "updated": [changed], "deleted": []}
    return request(phone, "/sync/push", lastPulledAt=phone.pulled_at, changes={"tasks": tasks})


def profile(phone: Device) -> Environ:
    return request(phone, "/users/me", method="GET")


def login(phone: Device) -> Environ:
    return request(
        phone, "/auth/login", email=phone.call("GET", "/users/me").json["email"], password=PASSWORD
    )


def request(phone: Device, path: str, method: str = "POST", **body: Any) -> Environ:
    """As gunicorn hands it over."""
    headers = {"Authorization": f"Bearer {phone.access_token}", "Accept": "application/json"}
    json = body or None
    builder = EnvironBuilder(f"{API}{path}", method=method, json=json, headers=headers)
    return builder.get_environ()


def send(app: Flask, environ: Environ) -> None:
    statuses: list[str] = []
    answer = app(environ, lambda status, _headers, _error=None: statuses.append(status))
    b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    assert statuses == ["200 OK"]


@pytest.mark.parametrize("what", BUDGETS)
def test_what_is_frequent_is_cheap(app: Flask, phone: Device, what: str) -> None:
    prepare = globals()[what.replace(" ", "_")]
    for _ in range(3):  # what is made once has been made
        send(app, prepare(phone))
    cost = _cost(app, lambda: prepare(phone))
    budget = BUDGETS[what]
    over = {
        field.name: (getattr(cost, field.name), getattr(budget, field.name))
        for field in fields(Cost)
        if getattr(cost, field.name) > getattr(budget, field.name)
    }
    assert not over, f"(cost, budget); in all {cost}"


def test_who_has_come_once_is_known(app: Flask, phone: Device) -> None:
    """That Redis has forgotten the phone may be heard of a little later."""
    cold_idle_pull(phone)
    nothing = _status(app, lambda: None)
    costs = [_status(app, lambda: send(app, idle_pull(phone))) for _ in range(20)]
    assert max(cost["Questions"] for cost in costs) > nothing["Questions"]
    assert costs[-1] == nothing


def _cost(app: Flask, prepare: Callable[[], Environ]) -> Cost:
    first = prepare()
    nothing = _status(app, lambda: None)
    status = _status(app, lambda: send(app, first))
    second = prepare()
    with round_trips(app.config["REDIS_URL"]) as commands:
        send(app, second)
    third = prepare()
    with calls() as counted:
        send(app, third)
    return Cost(
        status["Questions"] - nothing["Questions"],
        sum(n - nothing[name] for name, n in status.items() if name.startswith("Handler_read")),
        len(commands),
        len(counted),
    )


def _status(app: Flask, act: Callable[[], Any]) -> dict[str, int]:
    """How far the counters of our one connection to the database have moved."""
    before = _read_status(app)
    act()
    return {name: value - before[name] for name, value in _read_status(app).items()}


def _read_status(app: Flask) -> dict[str, int]:
    with app.app_context():
        connection = db.engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(STATUS)
        found = {name: int(value) for name, value in cursor.fetchall()}
        connection.close()
        assert db.engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    return found
