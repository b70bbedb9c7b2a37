"""Every scenario on every server, taking turns sample by sample (A B A B ...); and the result."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.driver.scenarios import Scenario
from benchmarks.driver.server import Server
from benchmarks.driver.wire import Failed


def measure(
    servers: list[Server], todo: list[Scenario], budget: float, repeats: int | None = None
) -> None:
    """Runs every scenario on every server, for `budget` seconds at most."""
    started = time.monotonic()
    for server in servers:
        server.hard_deadline = started + budget + 10
        if server.tree:
            server.info["idle_rss"] = server.tree.rss_mb()
            server.info["idle_pss"] = server.tree.pss_mb()
    for index, scenario in enumerate(todo):
        left = started + budget - time.monotonic()
        share = left * scenario.weight / sum(s.weight for s in todo[index:])
        _say(f"[{time.monotonic() - started:5.0f} s] {scenario.name}")
        _run(scenario, servers, share, repeats or scenario.repeats)
    for server in servers:
        server.info["seconds"] = round(time.monotonic() - started, 1)


def _run(scenario: Scenario, servers: list[Server], share: float, repeats: int) -> None:
    """Of `share` seconds the warm-ups may take four tenths; what they recorded does not count."""
    until = time.monotonic() + share
    before = {server.name: {*server.samples} for server in servers}
    _attempt(scenario.setup, servers, scenario)
    for _ in range(scenario.warmups):
        _attempt(scenario.warm, servers, scenario)
        if time.monotonic() > until - share * 0.6:
            break
    for server in servers:
        for key in server.samples.keys() - before[server.name]:
            del server.samples[key]
    for turn in range(repeats):
        if turn and time.monotonic() > until:
            _say(f"  only {turn} repeats: out of time")
            break
        _attempt(scenario.sample, servers, scenario)


def _attempt(step: Callable[[Server], object], servers: list[Server], scenario: Scenario) -> None:
    """Each server in turn; one that has failed is left out from then on."""
    for server in servers:
        if server.info.get("failed"):
            continue
        try:
            step(server)
        except (Failed, OSError, KeyError, ValueError) as error:
            server.info["failed"] = f"{scenario.name}: {error!r}"
            _say(f"  {server.name} failed: {error}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def result(server: Server) -> dict:
    rows: dict[str, dict] = {}
    for key, values in server.samples.items():
        rows[key] = {
            "value": statistics.median(values),
            "n": len(values),
            "samples": [round(v, 5) for v in values],
        }
        name, _, n = key.rpartition("_")
        if name in ("first_pull", "push_created", "push_updated"):
            count = int(n) + (0 if name == "push_updated" else max(5, min(20, int(n) // 100)))
            rows[f"{key}_rate"] = {"value": count / rows[key]["value"], "n": len(values)}
    for key in ("idle_rss", "peak_rss", "idle_pss"):
        if server.info.get(key):
            rows[key] = {"value": server.info[key], "n": 1}
    for row in rows.values():
        row["value"] = round(row["value"], 5)
    return {
        "name": server.name,
        "rows": rows,
        "correct": not server.problems and not server.info.get("failed"),
        "problems": server.problems,
        "errors": {k: v for k, v in server.errors.items() if v},
        "failed": server.info.get("failed"),
        "seconds": server.info.get("seconds"),
        "info": {k: v for k, v in server.info.items() if k.endswith(("_bytes", "_driver_cpu"))},
    }


def show(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{value:,.{digits}f} {unit}"


def remarks(answer: dict) -> list[str]:
    verdict = "answers checked, all correct" if answer["correct"] else "NOT CORRECT"
    lines = [f"{answer['name']}: {verdict}"]
    lines += [f"  problem: {text}" for text in answer["problems"]]
    if answer["failed"]:
        lines.append(f"  failed: {answer['failed']}")
    lines += [f"  errors in {key}: {counts}" for key, counts in answer["errors"].items()]
    return lines


def machine() -> dict:
    model = "?"
    with Path("/proc/cpuinfo").open() as handle:
        for line in handle:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
