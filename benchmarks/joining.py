"""`make bench-joining`: who joins a space of 50,000 records, and pulls them page by page, beside
the first pull of 50,000 of one's own; see README.md. Both take turns, in one run on one server.
"""

import argparse
import statistics

from benchmarks import database, servers
from benchmarks import driver as bench
from benchmarks.sampling import sampled
from benchmarks.sharing import SHARED, join

RECORDS, A_PUSH, PAGE = 50_000, 10_000, 1_000
REDIS = 13
EVERY_SECONDS = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with servers.measured(options.database, REDIS, MELON_APP=SHARED) as (_, server):
        owner, alone = (bench.Account(server, second_device=False) for _ in range(2))
        space, _ = owner.call("POST", "/spaces", {"name": "Shared"}, owner.a)
        _fill(owner, space["id"])
        _fill(alone, None)
        ratios = []
        for number in range(options.rounds + 1):
            own = _pulled(server, alone, None, "own")
            member = bench.Account(server, second_device=False)
            member.pull(None)
            join(owner, space["id"], member)
            joined = _pulled(server, member, member.timestamp, "joined")
            ratios += [joined / own] if number else []  # the first round warms up
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"joining to one's own: {middle:.2f} times as long (quartiles {low:.2f} to {high:.2f})")
    return 0


def _fill(account: bench.Account, space: str | None) -> None:
    project = bench.new_project() | {"space_id": space}
    account.push(bench.changes({"created": [project]}, None))
    for _ in range(RECORDS // A_PUSH):
        tasks = [bench.new_task(project["id"]) for _ in range(A_PUSH)]
        account.push(bench.changes(None, {"created": tasks}))


def _pulled(server: bench.Server, account: bench.Account, since: int | None, name: str) -> float:
    """Seconds of all pages together; prints them, and how far the PSS of master and workers went
    up."""
    body = account.pull_body(since) | {"limit": PAGE}
    taken, pages, records, more = 0.0, 0, 0, {}
    assert server.tree, "a server whose processes are known"
    tree, before = server.tree, server.tree.pss_mb() or 0.0
    with sampled(lambda: tree.pss_mb() or 0.0, EVERY_SECONDS) as samples:
        while more is not None:
            answer, seconds = account.call("POST", "/sync/pull", body | more, account.a)
            taken, pages = taken + seconds, pages + 1
            lists = answer["changes"].values()
            records += sum(len(one["created"]) + len(one["updated"]) for one in lists)
            more = {"cursor": answer["cursor"]} if answer["cursor"] else None
    assert records == RECORDS + 1, records
    most = max([before, *(seen for _, seen in samples)])
    print(f"{name:7} {taken:6.2f} s, {pages} pages, PSS {before:.0f} to {most:.0f} MB", flush=True)
    return taken


if __name__ == "__main__":
    raise SystemExit(main())
