"""Nobody believes what one process could not tell Redis: of two processes, each with a user of
Redis of its own, one is cut off alone.

The changes and what they are seen by are test_staleness.py's; there Redis is away for all.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from conftest import DATABASES, environment, fresh_database, make_app, statements
from devices import Account, Device, created, project
from flask import Flask
from prometheus_client import REGISTRY
from servers import PrivateRedis
from sqlalchemy import Engine, NullPool, create_engine, func, select

from config import ROOT
from melon_api.models.base import db
from melon_api.models.doubt import Doubt
from melon_api.models.user import User
from melon_api.storage.cache import VALUE_SECONDS
from melon_api.storage.memory import doubts as doubts_module
from melon_api.storage.memory import near_cache
from melon_api.storage.memory.doubts import Doubts

PATIENCE_SECONDS = 60


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class Place:
    """A database and a Redis, which can be taken away from one process."""

    def __init__(self, database: str, url: str, server: PrivateRedis, folder: Path) -> None:
        self.server, self.folder = server, folder
        self._database = database, url
        self.operator = redis.Redis.from_url(server.url)

    def environ(self, user: str) -> dict[str, str]:
        self.mend(user)
        own = self.server.url.replace("//", f"//{user}:secret@")
        return environment(*self._database, REDIS_URL=own)

    def process(self, user: str) -> Flask:
        return make_app(self.environ(user), self.folder)

    def cut(self, user: str) -> None:
        self.operator.acl_setuser(user, enabled=False)
        self.operator.client_kill_filter(user=user)

    def mend(self, user: str) -> None:
        everything = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"]}
        self.operator.acl_setuser(user, enabled=True, passwords=["+secret"], **everything)


@contextmanager
def a_place(database: str, folder: Path) -> Iterator[Place]:
    with PrivateRedis() as server, fresh_database(database, folder) as url:
        place = Place(database, url, server, folder)
        yield place
        place.operator.close()


def through(app: Flask, device: Device) -> Device:
    """The same device, as another process answers it."""
    tokens = {"access_token": device.access_token, "refresh_token": device.refresh_token}
    other = Device(app, tokens)
    other.pulled_at = device.pulled_at
    return other


def count_of_doubts(app: Flask) -> int:
    with app.app_context(), db.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Doubt)) or 0


def doubts_counted() -> float:
    return REGISTRY.get_sample_value("melon_redis_doubts_total") or 0


def asks_nothing(device: Device) -> bool:
    """Whether its process answers an idle pull from what Redis says."""
    with statements(device.http.application) as sql:
        assert device.pull()["projects"]["created"] == []
    return sql == []


@pytest.mark.parametrize("database", DATABASES)
def test_what_a_process_cut_off_alone_changes_is_believed_by_nobody(
    database: str, tmp_path: Path
) -> None:
    """Contract, Accounts 5 and pull 1: from the answer on, though Redis and the near cache of the
    other process know nothing of it; each way round. Redis is believed again when it knows."""
    with a_place(database, tmp_path) as place:
        apps = {name: place.process(name) for name in ("one", "another")}
        for cut, whole in (("one", "another"), ("another", "one")):
            account = Account(apps[cut])
            phone = account.first
            tablet = through(apps[whole], account.device(device_name="tablet"))
            stolen = through(apps[whole], account.device(device_name="stolen"))
            tablet.pull()
            stolen.call("GET", "/users/me")
            eventually(lambda tablet=tablet: asks_nothing(tablet))  # type: ignore[misc]
            place.cut(cut)
            counted = doubts_counted()
            home = project(id="home")
            phone.push(projects=created(home))
            assert [r["id"] for r in tablet.pull()["projects"]["created"]] == ["home"]
            phone.call("PATCH", "/users/me", json={"name": "Grace"})
            assert tablet.call("GET", "/users/me").json["name"] == "Grace"
            sessions = {s["device_name"]: s["id"] for s in phone.call("GET", "/auth/sessions").json}
            ended = phone.call("DELETE", f"/auth/sessions/{sessions['stolen']}")
            assert ended.status_code == 204
            assert stolen.call("GET", "/users/me").json["code"] == "token_revoked"
            assert phone.call("POST", "/auth/logout-all").status_code == 204
            assert tablet.ask_pull(tablet.pulled_at).json["code"] == "token_revoked"
            assert count_of_doubts(apps[whole]) == 1  # for all the changes
            assert doubts_counted() == counted + 1
            place.mend(cut)
            eventually(lambda whole=whole: not count_of_doubts(apps[whole]))  # type: ignore[misc]
            again = through(apps[whole], account.device())
            again.pull()
            eventually(lambda again=again: asks_nothing(again))  # type: ignore[misc]


def test_nothing_is_committed_before_nobody_believes_the_older(tmp_path: Path) -> None:
    """Contract, Accounts 5: a command that is killed right after its commit leaves nothing to be
    told. It never reaches Redis."""
    with a_place("mysql", tmp_path) as place:
        app = place.process("server")
        ada = Account(app)
        assert ada.first.call("GET", "/users/me").status_code == 200
        environ = place.environ("command") | {"INSTANCE_PATH": str(tmp_path)}
        place.cut("command")
        line = [sys.executable, "-m", "flask", "--app", "wsgi", "users", "deactivate", ada.email]
        with subprocess.Popen(line, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL) as command:
            answers = []
            while not is_disabled(app, ada):
                assert command.poll() is None
                answers.append(ada.first.call("GET", "/users/me").status_code)
                time.sleep(0.02)
            command.kill()
        assert {ada.first.call("GET", "/users/me").status_code for _ in range(20)} == {403}
        assert set(answers) <= {200, 403}
        assert count_of_doubts(app) == 1


def is_disabled(app: Flask, account: Account) -> bool:
    with app.app_context(), db.engine.connect() as connection:
        return not connection.scalar(select(User.is_active).where(User.email == account.email))


# Doubts by themselves, on a clock that is turned by hand.


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """For this thread: those of the tests before go on by their own."""
    clock, mine = SimpleNamespace(now=1000.0), threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() == mine:
            clock.now += seconds
        else:
            time.sleep(seconds)

    def monotonic() -> float:
        now: float = clock.now
        return now if threading.get_ident() == mine else time.monotonic()

    clock.sleep, clock.monotonic = sleep, monotonic
    monkeypatch.setattr(doubts_module, "time", clock)
    return clock


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path}/doubts.db", poolclass=NullPool)
    Doubt.__table__.create(engine)
    return engine


def quiet(engine: Engine) -> Doubts:
    """Of a process whose thread does nothing."""
    doubts = Doubts(engine)
    doubts._thread = SimpleNamespace()  # type: ignore[assignment]
    return doubts


def pass_on(clock: Any, seconds: float) -> None:
    clock.now += seconds


def test_a_doubt_is_waited_for_until_nobody_believes(clock: Any, engine: Engine) -> None:
    """Not even one who has just read that there is none, and cannot read again."""
    writer, reader = quiet(engine), quiet(engine)
    believed_until = reader.none_until()
    assert believed_until > clock.now
    writer.raise_one()
    assert clock.now > believed_until
    assert writer.stands()
    assert (writer.none_until(), reader.none_until()) == (0, 0)


def test_a_doubt_beside_another_need_not_be_waited_for(clock: Any, engine: Engine) -> None:
    """Once the other one was seen to stand long enough."""
    first, second = quiet(engine), quiet(engine)
    first.raise_one()
    assert second.none_until() == 0
    pass_on(clock, doubts_module.BELIEF_SECONDS + doubts_module.MARGIN_SECONDS)
    before = clock.now
    second.raise_one()
    assert clock.now == before
    first.withdraw(lambda: False)
    pass_on(clock, doubts_module.LOOK_SECONDS)
    assert first.none_until() == 0  # the second one's own is still there
    second.withdraw(lambda: False)
    pass_on(clock, doubts_module.LOOK_SECONDS)
    assert first.none_until() > clock.now


def test_a_doubt_that_is_gone_shortens_no_wait(clock: Any, engine: Engine) -> None:
    """Between the two somebody may have read that there is none."""
    first, second, reader = quiet(engine), quiet(engine), quiet(engine)
    first.raise_one()
    assert second.none_until() == 0
    first.withdraw(lambda: False)
    believed_until = reader.none_until()
    second.raise_one()
    assert clock.now > believed_until


def test_a_doubt_stands_while_redis_is_owed(clock: Any, engine: Engine) -> None:
    doubts = quiet(engine)
    doubts.raise_one()
    doubts.withdraw(lambda: True)
    assert doubts.stands()
    pass_on(clock, doubts_module.STANDS_SECONDS - doubts_module.NEEDED_SECONDS)
    assert not doubts.stands()  # for long enough: it is said again, and nobody waits
    before = clock.now
    doubts.raise_one()
    assert (doubts.stands(), clock.now) == (True, before)


def test_a_dead_ones_doubt_ends_by_itself(
    clock: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as long_ago:
        long_ago.setattr(doubts_module, "STANDS_SECONDS", -1)
        quiet(engine).raise_one()
    living = quiet(engine)
    assert living.none_until() > clock.now
    living.raise_one()
    living.withdraw(lambda: False)
    with engine.connect() as connection:
        assert connection.scalars(select(Doubt.id)).all() == []


def test_what_cannot_be_read_is_doubted(clock: Any, tmp_path: Path) -> None:
    """No table, no database: nothing is believed, and it is not asked for each request."""
    doubts = quiet(create_engine(f"sqlite:///{tmp_path}/none.db", poolclass=NullPool))
    looks = []
    look_now = doubts._look_now
    doubts._look_now = lambda: looks.append(clock.now) or look_now()  # type: ignore[method-assign]
    for _ in range(5):
        assert doubts.none_until() == 0
    assert len(looks) == 1
    pass_on(clock, doubts_module.LOOK_SECONDS)
    assert doubts.none_until() == 0
    assert len(looks) == 2


def test_a_doubt_outlives_every_value() -> None:
    """Contract, Accounts 5: what was put before a change, and read from there at its end."""
    longest = VALUE_SECONDS + near_cache.HELD_SECONDS
    assert longest + 20 <= doubts_module.NEEDED_SECONDS
