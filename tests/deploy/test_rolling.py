"""A deploy under load: the next release comes up, the one before goes, and nobody notices."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Self

import pytest
from conftest import fresh_database
from paas import KILL_SECONDS, Web, release, settings, starting, web
from servers import PrivateRedis

PHONES = 6
BALANCER_SECONDS = 0.5  # between a balancer's looks at /readyz
PAUSE_SECONDS = 0.2  # of a phone; the production limits count 300 calls a minute


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    with fresh_database("mariadb", tmp_path) as url, PrivateRedis() as redis:
        environ = settings(url, REDIS_URL=redis.url, WEB_CONCURRENCY="2")
        code, output = release(environ)
        assert code == 0, output
        yield environ


class Router:
    """Sends requests to the first release that says it is ready."""

    def __init__(self, *releases: Web) -> None:
        self.releases = list(releases)
        self.target = releases[0]

    def look(self) -> None:
        ready = [release for release in self.releases if release.status("/readyz") == 200]
        self.target = ready[0]  # none: fails the test


class Phone:
    """Pushes and pulls through the router on connections that it keeps.

    As every HTTP client, it connects anew when a connection that it has used before turns out to
    be closed without a byte of an answer (RFC 9112 §9.3.1); any other failure is one.
    """

    def __init__(self, router: Router, number: int) -> None:
        self._router = router
        self._connection: HTTPConnection | None = None
        self._port = 0
        self._token = ""
        self.pushed: list[str] = []
        self.since: int | None = None
        body = {"email": f"phone{number}@example.com", "password": "correct horse battery"}
        self._token = self.post("/auth/register", body)["access_token"]

    def post(self, path: str, body: object) -> dict:
        if self._port != self._router.target.port:
            self.hang_up()
        is_used = self._connection is not None
        try:
            response = self._send(path, body)
        except (ConnectionError, HTTPException):
            if not is_used:
                raise
            self.hang_up()
            response = self._send(path, body)
        answer = json.loads(response.read())
        assert response.status in (200, 201), (response.status, answer)
        if response.will_close:
            self.hang_up()
        return answer

    def sync(self) -> None:
        name = f"p{len(self.pushed)}"
        created = {"projects": {"created": [{"id": name, "name": name}], "updated": []}}
        created["projects"]["deleted"] = []
        self.post("/sync/push", {"changes": created, "lastPulledAt": self.since})
        self.pushed.append(name)
        self.since = self.post("/sync/pull", {"lastPulledAt": self.since})["timestamp"]

    def stored(self) -> set[str]:
        changes = self.post("/sync/pull", {"lastPulledAt": None})["changes"]
        return {record["id"] for record in changes["projects"]["created"]}

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _send(self, path: str, body: object) -> HTTPResponse:
        if self._connection is None:
            self._port = self._router.target.port
            self._connection = self._router.target.connect()
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._token}",
        }
        self._connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        return self._connection.getresponse()


class Fleet:
    """Phones at work, each in a thread, while the balancer looks who is ready."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.phones = [Phone(router, number) for number in range(PHONES)]
        self._is_over = threading.Event()
        self._threads = ThreadPoolExecutor(PHONES + 1)
        self._work = [self._threads.submit(self._use, phone) for phone in self.phones]
        self._work.append(self._threads.submit(self._balance))

    def _use(self, phone: Phone) -> None:
        while not self._is_over.wait(PAUSE_SECONDS):
            phone.sync()

    def _balance(self) -> None:
        while not self._is_over.wait(BALANCER_SECONDS):
            self.router.look()

    def count(self) -> int:
        return sum(len(phone.pushed) for phone in self.phones)

    def work(self, rounds: int) -> None:
        """Returns when the phones have synced so often, or one has failed."""
        wanted = self.count() + rounds
        while self.count() < wanted and not any(work.done() for work in self._work):
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._threads.shutdown()
        for phone in self.phones:
            phone.hang_up()

    def rest(self) -> None:
        """Raises what a phone has met."""
        self._is_over.set()
        for work in self._work:
            work.result()


@pytest.mark.parametrize("everyone", [False, True], ids=["master", "every-process"])
def test_no_request_fails_while_a_release_follows_another(
    environ: dict[str, str], tmp_path: Path, everyone: bool
) -> None:
    with web(environ, tmp_path) as before, Fleet(Router(before)) as fleet:
        fleet.work(20)
        code, output = release(environ)
        assert code == 0, output
        with web(environ, tmp_path) as after:
            fleet.router.releases.append(after)
            before.stop(everyone=everyone)
            assert before.process.wait(KILL_SECONDS) == 0
            assert before.ended_in_peace()
            fleet.work(20)
            assert fleet.router.target is after
            fleet.rest()
            for phone in fleet.phones:
                assert phone.stored() == set(phone.pushed)
    assert "Traceback" not in before.log.read_text()


def test_a_stopping_process_says_so_and_answers_on(environ: dict[str, str], tmp_path: Path) -> None:
    """Contract, Service 2: /readyz is 503, while requests in flight and new ones are answered."""
    with web(environ, tmp_path) as served:
        kept, slow = served.connect(), served.connect()
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        body = json.dumps({"email": "slow@example.com", "password": "correct horse battery"})
        slow.putrequest("POST", "/api/v1/auth/register")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders(body[:10].encode())
        served.stop()
        deadline = time.monotonic() + KILL_SECONDS
        while served.status("/readyz") != 503:
            assert time.monotonic() < deadline
        assert served.status("/healthz") == 200
        kept.request("GET", "/readyz")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (503, "close")
        assert json.loads(answer.read())["errors"] == {"process": ["is stopping"]}
        slow.send(body[10:].encode())
        answer = slow.getresponse()
        assert (answer.status, bool(answer.read())) == (201, True)
        assert served.process.wait(KILL_SECONDS) == 0
        assert served.ended_in_peace()
        kept.close()
        slow.close()


def test_workers_are_recycled_under_load(environ: dict[str, str], tmp_path: Path) -> None:
    recycling = {"GUNICORN_CMD_ARGS": "--max-requests 20 --max-requests-jitter 5"}
    with web(environ | recycling, tmp_path) as served:
        with Fleet(Router(served)) as fleet:
            fleet.work(60)
            fleet.rest()
        assert served.log.read_text().count("Autorestarting worker") >= 3


def test_a_phone_that_never_finishes_does_not_hold_the_stop_up(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """One connects and says nothing, one sends half a body; less patience than usual."""
    patience = {"GUNICORN_CMD_ARGS": "--graceful-timeout 6", "DRAIN_SECONDS": "1"}
    with web(environ | patience, tmp_path) as served:
        silent, slow = served.connect(), served.connect()
        silent.connect()
        slow.putrequest("POST", "/api/v1/auth/register")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", "1000")
        slow.endheaders(b"{")
        served.stop()
        assert served.process.wait(KILL_SECONDS) == 0
        assert not served.is_anybody_left()
        assert served.ended_in_peace()
        silent.close()
        slow.close()


def test_a_stop_in_the_middle_of_the_start_is_heard(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """While the workers import the application; a platform that scales down may do it."""
    all_is_imported = {"PYTHONUNBUFFERED": "1"}  # forks.py forks no such one, which imports little
    with starting(environ | all_is_imported, tmp_path) as served:
        while served.log.read_text().count("Booting worker") < 2:
            assert served.process.poll() is None
            time.sleep(0.01)
        time.sleep(0.1)  # for the workers' own signal handlers
        served.stop()
        assert served.process.wait(KILL_SECONDS) == 0
        assert served.ended_in_peace()
