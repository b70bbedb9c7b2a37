"""What the benchmarks print is right, without a server to measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NO_ENV_FILE

from benchmarks import servers
from benchmarks.driver import Scenario, Server, measure, new_task, result
from benchmarks.driver.processes import ProcessTree
from benchmarks.driver.records import differences
from benchmarks.driver.wire import Failed, Reply
from benchmarks.live_load import delays
from benchmarks.peer_build import PEER, SOURCES
from benchmarks.rows import LEVEL, ROWS, aligned, figure, lines, table
from benchmarks.stacks import read

FIRST_PULL, IDLE, P99 = "first_pull_10000", "idle_c16_rps", "idle_c16_p99"


def measured(**values: float) -> dict[str, dict[str, float]]:
    return {key: {"value": value} for key, value in values.items()}


@pytest.mark.parametrize(
    ("seconds", "floor", "is_reached"),
    [(0.045, 0.03, True), (0.05, 0.01, False), (0.06, 0.03, False)],
)
def test_a_row_is_reached_against_the_peer_and_the_floor(
    seconds: float, floor: float, is_reached: bool
) -> None:
    (line,) = lines(
        *(measured(**{FIRST_PULL: value}) for value in (seconds, 0.1, floor)),
    )
    assert line.is_reached is is_reached


def test_more_is_better_where_requests_are_counted() -> None:
    (line,) = lines(measured(**{IDLE: 300}), measured(**{IDLE: 200}), measured(**{IDLE: 600}))
    assert (line.gain, line.floors, line.is_reached) == (1.5, 2.0, True)


def test_no_worse_takes_what_two_runs_differ_by() -> None:
    peer = measured(**{P99: 10.0})
    assert lines(measured(**{P99: 10 / LEVEL - 0.01}), peer, {})[0].is_reached
    assert not lines(measured(**{P99: 10 / LEVEL + 0.01}), peer, {})[0].is_reached


def test_the_spread_is_that_of_the_pairs() -> None:
    mine = {FIRST_PULL: {"value": 1.0, "samples": [1.0, 2.0, 3.0, 4.0]}}
    theirs = {FIRST_PULL: {"value": 2.0, "samples": [2.0, 4.0, 6.0, 8.0]}}
    (line,) = lines(mine, theirs, {})
    assert line.spread == (2.0, 2.0)
    assert "2.00 (2.00 to 2.00)" in table([line])


def test_rows_that_were_not_measured_are_left_out() -> None:
    assert lines(measured(**{FIRST_PULL: 1}), {}, {}) == []
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_a_table_is_aligned_markdown() -> None:
    assert aligned([["row", "n"], ["a", "1"]]) == "| row | n |\n| --- | - |\n| a   | 1 |"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0824, "s", "82.4 ms"), (3328.4, "/s", "3,328 /s"), (1.5, "s", "1.50 s")],
)
def test_figures_have_three_digits(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_stacks_are_counted_by_function_and_package() -> None:
    folder = "/somewhere/lib/python3.11"
    stacks = read(
        f'process 7:"gunicorn";run (melon_api/a.py);load ({folder}/json/decoder.py) 3\n'
        f"run (melon_api/a.py);run (melon_api/a.py);get ({folder}/site-packages/redis/x.py) 1\n"
        "run (melon_api/a.py) 4\n"
    )
    assert stacks.total == 8
    assert stacks.whole()["run (melon_api/a.py)"] == 8
    assert stacks.own() == {
        "load (json/decoder.py)": 3,
        "get (redis/x.py)": 1,
        "run (melon_api/a.py)": 4,
    }
    assert stacks.packages() == {"python": 3, "redis": 1, "melon_api": 4}


ANSWER = b"HTTP/1.1 201 Created\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER + b"Content-Length: 5\r\n\r\nmelon",
        ANSWER + b"Transfer-Encoding: chunked\r\n\r\n2\r\nme\r\n3;x=y\r\nlon\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
def test_the_driver_reads_an_answer_in_any_pieces(answer: bytes) -> None:
    for size in (1, 7, len(answer)):
        reply = Reply()
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        assert [reply.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (reply.status, reply.close, reply.body()) == (201, True, b"melon")


def test_the_driver_sees_what_a_pull_got_wrong() -> None:
    tasks = [new_task("p1") for _ in range(3)]
    pulled = [{k: v for k, v in task.items() if not k.startswith("_")} for task in tasks]
    assert differences(tasks, pulled[::-1]) is None
    assert differences(tasks, pulled[:2]) == "1 missing, 0 unexpected of 3"
    assert "told twice" in str(differences(tasks, [*pulled, pulled[0]]))
    pulled[1]["title"] += "!"
    assert "differs" in str(differences(tasks, pulled))


class Counted(Scenario):
    """Says which sample it is; one server fails at its third."""

    name, warmups, repeats = "counted", 1, 3

    def __init__(self) -> None:
        self.count: dict[str, int] = {}

    def sample(self, server: Server) -> None:
        self.count[server.name] = number = self.count.get(server.name, 0) + 1
        if (server.name, number) == ("b", 3):
            raise Failed("on purpose")
        server.record("number", number)


def test_servers_take_turns_and_warm_ups_do_not_count() -> None:
    servers = [Server(name, "127.0.0.1:1") for name in "ab"]
    servers[0].record("earlier", 7)
    measure(servers, [Counted()], budget=60)
    assert servers[0].samples == {"earlier": [7], "number": [2, 3, 4]}
    assert servers[1].samples == {"number": [2]}
    told = [result(server) for server in servers]
    assert [answer["correct"] for answer in told] == [True, False]
    assert told[0]["rows"]["number"]["value"] == 3
    assert "on purpose" in told[1]["failed"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux has /proc")
def test_a_process_is_measured_with_its_children() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        tree = ProcessTree(os.getpid())
        assert {os.getpid(), child.pid} <= set(tree.pids)
        assert tree.rss_mb() > ProcessTree(child.pid).rss_mb() > 1
        assert (tree.pss_mb() or 0) > 1
        assert tree.cpu_seconds() > 0
        child.communicate(b"\n")


def test_the_peer_is_built_from_this_checkout_alone() -> None:
    assert all((PEER / name).exists() for name in SOURCES)
    wanted = json.loads((PEER / "package.json").read_text())
    locked = json.loads((PEER / "package-lock.json").read_text())["packages"]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in package for path, package in locked.items() if path)


def test_a_developers_settings_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the shell's nor those of `.env`."""
    monkeypatch.setenv("DATABASE_URL", "mysql://somebody/s")
    environ = servers._shell()
    assert "DATABASE_URL" not in environ
    assert NO_ENV_FILE.items() <= environ.items()


def test_an_event_is_the_first_one_behind_the_stamp_of_its_push() -> None:
    events = {1: [10.0, 20.0, 500.0], 2: [5.0]}
    stamps = [(1, 9.5), (1, 10.0), (1, 10.5), (1, 21.0), (2, 6.0), (3, 1.0)]
    assert delays(stamps, events) == [0.5, 0.0, 9.5, None, None, None]
