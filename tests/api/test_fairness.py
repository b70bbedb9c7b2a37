"""Whoever asks for much waits; the others do not wait for them. Nothing is asserted about seconds,
only about who is answered before whom."""

import json
import os
import select
import sys
import threading
from collections.abc import Iterable
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
from conftest import SERVERS
from devices import PASSWORD, created, new_id, project
from servers import Server, serving

from melon_api import bulkheads
from melon_api.auth.passwords import hashing
from melon_api.errors import Unavailable

# At least 0.2 s for each, of two at once.
SLOW_HASHES = {"ARGON2_MEMORY_KIB": "19456", "ARGON2_ITERATIONS": "30"}


class Call:
    """A request that has been sent, on a connection of its own; `answer` waits for its answer."""

    def __init__(self, server: Server, path: str, body: Any, token: str = "") -> None:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # kept alive: gunicorn waits for the end of others, and takes no new ones meanwhile
        self._connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        self._connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)

    def is_answered(self) -> bool:
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> "Answer":
        with closing(self._connection):
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.headers, json.loads(answer.read()))


@dataclass
class Answer:
    status: int
    headers: Any
    json: Any


def register(server: Server) -> Any:
    body = {"email": f"{new_id()}@example.com", "password": PASSWORD}
    return Call(server, "/auth/register", body).answer().json


def push(server: Server, token: str) -> Call:
    changes = {"projects": created(project())}
    return Call(server, "/sync/push", {"changes": changes, "lastPulledAt": 0}, token)


def check_refused(answers: Iterable[Answer]) -> None:
    for answer in answers:
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def test_a_flood_of_sign_ins_leaves_threads_for_pulls(tmp_path: Path) -> None:
    """Contract, Errors 6: those who find no seat are told at once, with 503 and Retry-After."""
    with serving("sqlite", tmp_path, workers=1, WEB_THREADS="2", **SLOW_HASHES) as server:
        token = register(server)["access_token"]
        wrong = {"email": "nobody@example.com", "password": PASSWORD}
        flood = [Call(server, "/auth/login", wrong) for _ in range(2 * bulkheads.SIGN_INS)]
        for _ in range(3):
            assert Call(server, "/sync/pull", {"lastPulledAt": None}, token).answer().status == 200
        waiting = [call for call in flood if not call.is_answered()]
        assert len(waiting) >= bulkheads.SIGN_INS // 2  # in the order they came it were four
        answers = [call.answer() for call in flood]
    refused = [answer for answer in answers if answer.status != 401]
    check_refused(refused)
    # a busy machine may also keep one who sits waiting for longer than anybody waits
    unseated = [answer for answer in refused if "in a moment" in answer.json["detail"]]
    assert 0 < len(unseated) <= bulkheads.SIGN_INS


@contextmanager
def held_account(server: Server, kind: str, user_id: str) -> Any:
    """As if another host's push into this account took long."""
    parts, name = urlsplit(SERVERS[kind]), urlsplit(server.environ["DATABASE_URL"]).path[1:]
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=name,
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE id = %s FOR UPDATE", (user_id,))
        yield


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_one_accounts_pushes_leave_threads_for_the_others(tmp_path: Path, kind: str) -> None:
    """Contract push 1: those who are refused have stored nothing, the others all."""
    with serving(kind, tmp_path, workers=1, WEB_THREADS="2") as server:
        busy, other = register(server), register(server)
        with held_account(server, kind, busy["user"]["id"]):
            many = [push(server, busy["access_token"]) for _ in range(4 * bulkheads.OF_ONE_ACCOUNT)]
            for _ in range(5):
                assert push(server, other["access_token"]).answer().status == 200
            waiting = [call for call in many if not call.is_answered()]
            assert len(waiting) >= bulkheads.OF_ONE_ACCOUNT
        answers = [call.answer() for call in many]
        everything = Call(server, "/sync/pull", {"lastPulledAt": None}, busy["access_token"])
        stored = everything.answer().json["changes"]["projects"]["created"]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) == len(many) - bulkheads.OF_ONE_ACCOUNT
    check_refused(refused)
    assert len(stored) == bulkheads.OF_ONE_ACCOUNT


def test_who_stands_aside_is_replaced_until_it_comes_back() -> None:
    """One thread, three calls: all of them wait at once, and in the end there is one thread."""
    threads, inside = bulkheads.Threads(1), threading.Barrier(3)

    def wait() -> int:
        with bulkheads.release_thread():
            return inside.wait(30)

    assert {call.result(30) for call in [threads.submit(wait) for _ in range(3)]} == {0, 1, 2}
    names = {threads.submit(threading.get_ident).result(30) for _ in range(20)}
    assert len(names) == 1
    threads.shutdown()


def test_a_long_queue_is_not_worked_off_by_all_who_stood_aside() -> None:
    """Who comes back is one too many at once, not when all that was submitted before is done."""
    threads, gate, seat = bulkheads.Threads(1), threading.Event(), threading.Semaphore(1)
    ours: set[int] = set()

    def wait() -> int:
        ours.add(threading.get_ident())
        gate.wait(30)
        with seat, bulkheads.release_thread():
            pass
        return len(ours & {thread.ident for thread in threading.enumerate()})

    calls = [threads.submit(wait) for _ in range(200)]
    gate.set()
    # One works, one stands aside, and a few may just be on their way out.
    assert max(call.result(30) for call in calls) < 50
    threads.shutdown()


def test_a_call_that_fails_ends_no_thread() -> None:
    threads = bulkheads.Threads(1)

    def fail() -> None:
        with bulkheads.release_thread():
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            threads.submit(fail).result(30)
    assert threads.submit(len, "done").result(30) == 4
    threads.shutdown()


@pytest.mark.parametrize(
    ("size", "most"),
    [
        (bulkheads.LARGE_BYTES, bulkheads.OF_ONE_ACCOUNT),
        (bulkheads.LARGE_BYTES + 1, bulkheads.OF_ONE_ACCOUNT // bulkheads.LARGE),
        (None, bulkheads.OF_ONE_ACCOUNT // bulkheads.LARGE),
    ],
)
def test_a_line_is_bounded_and_forgotten(size: int | None, most: int) -> None:
    account = new_id()
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(bulkheads.account_queue(account, size))
        with pytest.raises(Unavailable), bulkheads.account_queue(account, size):
            pass
        stack.enter_context(bulkheads.account_queue(new_id(), size))
    assert account not in bulkheads._queues


def test_one_of_an_account_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkheads, "TURN_SECONDS", 0.01)
    with bulkheads.account_queue("a", 1) as first, bulkheads.account_queue("b", 1) as another:
        with first.turn(), another.turn(), bulkheads.account_queue("a", 1) as second:  # noqa: SIM117
            with pytest.raises(Unavailable), second.turn():
                pass
        with second.turn():
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no niceness elsewhere")
def test_threads_that_hash_let_others_go_first() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = niceness()
    assert hashing._threads(1).submit(niceness).result() == max(here, hashing.NICENESS)
    assert niceness() == here
