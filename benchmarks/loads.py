"""One row's requests, over and over: what a profile looks at."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks import driver as bench

RECORDS, CHANGED = 10_000, 100
ROUNDS = 8  # bodies that are made beforehand, of 10,000 records each

Load = Callable[[float], int]  # runs for so many seconds; how many requests it made


def first_pull(server: Any) -> Load:
    account = _big_account(server)
    return _repeating(lambda: account.pull(None))


def push_created(server: Any) -> Load:
    """New records again and again, into a few accounts."""
    pushes = []
    for _ in range(ROUNDS):
        account = bench.Account(server, second_device=False)
        pushes.append((account, account.fill(RECORDS)))
    return _through([lambda a=a, body=body: a.push(body) for a, body in pushes])


def push_updated(server: Any) -> Load:
    """Every push changes every record."""
    account, bodies = _big_account(server), []
    for _ in range(ROUNDS):
        account.tasks = [bench.edited(task) for task in account.tasks]
        bodies.append(bench.changes(None, {"updated": account.tasks}))
    return _repeating(_rotating([lambda b=b: account.push(b) for b in bodies]))


def incremental(server: Any) -> Load:
    """The same pull of 100 changed records: the device forgets that it has had them."""
    account = _big_account(server)
    since = account.timestamp
    time.sleep(0.01)
    edited = [bench.edited(task) for task in account.tasks[:: RECORDS // CHANGED]]
    account.push(bench.changes(None, {"updated": edited}))
    return _repeating(lambda: account.pull(since))


def idle_pull(server: Any) -> Load:
    return _loop(server, bench.Idle())


def small_push(server: Any) -> Load:
    return _loop(server, bench.SmallPush())


def login(server: Any) -> Load:
    return _loop(server, bench.Logins())


LOADS = {
    load.__name__: load
    for load in (first_pull, push_created, push_updated, incremental, idle_pull, small_push, login)
}


def _big_account(server: Any) -> Any:
    account = bench.Account(server)
    account.push(account.fill(RECORDS))
    account.pull(None)
    return account


def _repeating(request: Callable[[], Any]) -> Load:
    def run(seconds: float) -> int:
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            request()
            count += 1
        return count

    return run


def _through(requests: list[Callable[[], Any]]) -> Load:
    """Each of them once, or until the time is over."""

    def run(seconds: float) -> int:
        end = time.monotonic() + seconds
        for count, request in enumerate(requests):
            if time.monotonic() > end:
                return count
            request()
        return len(requests)

    return run


def _rotating(requests: list[Callable[[], Any]]) -> Callable[[], Any]:
    def next_one() -> Any:
        requests.append(requests.pop(0))
        return requests[-1]()

    return next_one


def _loop(server: Any, scenario: Any) -> Load:
    scenario.setup(server)

    def run(seconds: float) -> int:
        scenario.seconds = seconds
        scenario.sample(server)
        return round(server.samples[f"{scenario.key}_rps"][-1] * seconds)

    return run
