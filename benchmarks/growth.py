"""`make bench-growth`: does a full database cost what a small one does? See README.md.

Two of our servers, one on a database of many accounts, one on a database of few, all of the same
size; the paired driver compares them. The accounts are copies of one that was pushed over HTTP,
written in rounds, so that the rows of one account do not lie in the order in which they came.
"""

import argparse
import json
import random
import sys
import time
import uuid
from contextlib import ExitStack
from typing import Any

from benchmarks import database, servers
from benchmarks import driver as bench
from benchmarks.rows import ROWS, Rows, aligned, figure, gain

MOST = 1.3  # times the cost of the small database (issue: "Growth")
ROUNDS = 5
SETTLE_SECONDS, DIRTY = 30, 0.05  # the longest wait for the database to have written its pages
REDIS = {"small": 14, "big": 15}
COPIED = ("projects", "tasks", "sync_pushes")
COLD = "cold_pull"
ASIDE = {COLD: ("first pull of an account nobody used lately", "s", "less")}


class ColdPull(bench.Scenario):
    """The first pull of one of the many accounts, whose pages may be on disk alone; in seconds."""

    name = "first pull of a cold account"
    repeats = 15

    def __init__(self, emails: dict[str, list[str]]) -> None:
        self.emails = emails

    def sample(self, server: Any) -> None:
        connection = server.connection()
        email = random.choice(self.emails[server.name])
        body = {"email": email, "password": bench.PASSWORD}
        answer, _ = server.call(connection, "POST", "/auth/login", body)
        pull = bench.Account.pull_body(None)
        _, seconds = server.call(connection, "POST", "/sync/pull", pull, answer["access_token"])
        server.record(COLD, seconds)
        connection.close()


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        url = stack.enter_context(database.alone(options.database))
        accounts = {"small": options.small_accounts, "big": options.accounts}
        measured, emails = {}, {}
        for name, count in accounts.items():
            measured[name] = _start(stack, url, name)
            emails[name] = _fill(f"{url}/melon_bench_{name}", measured[name], count, options.tasks)
        _settle(url)
        result = _measure(measured, emails, options)
        result = {**result, **vars(options), "version": database.version(url)}
    path = servers.RESULTS / f"{time.strftime('%Y-%m-%d')}-growth-{options.database}.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return _tell(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--accounts", type=int, default=2000, help="in the big database")
    parser.add_argument("--small-accounts", type=int, default=40, help="in the small one")
    parser.add_argument("--tasks", type=int, default=5000, help="of each account")
    parser.add_argument("--budget", type=float, default=600, help="seconds to measure, at most")
    parser.add_argument("--repeats", type=int, help="instead of each row's own (7 to 15)")
    return parser.parse_args()


def _start(stack: ExitStack, url: str, name: str) -> Any:
    """Our server on an empty database, as the driver knows it."""
    running = stack.enter_context(servers.ours_alone(url, REDIS[name], name))
    return bench.Server(name, running.url, running.pid)


def _fill(url: str, server: Any, accounts: int, tasks: int) -> list[str]:
    """So many accounts with so many tasks each; their e-mail addresses."""
    model = bench.Account(server, second_device=False)
    model.push(model.fill(tasks))
    started = time.monotonic()
    with database.connect(url) as connection:
        owner = _one(connection, "SELECT id FROM users WHERE email = %s", model.email)
        copies = {str(uuid.uuid4()): f"growth-{i}@example.com" for i in range(accounts - 1)}
        for user_id, email in copies.items():
            database.copy(connection, "users", {"id": user_id, "email": email}, f"id = '{owner}'")
        connection.commit()
        for turn in range(ROUNDS):
            _copy_round(connection, owner, list(copies), turn)
            done, seconds = (turn + 1) / ROUNDS, time.monotonic() - started
            _say(f"{server.name}: {done:.0%} of {accounts * tasks:,} tasks, {seconds:.0f} s")
    return [model.email, *copies.values()]


def _copy_round(connection: Any, owner: str, copies: list[str], turn: int) -> None:
    """One part of each account's tasks, chosen by the ids' hash; the rest in the first round."""
    random.shuffle(copies)
    for user_id in copies:
        for table in COPIED:
            part = f"CRC32(id) % {ROUNDS} = {turn}" if table == "tasks" else f"{turn} = 0"
            database.copy(
                connection, table, {"user_id": user_id}, f"user_id = '{owner}' AND {part}"
            )
        connection.commit()


def _one(connection: Any, query: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchone()[-1]


def _settle(url: str) -> None:
    """Wait until the database has written most of what was filled in."""
    deadline = time.monotonic() + SETTLE_SECONDS
    with database.connect(url) as connection:
        while time.monotonic() < deadline:
            dirty, total = (
                int(_one(connection, f"SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_{what}'"))
                for what in ("dirty", "total")
            )
            if dirty <= DIRTY * total:
                return
            time.sleep(2)


def _measure(
    measured: dict[str, Any], emails: dict[str, list[str]], options: argparse.Namespace
) -> dict[str, Any]:
    chosen = [bench.Flow(10_000), bench.Incremental(), bench.Idle(), bench.SmallPush()]
    chosen.append(ColdPull(emails))
    before = bench.machine()
    bench.measure(list(measured.values()), chosen, options.budget, options.repeats)
    answers = {name: bench.result(server) for name, server in measured.items()}
    return {"machine": before, "servers": answers}


def _tell(result: dict[str, Any]) -> int:
    """Print the table; 0 when every row costs little enough and every answer was right."""
    answers = result["servers"]
    size = {"small": result["small_accounts"], "big": result["accounts"]}
    where = f"{result['database']} {result['version']}"
    print(f"\n{time.strftime('%Y-%m-%d')}, {where}, {result['tasks']:,} tasks in each account\n")
    head = [
        "row",
        *(f"{count:,} accounts" for count in size.values()),
        "cost",
        "at most",
        "reached",
    ]
    rows = _cells(answers["small"]["rows"], answers["big"]["rows"])
    print(aligned([head, *rows]))
    for answer in answers.values():
        print("\n".join(bench.remarks(answer)))
    is_right = all(answer["correct"] for answer in answers.values())
    return 0 if is_right and not any(row[-1] == "no" for row in rows) else 1


def _cells(small: Rows, big: Rows) -> list[list[str]]:
    """The promised rows, then the others that are good to know."""
    named = {row.key: (row.title, row.unit, row.better) for row in ROWS if row.unit != "MB"}
    found = []
    for key, (title, unit, better) in (named | ASIDE).items():
        if key in small and key in big:
            figures = small[key]["value"], big[key]["value"]
            cost = 1 / gain(better, figures[1], figures[0])
            bound = ["", ""] if key in ASIDE else [str(MOST), "yes" if cost <= MOST else "no"]
            found.append([title, *(figure(f, unit) for f in figures), f"{cost:.2f}", *bound])
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    servers.leave_tidily(main)
