"""After the answer of a change, no worker ever shows the state before: on a gunicorn with several
workers, on each database, without Redis, with one, and with one that goes and comes back.

Every story is told twice by `sees`: what all workers say before its change, and after it.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import DATABASES, environment, fresh_database, make_app, statements
from devices import API, PASSWORD, Account, created, new_id, project
from flask import Flask
from redis import Redis
from round_trips import round_trips
from servers import KEPT, PrivateRedis, Server, serving
from sqlalchemy import create_engine, text

from config import ROOT
from melon_api.models.base import db
from melon_api.storage.database_settings import sqlalchemy_url
from melon_api.storage.memory import near_cache
from melon_api.storage.redis import AWAY_SECONDS

WORKERS = 3
ASKED, AT_ONCE = 30, 6  # requests, each on a new connection
PATIENCE_SECONDS, PAUSE_SECONDS = 60, AWAY_SECONDS + 0.2
NEW_PASSWORD = "another-horse-battery"

# What `flask …` does for each line; says so at its end.
OPERATOR = """
import json, sys
from wsgi import app
for line in sys.stdin:
    result = app.test_cli_runner().invoke(args=json.loads(line))
    print(json.dumps([result.exit_code, result.output]), flush=True)
"""


class Operator:
    """`flask users …`, in a process that has its own connections and starts but once."""

    def __init__(self, environ: dict[str, str]) -> None:
        shell = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-c", OPERATOR],
            cwd=ROOT,
            env=shell | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *command: str) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        exit_code, output = json.loads(self._process.stdout.readline())
        assert exit_code == 0, output

    def close(self) -> None:
        self._process.communicate()


class Service:
    """A gunicorn whose access log tells which worker has answered what."""

    def __init__(self, server: Server, log: Path, operator: Operator) -> None:
        self.host = urlsplit(server.url).netloc
        self.server, self.log, self.operator = server, log, operator
        self.asked: list[str] = []  # the requests' ids
        self._worker_of: dict[str, int] = {}
        self._read = 0

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Any:
        """The answer's `code` where it is a failure, else its JSON or {}; on a new connection, so
        that any worker may get it, or on a given one, which stays with its worker."""
        own = connection or http.client.HTTPConnection(self.host, timeout=PATIENCE_SECONDS)
        headers = {"Content-Type": "application/json", "X-Request-ID": uuid.uuid4().hex}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        self.asked.append(headers["X-Request-ID"])
        try:
            own.request(method, API + path, json.dumps(body) if body else None, headers)
            answer = own.getresponse()
            content = answer.read()
        finally:
            if connection is None:
                own.close()
        found = json.loads(content) if content else {}
        return found if answer.status < 400 else found["code"]

    def everywhere(self, sees: Callable[[], Any], least: int = ASKED) -> set[Any]:
        """What is seen by so many requests at least, and until each worker has answered some."""
        first, seen, workers = len(self.asked), set(), self.workers()
        deadline = time.monotonic() + PATIENCE_SECONDS
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while len(self.asked) - first < least or workers - self.answered(self.asked[first:]):
                assert time.monotonic() < deadline, f"a worker is silent: {self.server.log_tail()}"
                seen |= set(pool.map(lambda _: sees(), range(AT_ONCE)))
                time.sleep(0.002)  # the log is written behind the answer
        return seen

    def workers(self) -> set[int]:
        """All of them, once they are there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := self._children()) < WORKERS:
            assert time.monotonic() < deadline, self.server.log_tail()
            time.sleep(0.05)
        return found

    def _children(self) -> set[int]:
        command = ["pgrep", "-P", str(self.server.pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return set(map(int, found.stdout.split()))

    def answered(self, requests: list[str]) -> set[int]:
        """The workers that have answered one of these requests."""
        with self.log.open() as log:
            log.seek(self._read)
            while (line := log.readline()).endswith("\n"):
                pid, _, request = line.strip().partition(" ")
                self._worker_of[request] = int(pid.strip("<>"))
                self._read = log.tell()
        return {self._worker_of[request] for request in requests if request in self._worker_of}


@contextmanager
def running(database: str, folder: Path, redis: PrivateRedis | None = None) -> Iterator[Service]:
    log = folder / "workers.log"
    options = f"--access-logfile {log} --access-logformat '%(p)s %({{x-request-id}}o)s'"
    more = {"GUNICORN_CMD_ARGS": options} | ({"REDIS_URL": redis.url} if redis else {})
    with ExitStack() as stack:
        server = stack.enter_context(serving(database, folder, WORKERS, **more))
        operator = stack.enter_context(closing(Operator(server.environ)))
        yield Service(server, log, operator)


class Story:
    """An account with a phone and a tablet, and what becomes of it."""

    before: Any = "signed in"
    after: Any = "token_revoked"

    def __init__(self, service: Service) -> None:
        self.service = service
        self.email = f"{new_id()}@example.com"
        body = {"email": self.email, "password": PASSWORD}
        tokens = service.ask("POST", "/auth/register", body=body | {"name": "Ada"})
        self.phone: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]
        self.tablet: str = service.ask("POST", "/auth/login", body=body)["access_token"]

    def change(self) -> None:
        raise NotImplementedError

    def operator(self, *command: str) -> None:
        self.service.operator.run("users", *command)

    def sees(self) -> str:
        """What any worker says of it."""
        return self.me(self.tablet)

    def me(self, token: str) -> str:
        answer = self.service.ask("GET", "/users/me", token)
        return answer if isinstance(answer, str) else "signed in"

    def tell(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        answer = self.service.ask(method, path, token or self.phone, body)
        assert not isinstance(answer, str), answer
        return answer


class NewName(Story):
    before, after = "Ada", "Grace"

    def change(self) -> None:
        assert self.tell("PATCH", "/users/me", {"name": "Grace"})["name"] == "Grace"

    def sees(self) -> str:
        return str(self.tell("GET", "/users/me", token=self.tablet)["name"])


class NewAddress(Story):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.before, self.after = self.email, f"new.{self.email}"

    def change(self) -> None:
        self.tell("PATCH", "/users/me", {"email": self.after, "current_password": PASSWORD})

    def sees(self) -> str:
        return str(self.tell("GET", "/users/me", token=self.tablet)["email"])


class Logout(Story):
    def change(self) -> None:
        self.tell("POST", "/auth/logout", token=self.tablet)


class LogoutByRefreshToken(Story):
    def change(self) -> None:
        self.tell("POST", "/auth/logout", token=self.refresh_token)

    def sees(self) -> str:
        return self.me(self.phone)


class LogoutAll(Story):
    def change(self) -> None:
        self.tell("POST", "/auth/logout-all")


class EndedSession(Story):
    def change(self) -> None:
        (theirs,) = (s["id"] for s in self.tell("GET", "/auth/sessions") if not s["current"])
        self.tell("DELETE", f"/auth/sessions/{theirs}")


class TheOtherSession(EndedSession):
    """Is not disturbed."""

    after = "signed in"

    def sees(self) -> str:
        return self.me(self.phone)


class StolenToken(Story):
    def change(self) -> None:
        second = self.tell("POST", "/auth/refresh", token=self.refresh_token)["refresh_token"]
        self.tell("POST", "/auth/refresh", token=second)
        assert self.service.ask("POST", "/auth/refresh", self.refresh_token) == "token_revoked"

    def sees(self) -> str:
        return self.me(self.phone)


class NewPassword(Story):
    def change(self) -> None:
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        self.tell("POST", "/users/me/password", body)


class DeletedAccount(Story):
    def change(self) -> None:
        self.tell("DELETE", "/users/me", {"password": PASSWORD})


class Deactivated(Story):
    after = "account_disabled"

    def change(self) -> None:
        self.operator("deactivate", self.email)


class Activated(Story):
    before, after = "account_disabled", "signed in"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.operator("deactivate", self.email)

    def change(self) -> None:
        self.operator("activate", self.email)


class PasswordByOperator(Story):
    def change(self) -> None:
        self.operator("set-password", self.email, "--password", NEW_PASSWORD)


class SessionByOperator(Story):
    def change(self) -> None:
        (theirs,) = (s["id"] for s in self.tell("GET", "/auth/sessions") if not s["current"])
        self.operator("sessions", self.email, "--end", theirs)


class DeletedByOperator(Story):
    def change(self) -> None:
        self.operator("delete", self.email, "--yes")


class Push(Story):
    """The tablet has nothing new to pull, which no worker asks the database for any more."""

    before, after = "[]", "['home']"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.pulled_at = None
        self.pulled_at = self.pull()["timestamp"]

    def pull(self) -> Any:
        return self.tell("POST", "/sync/pull", {"lastPulledAt": self.pulled_at}, self.tablet)

    def change(self) -> None:
        self.tell("POST", "/sync/push", {"changes": {"projects": created(project(id="home"))}})

    def sees(self) -> str:
        return str([r["id"] for r in self.pull()["changes"]["projects"]["created"]])


STORIES: list[type[Story]] = [
    NewName,
    NewAddress,
    Logout,
    LogoutByRefreshToken,
    LogoutAll,
    EndedSession,
]
STORIES += [TheOtherSession, StolenToken, NewPassword, DeletedAccount, Deactivated, Activated]
STORIES += [PasswordByOperator, SessionByOperator, DeletedByOperator, Push]


# One for each kind of entry that the cache holds, and for each way to change it.
SOME: list[type[Story]] = [NewName, Logout, StolenToken, NewPassword, DeletedAccount, Push]
BY_OPERATOR: list[type[Story]] = [Deactivated, PasswordByOperator]


class Chapter:
    """Several stories at once."""

    def __init__(self, service: Service, stories: list[type[Story]]) -> None:
        self.service = service
        self.stories = [story(service) for story in stories]
        self.check("before", least=2 * WORKERS)

    def change(self) -> None:
        for story in self.stories:
            story.change()

    def wait(self) -> None:
        """Until the change is committed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(story.sees() != story.after for story in self.stories):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def check(self, when: str = "after", least: int = ASKED) -> None:
        for story in self.stories:
            seen = self.service.everywhere(story.sees, least)
            assert seen == {getattr(story, when)}, type(story).__name__


@pytest.mark.parametrize("database", ["mariadb", "mysql"])
def test_no_worker_shows_the_older_state(database: str, tmp_path: Path) -> None:
    """Contract, Accounts 5 and pull 1: at once, on each worker."""
    with running(database, tmp_path) as service:
        chapter = Chapter(service, STORIES)
        chapter.change()
        chapter.check()


@pytest.mark.parametrize("database", ["mysql"])  # half a minute each, and Redis is the point
def test_nor_with_a_redis_that_goes_and_comes_back(database: str, tmp_path: Path) -> None:
    """Contract, Accounts 5 and pull 1: it comes back with what it knew before the change."""
    with PrivateRedis(tmp_path) as redis, running(database, tmp_path, redis) as service:
        calm = Chapter(service, STORIES)
        calm.change()
        calm.check()

        told, untold = Chapter(service, SOME + BY_OPERATOR), Chapter(service, SOME)
        of_operator = Chapter(service, [Deactivated])
        redis.stop()
        redis.start()  # its disk holds what was before
        for chapter in (told, untold, of_operator):
            chapter.check("before", 2 * WORKERS)
        told.change()
        redis.kill()
        untold.change()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(of_operator.change)  # it ends when Redis knows
            of_operator.wait()
            for chapter in (told, untold, of_operator):
                chapter.check(least=WORKERS)
            assert not waiting.done()
            redis.start()
            waiting.result(PATIENCE_SECONDS)
        for chapter in (told, untold, of_operator):
            chapter.check()

        time.sleep(PAUSE_SECONDS)  # now every worker asks Redis again
        for chapter in (calm, told, untold, of_operator):
            chapter.check(least=WORKERS)
        for name in ("one", "another"):
            kill_the_worker_right_after_its_commit(service, name)


@pytest.mark.parametrize("database", ["mysql"])  # Redis is the point
def test_nor_with_a_redis_that_was_restored_from_a_snapshot(database: str, tmp_path: Path) -> None:
    """Contract, Accounts 5 and pull 1: the snapshot is of a host whose clock was a minute ahead."""
    with PrivateRedis(tmp_path) as redis, running(database, tmp_path, redis) as service:
        chapter = Chapter(service, SOME)
        make_younger(redis, 60_000)
        chapter.check("before", 2 * WORKERS)
        with Redis.from_url(redis.url) as operator:
            operator.save()
        chapter.change()
        redis.kill()
        redis.start()
        chapter.check()


def make_younger(redis: PrivateRedis, ms: int) -> None:
    """What Redis holds of accounts, as if its clock had been ahead when it was put."""
    with Redis.from_url(redis.url) as operator:
        for key in operator.scan_iter("melon:*"):
            version, as_of, value = operator.get(key).split(b" ", 2)
            operator.set(key, b"%b %d %b" % (version, int(as_of) + ms, value), keepttl=True)


def kill_the_worker_right_after_its_commit(service: Service, name: str) -> None:
    """Contract push 1 and pull 1: the tablet is told at once, and the push may be repeated."""
    story = Push(service)
    home = {"changes": {"projects": created(project(id="home", name=name))}}
    service.everywhere(story.sees, 2 * WORKERS)
    connection, asked = http.client.HTTPConnection(service.host), len(service.asked)
    with closing(connection), ThreadPoolExecutor(1) as pool:
        service.ask("GET", "/users/me", story.phone, connection=connection)
        while not (worker := service.answered(service.asked[asked:])):
            time.sleep(0.001)
        push = pool.submit(
            service.ask, "POST", "/sync/push", story.phone, home, connection=connection
        )
        wait_for_the_commit(service, name)
        os.kill(*worker, signal.SIGKILL)
        push.exception()  # whether or not it had its answer
    assert {story.sees() for _ in range(ASKED)} == {story.after}  # by those that live
    story.tell("POST", "/sync/push", home)
    while service.workers() & worker:
        time.sleep(0.05)
    assert service.everywhere(story.sees, WORKERS) == {story.after}


def wait_for_the_commit(service: Service, name: str) -> None:
    engine = create_engine(sqlalchemy_url(service.server.environ["DATABASE_URL"]))
    query, deadline = text("SELECT 1 FROM projects WHERE name = :name"), time.monotonic()
    found = None
    while found is None:
        assert time.monotonic() < deadline + PATIENCE_SECONDS
        with engine.connect() as connection:
            found = connection.scalar(query, {"name": name})
    engine.dispose()


@pytest.mark.parametrize("database", DATABASES)
def test_what_redis_knows_needs_no_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor Redis, when it has been asked a moment ago."""
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 3600)
    with PrivateRedis() as redis, an_app(database, tmp_path, REDIS_URL=redis.url) as app:
        phone = Account(app).first
        phone.pull()
        phone.pull()
        for ask in (lambda: phone.call("GET", "/users/me"), phone.pull):
            for _ in range(20):  # Redis may still be telling of what we wrote ourselves
                with statements(app) as sql, round_trips(redis.url) as asked:
                    ask()
                assert sql == []
                if not asked:
                    break
            assert asked == []
        phone.push(projects=created(project()))
        assert "projects" in phone.pull()


@pytest.mark.parametrize("database", DATABASES)
def test_without_redis_the_database_is_read_each_time(database: str, tmp_path: Path) -> None:
    with an_app(database, tmp_path) as app:
        phone = Account(app).first
        phone.pull()
        for ask in (lambda: phone.call("GET", "/users/me"), phone.pull) * 2:
            with statements(app) as sql:
                ask()
            assert len([line for line in sql if line.startswith("SELECT")]) > 0


@contextmanager
def an_app(database: str, folder: Path, **more: str) -> Iterator[Flask]:
    with fresh_database(database, folder) as url:
        app = make_app(environment(database, url, **more), folder)
        yield app
        with app.app_context():
            db.engine.dispose()
