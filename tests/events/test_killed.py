"""No event is lost, and none overtakes another, though workers are killed again and again while
people push (contract, The server's own changes).

More of it: make killed commits=100000 kills=100
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import forks
import pytest
from conftest import NO_ENV_FILE
from devices import Account, Device, created, new_id, project, task
from flask import Flask
from servers import STOP_SECONDS
from telling import listening, queues, told, waiting

from config import ROOT
from melon_api.logic import changes
from tests.example.models import Task

COMMITS = int(os.environ.get("MELON_COMMITS", "500"))
KILLS = int(os.environ.get("MELON_KILLS", "10"))
WORKERS, ACCOUNTS, PUSHERS = 2, 12, 4
LEASE_SECONDS = 3
PATIENCE_SECONDS = 300 + COMMITS // 20


@pytest.fixture(autouse=True)
def _listening(app: Flask) -> Iterator[None]:
    with listening(app):
        told(Task, "noted")  # by name: the workers' job
        yield


@contextmanager
def working(app: Flask, folder: Path, number: int) -> Iterator[Callable[[], forks.Process]]:
    """What starts one more `flask events work`; the last one ends with the block, in peace."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ |= NO_ENV_FILE | {
        "APP_ENV": "testing",
        "MELON_APP": app.config["MELON_APP"],
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
        "REDIS_URL": app.config["REDIS_URL"] or "",
        "EVENT_LEASE_SECONDS": str(LEASE_SECONDS),
        "INSTANCE_PATH": str(folder),
        "TOLD": str(folder / "told"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
    }
    command = ("--app", "told_app", "events", "work")
    started: list[forks.Process] = []
    with (folder / f"worker-{number}.log").open("wb") as log:

        def start() -> forks.Process:
            place = {"cwd": ROOT, "environ": environ}
            started.append(forks.start("flask", *command, **place, output=log, errors=log))
            return started[-1]

        yield start
        started[-1].terminate()
        ended = started[-1].wait(STOP_SECONDS)
        assert ended in (0, -signal.SIGTERM), log.name  # by it alone, who had not begun yet


def test_no_event_is_lost_when_workers_are_killed(app: Flask, tmp_path: Path) -> None:
    accounts = [Account(app) for _ in range(ACCOUNTS)]
    home = project(id="home")
    for account in accounts:
        account.first.push(projects=created(home))
    made: list[tuple[str, str]] = []
    phones: defaultdict[int, dict[str, Device]] = defaultdict(dict)  # a thread's own
    killed = 0

    def commit(number: int) -> None:
        """A step ahead of the kills, so that people push at each of them."""
        while number > (killed + 2) * COMMITS / (KILLS + 1):
            time.sleep(0.01)
        account, record_id = random.choice(accounts), new_id()
        if number % 5:
            with app.app_context(), changes(account.user["id"]) as mine:
                mine.save(Task, {"id": record_id, "project_id": "home"})
        else:
            phone = phones[threading.get_ident()].pop(account.email, None) or account.device()
            if number % 100:  # an access token lives for 15 minutes
                phones[threading.get_ident()][account.email] = phone
            phone.push(tasks=created(task("home", id=record_id)))
        made.append((account.user["id"], record_id))

    with ThreadPoolExecutor(PUSHERS) as pool:
        done = pool.map(commit, range(COMMITS))
        try:
            with working(app, tmp_path, 1) as one, working(app, tmp_path, 2) as two:
                workers = {one: one(), two: two()}
                for killed in range(KILLS):
                    await_lines(tmp_path / "told", killed)
                    victim = random.choice([one, two])
                    os.kill(workers[victim].pid, signal.SIGKILL)
                    workers[victim].wait()
                    workers[victim] = victim()
                killed = KILLS
                assert len(list(done)) == COMMITS
                until = time.monotonic() + PATIENCE_SECONDS
                while queues():
                    assert time.monotonic() < until, f"{len(waiting())} events wait"
                    time.sleep(0.1)
        finally:
            killed = KILLS  # or nobody would come to an end
    lines = (tmp_path / "told").read_text().splitlines()
    clocks, ids = defaultdict(list), Counter[tuple[str, str]]()
    for line in lines:
        account_id, clock, *record_ids = line.split()
        clocks[account_id].append(int(clock))
        ids.update((account_id, i) for i in record_ids)
    assert set(ids) == set(made)
    assert all(told == sorted(told) for told in clocks.values()), "one has overtaken another"
    doubles = ids.total() - len(ids)
    sys.stdout.write(f"{COMMITS} commits, {KILLS} kills, {doubles} told twice\n")
    assert doubles <= KILLS * 4  # at most what each thread of the killed one was at


def await_lines(path: Path, number: int) -> None:
    """The next kill comes when some more of the work is done, wherever it is then."""
    wanted, until = number * COMMITS // (KILLS + 1), time.monotonic() + PATIENCE_SECONDS
    while not path.exists() or path.read_bytes().count(b"\n") < wanted:
        assert time.monotonic() < until, "nothing is told any more"
        time.sleep(random.uniform(0, 0.05))
