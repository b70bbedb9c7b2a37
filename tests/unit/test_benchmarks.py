"""What the benchmarks print is right, without a server to measure."""

import pytest

from benchmarks.rows import LEVEL, ROWS, aligned, figure, lines, table
from benchmarks.stacks import read

FIRST_PULL, IDLE, P99 = "first_pull_10000", "idle_c16_rps", "idle_c16_p99"


def measured(**values: float) -> dict[str, dict[str, float]]:
    return {key: {"value": value} for key, value in values.items()}


@pytest.mark.parametrize(
    ("seconds", "floor", "is_reached"),
    [(0.05, 0.03, True), (0.05, 0.01, False), (0.06, 0.03, False)],
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
