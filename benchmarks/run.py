"""`make bench`: both servers side by side on fresh databases, in one run; see README.md."""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from benchmarks import database, servers
from benchmarks import driver as bench
from benchmarks.calm import Calm
from benchmarks.floors import Floor
from benchmarks.peer_build import ROOT, built_peer, peer_versions
from benchmarks.rows import lines, table

SECONDS_EACH = 165  # of time, at most; the driver's own
PACKAGES = ("flask", "sqlalchemy", "pymysql", "gunicorn", "redis", "orjson")
REDIS_OURS, REDIS_PEER = 14, 15
SCENARIOS = {
    "flow": lambda: [bench.Flow(1000), bench.Flow(10_000)],
    "incremental": lambda: [bench.Incremental()],
    "idle": lambda: [bench.Idle(), bench.IdleAlone()],
    "small_push": lambda: [bench.SmallPush()],
    "login": lambda: [bench.Logins()],
}


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        result = _measure(stack, options)
    path = servers.RESULTS / f"{time.strftime('%Y-%m-%d')}-{options.database}.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return _tell(result, path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--budget", type=float, help="seconds for everything, at most")
    parser.add_argument("--repeats", type=int, help="instead of each row's own (7 to 15)")
    parser.add_argument(
        "--calm",
        type=float,
        default=0,
        help="seconds to wait, in all, while others use the machine",
    )
    parser.add_argument(
        "--rows", help=f"only some, with commas between: {', '.join(SCENARIOS)} (default: all)"
    )
    parser.add_argument("--off", help=f"of ours, with commas: {', '.join(servers.SWITCHES)}")
    parser.add_argument(
        "--checkout", type=Path, default=ROOT, help="measure another checkout of this project"
    )
    return parser.parse_args()


def _measure(stack: ExitStack, options: argparse.Namespace) -> dict[str, Any]:
    build = built_peer()
    url = stack.enter_context(database.alone(options.database))
    started = _start(stack, build, url, options)
    before = bench.machine()
    measured = {
        name: bench.Server(name, f"{server.url}{'/floor' if name == 'floor' else ''}", server.pid)
        for name, server in started.items()
    }
    floor = Floor(measured["floor"], f"{url}/melon_bench_floor")
    calm = Calm(measured["ours"], options.calm)
    chosen = [calm.take_part(floor.take_part(row)) for row in _scenarios(options.rows)]
    budget = options.budget or 3 * SECONDS_EACH + options.calm
    bench.measure(list(measured.values()), chosen, budget, options.repeats)
    return {
        "machine": before,
        "database": f"{options.database} {database.version(url)}",
        "commit": _commit(options.checkout),
        "as": f"without {options.off}" if options.off else "as deployed",
        "versions": _versions(build),
        "servers": {name: bench.result(server) for name, server in measured.items()},
    }


def _start(
    stack: ExitStack, build: Path, url: str, options: argparse.Namespace
) -> dict[str, servers.Running]:
    """Ours, the peer and the floor, each on an empty database of its own."""
    ours, theirs, floors = (
        stack.enter_context(database.fresh(url, f"melon_bench_{name}"))
        for name in ("ours", "peer", "floor")
    )
    redis_ours, redis_peer = (
        stack.enter_context(database.redis_database(n)) for n in (REDIS_OURS, REDIS_PEER)
    )
    checkout, off = options.checkout.resolve(), servers.switched_off(options.off)
    found = [servers.ours("ours", ours, redis_ours, checkout, **off)]
    found.append(servers.peer(build, theirs, redis_peer))
    servers.migrate({"DATABASE_URL": floors})
    found.append(servers.floor(floors, redis_ours))
    return {server.name: server for server in map(stack.enter_context, found)}


def _scenarios(chosen: str | None) -> list[Any]:
    """All of them, or some."""
    names = list(SCENARIOS) if chosen is None else chosen.split(",")
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise SystemExit(f"There is no row {', '.join(unknown)}; there are {', '.join(SCENARIOS)}.")
    return [scenario for name in names for scenario in SCENARIOS[name]()]


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _versions(build: Path) -> dict[str, str]:
    found = {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    return {**found, "node": node.stdout.strip(), **peer_versions(build)}


def _tell(result: dict[str, Any], path: Path) -> int:
    """Print the table, draw it; 0 when every answer was right."""
    found = result["servers"]
    rows = lines(*(found[name]["rows"] for name in ("ours", "peer", "floor")))
    machine, when = result["machine"], time.strftime("%Y-%m-%d")
    title = f"{when}, {result['database']}, {machine['cpus']} cores, commit {result['commit']}"
    title += f", {result['as']}"
    print(f"\n{title}\n\n{table(rows)}\n")
    print("\n".join(_asides(found["floor"]["rows"])))
    for answer in found.values():
        print("\n".join(bench.remarks(answer)))
    if rows:
        _draw(rows, title, path.with_suffix(".png"))
    print(f"\nwritten: {os.path.relpath(path)} and .png")
    return 0 if all(answer["correct"] for answer in found.values()) else 1


def _asides(floor: dict[str, Any]) -> list[str]:
    """Other floors that are good to know."""
    named = {
        "push_created_10000_sql": ("the insert's statements alone, made beforehand", "s"),
        "push_updated_10000_sql": ("the update's", "s"),
        "idle_c16_redis_rps": ("bare WSGI with one Redis round trip", "/s"),
    }
    return [
        f"{text}: {bench.show(floor[key]['value'], unit)}"
        for key, (text, unit) in named.items()
        if key in floor
    ]


def _draw(rows: Sequence[Any], title: str, path: Path) -> None:
    from benchmarks.chart import draw  # noqa: PLC0415 - half a second that a failed run needs not

    draw(rows, title, path)


if __name__ == "__main__":
    servers.leave_tidily(main)
