"""`make bench-fairness`: what a small push waits for while others load the server; see README.md.

One account pushes a record at a time, alone and beside others: a loop of 10,000-record pushes of
another account, a flood of sign-ins. Alone and beside take turns, ours and the peer as well.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks import database, servers
from benchmarks import driver as bench
from benchmarks.loads import ROUNDS
from benchmarks.peer_build import built_peer

RECORDS, SIGN_INS = 10_000, 8
REDIS_OURS, REDIS_PEER = 14, 15
WAIT_SECONDS = 0.02  # between two pushes, as the load should be the others'

Request = Callable[[], bytes]


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        measured = [Beside(server) for server in _start(stack, options)]
        for _ in range(options.rounds):
            for each in measured:
                each.sample(options.seconds)
    for each in measured:
        each.tell()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each sample")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    return parser.parse_args()


def _start(stack: ExitStack, options: argparse.Namespace) -> Iterator[Any]:
    url = stack.enter_context(database.alone(options.database))
    started = [stack.enter_context(servers.ours_alone(url, REDIS_OURS))]
    if not options.alone:
        theirs = stack.enter_context(database.fresh(url, "melon_bench_peer"))
        redis = stack.enter_context(database.redis_database(REDIS_PEER))
        started.append(stack.enter_context(servers.peer(built_peer(), theirs, redis)))
    for running in started:
        yield bench.Server(running.name, running.url, running.pid)


class Beside:
    """One server's latencies of small pushes, in s, by what else it had to do."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.small = bench.Account(server, second_device=False)
        self.small.push(self.small.fill(1))
        large, self.sign_in = _large_pushes(server), _sign_ins(server)
        self.others: dict[str, list[Request]] = {
            "alone": [],
            "beside a loop of 10,000 updated": [large],
            f"beside {SIGN_INS} sign-ins at once": [self.sign_in] * SIGN_INS,
        }
        self.found: dict[str, list[float]] = {name: [] for name in self.others}
        self.done: dict[str, int] = dict.fromkeys(self.others, 0)

    def sample(self, seconds: float) -> None:
        for name, others in self.others.items():
            with _repeated(self.server, others) as counts:
                time.sleep(0.5)  # until it is under way
                self._push_for(seconds, self.found[name])
            self.done[name] += sum(counts)

    def _push_for(self, seconds: float, found: list[float]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.small.tasks = [bench.edited(task) for task in self.small.tasks]
            found.append(self.small.push(bench.changes(None, {"updated": self.small.tasks})))
            time.sleep(WAIT_SECONDS)

    def tell(self) -> None:
        print(f"\n{self.server.name}: a small push (ms)")
        (_, base), *_ = medians = [(name, _figures(found)) for name, found in self.found.items()]
        for name, (middle, high) in medians:
            times = f"{middle / base[0]:.1f} and {high / base[1]:.1f} times"
            print(
                f"  {name:34} p50 {middle:6.1f}  p99 {high:6.1f}  {times:22}"
                f"  {len(self.found[name])} pushes, {self.done[name]} of the others"
            )


def _figures(found: list[float]) -> tuple[float, float]:
    """p50 and p99, in ms."""
    return statistics.median(found) * 1e3, statistics.quantiles(found, n=100)[98] * 1e3


def _large_pushes(server: Any) -> Request:
    account, requests = bench.Account(server, second_device=False), []
    account.push(account.fill(RECORDS))
    for _ in range(ROUNDS):
        account.tasks = [bench.edited(task) for task in account.tasks]
        body = {"changes": bench.changes(None, {"updated": account.tasks}), "lastPulledAt": 0}
        requests.append(server.build("POST", "/sync/push", body, account.a))
    return _in_turn(requests)


def _sign_ins(server: Any) -> Request:
    account = bench.Account(server, second_device=False)
    body = {"email": account.email, "password": bench.PASSWORD}
    return _in_turn([server.build("POST", "/auth/login", body)])


def _in_turn(requests: list[bytes]) -> Request:
    def next_one() -> bytes:
        requests.append(requests.pop(0))
        return requests[-1]

    return next_one


@contextmanager
def _repeated(server: Any, others: list[Request]) -> Iterator[list[int]]:
    """Each of the others in a loop of its own; how many were answered, for each."""
    stop, counts, failed = threading.Event(), [0] * len(others), []

    def run(number: int) -> None:
        connection = server.connection()
        while not stop.is_set():
            status, body, _ = connection.send(others[number](), server.timeout())
            if status >= 300:
                failed.append(f"{status} {body[:200].decode(errors='replace')}")
                return
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(others))]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise SystemExit(f"{server.name} refused one of the others: {failed[0]}")


if __name__ == "__main__":
    servers.leave_tidily(main)
