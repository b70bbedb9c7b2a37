"""Pulls that are too large for one statement, and for memory (contract pull 1 and 2)."""

import gzip
import os
import re
import resource
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import DATABASES, ON_A_SERVER, cut_at
from devices import API, PASSWORD, Account, Device, bare, created, edited, project, task
from flask import Flask
from servers import Server, serving
from sqlalchemy import String, cast, create_engine, event, insert, literal_column, select

from melon_api.errors import Unavailable
from melon_api.models.base import db
from melon_api.storage.database_settings import sqlalchemy_url
from melon_api.sync.sql import changes_text
from tests.example.models import Task

SOME, COPIES = 500, 400
MIB = 1024  # in KiB, as /proc has it


class Phone:
    """A device of an account on a real server."""

    def __init__(self, server: Server) -> None:
        self.url = server.url + API
        self.headers: dict[str, str] = {}
        body = {"email": "ada@example.com", "password": PASSWORD}
        tokens = orjson.loads(self.call("/auth/register", body))
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    def call(self, path: str, body: Any = None, **headers: str) -> bytes:
        """The body of the answer as it came; a GET without one."""
        data = None if body is None else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **self.headers, **headers}
        request = urllib.request.Request(self.url + path, data, sent)
        with urllib.request.urlopen(request) as answer:
            received: bytes = answer.read()
        return received


def multiply(database_url: str) -> None:
    """Each task is there so many times more, under `<id>-<n>`."""
    table = Task.__table__
    first = select(literal_column("1").label("n")).cte("numbers", recursive=True)
    numbers = first.union_all(select(first.c.n + 1).where(first.c.n < COPIES - 1))
    own_id = table.c.id + "-" + cast(numbers.c.n, String(5))
    columns = [own_id if c is table.c.id else c for c in table.c]
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        copies = select(*columns).select_from(table.join(numbers, literal_column("1 = 1")))
        connection.execute(insert(table).from_select(list(table.c), copies))
    engine.dispose()


def worker_of(server: Server) -> int:
    tasks = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return int(tasks.read_text().split()[0])


@contextmanager
def takes_at_most(worker: int, kibibytes: int) -> Iterator[None]:
    """Its peak of memory meanwhile, over what it holds now."""
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # proc(5): the peak begins anew
    before = memory(worker, "VmRSS")
    yield
    taken = memory(worker, "VmHWM") - before
    assert taken < kibibytes, f"{taken / MIB:.0f} MiB"


def memory(worker: int, name: str) -> int:
    """In KiB."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{worker}/status").read_text(), re.M)
    assert found
    return int(found[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux")  # noqa: PTH110
@pytest.mark.parametrize("database", DATABASES)
def test_200_000_tasks_come_whole_and_take_little_memory(database: str, tmp_path: Path) -> None:
    """Contract pull 2; memory is bounded by a block, not by the account."""
    home = project()
    tasks = [bare(task(home["id"], title=f"Paint №{i}")) for i in range(SOME)]
    with serving(database, tmp_path, workers=1) as server:
        phone = Phone(server)
        changes = {"projects": created(home), "tasks": created(*tasks)}
        phone.call("/sync/push", {"changes": changes, "lastPulledAt": 0})
        multiply(server.environ["DATABASE_URL"])
        body = {"lastPulledAt": None}
        with takes_at_most(worker_of(server), 50 * MIB):
            plain = phone.call("/sync/pull", body)
            packed = phone.call("/sync/pull", body, **{"Accept-Encoding": "gzip"})
            export = phone.call("/users/me/export")
    assert gzip.decompress(packed) == plain
    found = orjson.loads(plain)["changes"]
    expected = {t["id"]: t for t in tasks}
    for n in range(1, COPIES):
        expected |= {i: {**t, "id": i} for t in tasks for i in [f"{t['id']}-{n}"]}
    assert len(found["tasks"]["created"]) == len(expected) == SOME * COPIES
    assert {t["id"]: t for t in found["tasks"]["created"]} == expected
    assert found["tasks"]["updated"] == found["tasks"]["deleted"] == []
    assert orjson.loads(export)["tasks"] == found["tasks"]["created"]


BLOCKS = 700  # bytes of a list: a few records


@pytest.fixture
def small_blocks(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So that few records make a large pull: blocks of some, all of them kept on disk."""
    monkeypatch.setattr(changes_text, "KEPT_BYTES", 0)
    with cut_at(account.app, BLOCKS):
        yield


