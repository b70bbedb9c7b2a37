"""Whoever asks for much waits; the others do not wait for them. Nothing is asserted about seconds,
only about who is answered before whom."""

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
from conftest import SERVERS
from devices import PASSWORD, Account, Device, created, new_id, project
from flask import Flask
from servers import Server, serving

from melon_api import bulkheads
from melon_api import threads as workers
from melon_api.auth.passwords import hashing
from melon_api.errors import Unavailable
from melon_api.models.base import db
from melon_api.sync import pull as pulls
from melon_api.sync.sql import changes_text, delta_pull
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.web.answer import respond

# At least 0.2 s for each, of two at once.
SLOW_HASHES = {"ARGON2_MEMORY_KIB": "19456", "ARGON2_ITERATIONS": "60"}


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
    unseated = [answer for answer in refused if "Too many" in answer.json["detail"]]
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
    threads, inside = workers.Threads(1), threading.Barrier(3)

    def wait() -> int:
        with workers.release_thread():
            return inside.wait(30)

    assert {call.result(30) for call in [threads.submit(wait) for _ in range(3)]} == {0, 1, 2}
    names = {threads.submit(threading.get_ident).result(30) for _ in range(20)}
    assert len(names) == 1
    threads.shutdown()


def test_a_long_queue_is_not_worked_off_by_all_who_stood_aside() -> None:
    """Who comes back is one too many at once, not when all that was submitted before is done."""
    threads, gate, seat = workers.Threads(1), threading.Event(), threading.Semaphore(1)
    ours: set[int] = set()

    def wait() -> int:
        ours.add(threading.get_ident())
        gate.wait(30)
        with seat, workers.release_thread():
            pass
        return len(ours & {thread.ident for thread in threading.enumerate()})

    calls = [threads.submit(wait) for _ in range(200)]
    gate.set()
    # One works, one stands aside, and a few may just be on their way out.
    assert max(call.result(30) for call in calls) < 50
    threads.shutdown()


def test_a_call_that_fails_ends_no_thread() -> None:
    threads = workers.Threads(1)

    def fail() -> None:
        with workers.release_thread():
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
    assert hashing._pool(1).threads.submit(niceness).result() == max(here, bulkheads.NICENESS)
    assert niceness() == here


def wait_until_full(scans: bulkheads.ThreadPoolBulkhead) -> None:
    """They are about to sit down; to try a seat would keep one of them from it."""
    wait_for(lambda: not scans.aside._seats._value)  # type: ignore[attr-defined]


def wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


def test_exports_and_verifications_work_one_at_a_time(app: Flask) -> None:
    """Contract, Errors 6: who finds no place is told at once, and nobody else waits for them."""
    person, other = Account(app).first, Account(app).first
    asked = {
        "export": lambda: person.call("GET", "/users/me/export"),
        "verify": lambda: person.call(
            "POST", "/sync/verify", json={"lastPulledAt": person.pulled_at, "tables": {}}
        ),
    }
    person.pull()
    under_way, go_on = threading.Semaphore(0), threading.Event()
    at_work = []

    def scan() -> None:
        at_work.append(threading.get_ident())
        under_way.release()
        assert go_on.wait(30)

    with ThreadPoolExecutor(bulkheads.SCANS) as pool:
        scans = [pool.submit(bulkheads.scans.run, scan) for _ in range(bulkheads.SCANS)]
        assert under_way.acquire(timeout=30)
        wait_until_full(bulkheads.scans)
        for ask in asked.values():
            answer = ask()
            assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"]
        assert other.ask_pull(None).status_code == 200
        assert len(at_work) == 1
        go_on.set()
        for done in scans:
            done.result()
    assert len(set(at_work)) == 1
    assert [ask().status_code for ask in asked.values()] == [200, 200]


