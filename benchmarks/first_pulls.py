"""`make bench-first-pulls`: what other accounts' pulls wait for beside 16 loops of first pulls of
50,000 records; see README.md. The loops are a process of their own, and read what they are sent."""

import argparse
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import database, servers
from benchmarks import driver as bench

RECORDS, LOOPS, LARGE_ACCOUNTS = 50_000, 16, 4
SMALL_RECORDS, FEW = 500, 20
REDIS = 13
WAIT_SECONDS, FEWEST = 0.1, 5


def main() -> int:
    options = _options()
    with servers.measured(options.database, REDIS, "first_pulls", options.checkout) as (_, server):
        asked = _pulls_of_a_phone(server)
        large = [_first_pull(server, _filled(server, RECORDS)) for _ in range(LARGE_ACCOUNTS)]
        if options.gzip:
            large = [r.replace(b"Encoding: identity", b"Encoding: gzip") for r in large]
        _measure(server, "alone", asked, options.seconds)
        with _loops(server, [large[i % len(large)] for i in range(LOOPS)]) as counts:
            _measure(server, f"beside {LOOPS} loops", asked, options.seconds)
        print(f"of the loops {counts[0]} were answered, {counts[1]} told to come again")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--gzip", action="store_true", help="the loops ask for packed answers")
    parser.add_argument("--checkout", type=Path, default=servers.ROOT, help="of another version")
    return parser.parse_args()


def _filled(server: Any, records: int) -> Any:
    account = bench.Account(server, second_device=False)
    account.push(account.fill(records - 20))
    return account


def _first_pull(server: Any, account: Any) -> bytes:
    request: bytes = server.build("POST", "/sync/pull", account.pull_body(None), account.a)
    return request


def _pulls_of_a_phone(server: Any) -> dict[str, bytes]:
    account = _filled(server, SMALL_RECORDS)
    account.pull(None)
    since = account.timestamp
    account.push(bench.changes(None, {"updated": [bench.edited(t) for t in account.tasks[:FEW]]}))
    few = server.build("POST", "/sync/pull", account.pull_body(since), account.a)
    return {
        f"first pull of {SMALL_RECORDS}": _first_pull(server, account),
        f"pull of {FEW}": few,
        "first pull of 20,000": _first_pull(server, _filled(server, 20_000)),
    }


def _measure(server: Any, name: str, asked: dict[str, bytes], seconds: float) -> None:
    found: dict[str, list[float]] = {what: [] for what in asked}
    connection, end, refused = server.connection(), time.monotonic() + seconds, 0
    while time.monotonic() < end or len(found[next(iter(found))]) < FEWEST:
        for what, request in asked.items():
            status, _, taken = connection.send(request, 60)
            found[what].append(taken)
            refused += status != 200
            time.sleep(WAIT_SECONDS)
    for what, times in found.items():
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"{name:18} {what:22} p50 {p50 * 1e3:8.1f}  p95 {p95 * 1e3:8.1f} ms ({len(times)})")
    if refused:
        print(f"{refused} of these were told to come again")


@contextmanager
def _loops(server: Any, requests: list[bytes]) -> Iterator[Any]:
    """Each request again and again; how many were answered with 200, and how many were not."""
    context = multiprocessing.get_context("fork")
    counts = context.Array("i", 2)
    process = context.Process(target=_repeat, args=(server, requests, counts), daemon=True)
    process.start()
    try:
        time.sleep(2)  # until they are under way
        yield counts
    finally:
        process.kill()
        process.join()


def _repeat(server: Any, requests: list[bytes], counts: Any) -> None:
    def run(request: bytes) -> None:
        connection = server.connection()
        while True:
            status, _, _ = connection.send(request, 60)
            with counts.get_lock():
                counts[status != 200] += 1
            if status != 200:
                time.sleep(1)  # less than Retry-After

    threads = [threading.Thread(target=run, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    servers.leave_tidily(main)