@contextmanager
def at_each_statement(app: Flask, step: Callable[[Any], None]) -> Iterator[None]:
    """Do something else before each SQL statement of this thread; `step` gets its connection."""
    here = threading.get_ident()

    def pause(connection: Any, *_: Any) -> None:
        if threading.get_ident() == here:
            aside = threading.Thread(target=step, args=[connection.connection.dbapi_connection])
            aside.start()
            aside.join()

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", pause)
    yield
    event.remove(engine, "before_cursor_execute", pause)


@pytest.mark.usefixtures("small_blocks")
def test_pushes_between_the_blocks_do_not_tear_the_snapshot(account: Account) -> None:
    """Contract pull 1: what is told is the state at `timestamp`, and no other."""
    phone, tablet = account.first, account.device()
    home = project()
    tasks = {t["id"]: t for t in (task(home["id"], title="0") for _ in range(30))}
    phone.push(projects=created(home), tasks=created(*tasks.values()))
    phone.pull()
    states = {phone.pulled_at: dict(tasks)}

    def push(_connection: Any) -> None:
        """Every other task gets a new title, one goes, one comes."""
        turn = len(states)
        gone, new = next(iter(tasks)), task(home["id"], title=f"{turn}")
        del tasks[gone]
        changed = [edited(t, title=f"{turn}") for t in list(tasks.values())[turn % 2 :: 2]]
        lists = {"created": [new], "updated": changed, "deleted": [gone]}
        phone.pulled_at = phone.push(tasks=lists)
        tasks.update({t["id"]: t for t in (*changed, new)})
        states[phone.pulled_at] = dict(tasks)

    with at_each_statement(account.app, push):
        answer = tablet.ask_pull(None)
    assert len(states) > 2
    state = states[answer.json["timestamp"]]
    found = {t["id"]: t for t in answer.json["changes"]["tasks"]["created"]}
    assert found == {i: bare(t) for i, t in state.items()}
    tablet.pulled_at = answer.json["timestamp"]
    tablet.pull()
    assert tablet.pulled_at == phone.pulled_at


@ON_A_SERVER
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("turn", [2, 3, 4])
def test_a_database_that_goes_away_between_the_blocks(account: Account, turn: int) -> None:
    """Contract, Errors 6: 503, and no beginning of an answer."""
    with account.app.app_context():
        engine = db.engine
    home = project()
    tasks = [task(home["id"]) for _ in range(30)]
    account.first.push(projects=created(home), tasks=created(*tasks))
    seen = []

    def cut(connection: Any) -> None:
        seen.append(connection)
        if len(seen) == turn:  # the first statement reads the clock
            with engine.connect() as other:
                other.exec_driver_sql(f"KILL {connection.thread_id()}")

    tablet = account.device()
    with at_each_statement(account.app, cut):
        answer = tablet.ask_pull(None)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")


@pytest.mark.usefixtures("small_blocks")
def test_a_full_disk_is_an_error(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.first.push(projects=created(project()))
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    answer = account.device().ask_pull(None)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")


def test_a_disk_that_is_full_with_the_last_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small piece, which Python would keep until the answer is on its way."""
    monkeypatch.setattr(changes_text, "KEPT_BYTES", 0)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    text = changes_text.ChangesText(["tasks"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, usual[1]))
    try:
        with pytest.raises(Unavailable):
            text.add("tasks", "deleted", b'"a","b","c"', 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.usefixtures("small_blocks")
def test_no_connection_waits_for_a_slow_phone(account: Account) -> None:
    """The first byte leaves when all has been read."""
    account.first.push(projects=created(project()))
    device: Device = account.device()
    answer = device.call("POST", "/sync/pull", json={"lastPulledAt": None}, buffered=False)
    assert answer.is_streamed
    with account.app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert len(answer.data) == answer.content_length
    answer.close()