def test_an_account_asks_for_half_of_the_scans_and_is_in_nobodys_way(app: Flask) -> None:
    """The third of an account is told at once; another account's is next, before the second."""
    account, other, go_on = Account(app), Account(app).first, threading.Event()
    person, own_id = account.first, account.user["id"]
    order: list[str] = []

    def scan(name: str) -> None:
        order.append(name)
        assert go_on.wait(30)

    with ThreadPoolExecutor(4) as pool:
        for name in "ab":
            pool.submit(bulkheads.scans.run_for, own_id, partial(scan, name))
        wait_for(lambda: bulkheads._queues[f"scan {own_id}"].weight == 16)
        refused = person.call("GET", "/users/me/export")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "unavailable")
        wait_for(lambda: len(order) == 1)
        theirs = pool.submit(bulkheads.scans.run_for, "other", partial(scan, "other"))
        wait_for(lambda: bulkheads.scans.threads._work_queue.qsize() == 1)
        go_on.set()
        theirs.result(30)
    assert order[1] == "other"
    assert not bulkheads._queues
    assert [p.call("GET", "/users/me/export").status_code for p in (person, other)] == [200, 200]


@pytest.mark.parametrize(
    "asked",
    [
        {"lastPulledAt": None},
        {},
        {"replacement": True},
        {"lastPulledAt": None, "limit": 3},
        {"migration": {"from": 1, "tables": ["projects"], "columns": []}},
    ],
    ids=["first", "news", "replacement", "page", "migration"],
)
def test_a_large_pull_waits_for_its_turn_and_nobody_for_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """Contract, Errors 6: those who find no seat are told at once, with 503 and Retry-After. Who
    waits holds no connection."""
    monkeypatch.setattr(pulls, "LARGE", delta_pull.FEW)
    monkeypatch.setattr(pulls, "SMALL_PAGE", 2)
    aside = bulkheads.ThreadPoolBulkhead(1, "large", bulkheads.Bulkhead(2, "No seat."))
    monkeypatch.setattr(bulkheads, "large_pulls", aside)
    large, small = (_with_news(app, count) for count in (delta_pull.FEW + 1, delta_pull.FEW))
    go_on = threading.Event()

    def ask(phone: Device) -> Any:
        return phone.call("POST", "/sync/pull", json={"lastPulledAt": phone.pulled_at, **asked})

    with ThreadPoolExecutor(2) as pool:
        at_work = pool.submit(aside.run, lambda: go_on.wait(30))
        waiting = pool.submit(ask, large)
        wait_until_full(aside)
        refused = ask(large)
        assert (refused.status_code, refused.get_json()["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"]
        assert ask(small).status_code == 200
        assert large.ask_pull(None, limit=2).status_code == 200
        with app.app_context():
            wait_for(lambda: db.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
        assert not waiting.done()
        go_on.set()
        assert at_work.result()
        answer = waiting.result()
    assert answer.status_code == 200
    told = answer.get_json()
    found = sum(len(ids) for ids in told["changes"]["projects"].values())
    assert found == asked.get("limit", delta_pull.FEW + 1)


def _with_news(app: Flask, count: int) -> Device:
    """A phone with so many projects to pull."""
    account = Account(app)
    phone = account.device()
    phone.pull()
    account.first.push(projects=created(*(project() for _ in range(count))))
    return phone


def test_large_pulls_of_an_account_are_in_nobodys_way(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time: of two turns, the other one is for others."""
    monkeypatch.setattr(pulls, "LARGE", 3)
    mine, theirs = _with_news(app, 4), _with_news(app, 4)
    own_id = account_id(mine)
    at_work, go_on = threading.Event(), threading.Event()

    def work() -> None:
        at_work.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(bulkheads.large_pulls.run_for, own_id, work)
        assert at_work.wait(30)
        second = pool.submit(mine.ask_pull, None)
        wait_for(lambda: bulkheads._queues[f"large pull {own_id}"].weight == 2)
        assert theirs.ask_pull(None).status_code == 200
        assert not second.done()
        go_on.set()
        first.result(30)
        assert second.result(30).status_code == 200


def account_id(phone: Device) -> str:
    answer = phone.call("GET", "/users/me").get_json()
    return str(answer["id"])


def test_who_waits_too_long_for_a_turn_is_told_to_come_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Errors 6. Whether for the account's turn or for all the others'."""
    monkeypatch.setattr(pulls, "LARGE", 3)
    phone, go_on = _with_news(app, 4), threading.Event()
    for own in (account_id(phone), ""):
        with ThreadPoolExecutor(2) as pool:
            under_way = threading.Semaphore(0)

            def work(under_way: threading.Semaphore = under_way) -> bool:
                under_way.release()
                return go_on.wait(30)

            for other in (own, "another"):
                pool.submit(bulkheads.large_pulls.run_for, other, work)
            assert under_way.acquire(timeout=30)
            assert under_way.acquire(timeout=30)
            with monkeypatch.context() as patch:
                patch.setattr(bulkheads, "TURN_SECONDS", 0.01)
                refused = phone.ask_pull(None)
            assert (refused.status_code, refused.get_json()["code"]) == (503, "unavailable")
            assert refused.headers["Retry-After"]
            go_on.set()
        go_on.clear()
    assert phone.ask_pull(None).status_code == 200


def test_who_sends_a_large_answer_stands_aside() -> None:
    """One thread: the second piece of work is done while the first one waits for its reader."""
    threads, is_sent, text = workers.Threads(1), threading.Event(), ChangesText(["tasks"])
    text._file = Path(os.devnull).open("rb")  # noqa: SIM115 - it closes its own

    def parts() -> Iterator[bytes]:
        yield b"{"
        assert is_sent.wait(30)
        yield b"}"

    response = respond(parts(), text, 2)
    sent = threads.submit(lambda: b"".join(response.iter_encoded()))
    threads.submit(is_sent.set)
    assert sent.result(60) == b"{}"
    response.close()
    names = {threads.submit(threading.get_ident).result(30) for _ in range(20)}
    assert len(names) == 1
    threads.shutdown()


def test_a_large_answer_that_breaks_off_gives_its_thread_back(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packed one, which is read through two generators."""
    monkeypatch.setattr(changes_text, "KEPT_BYTES", 0)
    phone, threads = Account(plain_app).first, workers.Threads(1)
    phone.push(projects=created(*(project(name=new_id() * 10) for _ in range(3_000))))

    def count() -> int:
        return sum(thread.name == "request" for thread in threading.enumerate())

    def break_off() -> int:
        packed = {"Accept-Encoding": "gzip"}
        answer = phone.call("GET", "/sync/pull", headers=packed, buffered=False)
        assert answer.headers["Content-Encoding"] == "gzip"
        next(iter(answer.response))
        before = count()
        answer.close()
        return before

    others = count() - 1
    assert threads.submit(break_off).result(30) == others + 2

    def has_one() -> bool:
        threads.submit(len, "x").result(30)
        return count() == others + 1

    wait_for(has_one)
    threads.shutdown()


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_large_pulls_leave_threads_for_others(tmp_path: Path, kind: str) -> None:
    """One thread, which sixteen large pulls have come to first: in the order they came, all of them
    were answered before the small one."""
    count = 4 * pulls.LARGE
    with serving(kind, tmp_path, workers=1, WEB_THREADS="1") as server:
        tokens = [register(server)["access_token"] for _ in range(3)]
        large, small = tokens[:2], tokens[2]
        for token in large:
            changes = {"projects": created(*(project() for _ in range(count)))}
            body = {"changes": changes, "lastPulledAt": 0}
            assert Call(server, "/sync/push", body, token).answer().status == 200
        many = [Call(server, "/sync/pull", {"lastPulledAt": None}, t) for t in 8 * large]
        assert Call(server, "/sync/pull", {"lastPulledAt": None}, small).answer().status == 200
        waiting = [call for call in many if not call.is_answered()]
        assert len(waiting) >= len(many) // 4
        answers = [call.answer() for call in many]
    assert [answer.status for answer in answers] == [200] * len(many)
    for answer in answers:
        assert len(answer.json["changes"]["projects"]["created"]) == count
