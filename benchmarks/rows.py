"""The rows that are promised: what each one must reach, and whether it does. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEVEL = 0.95  # "no worse": within 5 %, which is less than two runs differ by
Rows = Mapping[str, Mapping[str, Any]]  # the driver's: key -> {"value": …, "samples": […]}


@dataclass(frozen=True)
class Row:
    """A figure of the driver, under its key.

    `ratio`: how many times as good as the peer it must be; `floor`: what its floor is; `floors`:
    how many floors it may take at most.
    """

    key: str
    title: str
    unit: str
    better: str  # "less" or "more"
    ratio: float
    floor: str
    floors: float | None = None

    @property
    def cpu_key(self) -> str:
        """The driver's key of the server's CPU time for it, where it measures that."""
        return f"{self.key.removesuffix('_rps')}_cpu"


ROWS = (
    Row("first_pull_10000", "first pull of 10,000", "s", "less", 2.2, "raw fetch", 2.5),
    Row("push_created_10000", "push of 10,000 created", "s", "less", 2.4, "raw upsert", 1.6),
    Row("push_updated_10000", "push of 10,000 updated", "s", "less", 1.8, "raw upsert", 1.6),
    Row("incremental_100", "pull of 100 changed of 10,000", "ms", "less", 1.2, "raw fetch"),
    Row("idle_c16_rps", "idle pulls, 16 connections", "/s", "more", 1.2, "bare WSGI"),
    Row("idle_c16_p99", "idle pulls, p99", "ms", "less", 1.0, "bare WSGI"),
    Row("idle_c1_p50", "idle pulls, 1 connection, p50", "ms", "less", 1.4, "bare WSGI"),
    Row("small_push_c16_rps", "small pushes, 16 connections", "/s", "more", 1.0, "bare, with SQL"),
    Row("small_push_c16_p99", "small pushes, p99", "ms", "less", 1.0, "bare, with SQL"),
    Row("login_c4_rps", "logins, 4 connections", "/s", "more", 1.0, "Argon2id"),
    Row("idle_pss", "memory (PSS), idle", "MB", "less", 2.0, "bare gunicorn"),
    Row("after_pss", "memory (PSS), after 10,000", "MB", "less", 2.0, "bare gunicorn"),
    Row("idle_rss", "memory (RSS), idle", "MB", "less", 1.0, "bare gunicorn"),
    Row("peak_rss", "memory (RSS), peak of 10,000", "MB", "less", 1.0, "bare gunicorn"),
)


@dataclass(frozen=True)
class Line:
    """A row with its figures. `gain`: how many times as good as the peer; `spread`: the quartiles
    of that over the pairs of samples; `floors`: how many floors it took; `cpu_gain`: as `gain`, of
    the server's CPU time."""

    row: Row
    ours: float
    peer: float
    floor: float | None
    gain: float
    spread: tuple[float, float] | None
    floors: float | None
    cpu_gain: float | None

    @property
    def is_reached(self) -> bool:
        """Whether the promise is kept, that against the floor too."""
        least = LEVEL if self.row.ratio == 1.0 else self.row.ratio
        within = self.row.floors is None or self.floors is None or self.floors <= self.row.floors
        return self.gain >= least and within


def lines(ours: Rows, peer: Rows, floor: Rows) -> list[Line]:
    """The rows that were measured on both servers."""
    return [_line(row, ours, peer, floor) for row in ROWS if row.key in ours and row.key in peer]


def _line(row: Row, ours: Rows, peer: Rows, floor: Rows) -> Line:
    mine, theirs = ours[row.key]["value"], peer[row.key]["value"]
    least = floor[row.key]["value"] if row.key in floor else None
    cpu = row.cpu_key if row.cpu_key in ours and row.cpu_key in peer else None
    return Line(
        row,
        mine,
        theirs,
        least,
        gain(row.better, mine, theirs),
        _spread(row, ours, peer),
        1 / gain(row.better, mine, least) if least else None,
        gain("less", ours[cpu]["value"], peer[cpu]["value"]) if cpu else None,
    )


def gain(better: str, ours: float, theirs: float) -> float:
    """How many times as good ours is."""
    return ours / theirs if better == "more" else theirs / ours


def _spread(row: Row, ours: Rows, peer: Rows) -> tuple[float, float] | None:
    """The driver takes turns, so that the samples come in pairs which met the same noise."""
    pairs = zip(ours[row.key].get("samples", ()), peer[row.key].get("samples", ()), strict=False)
    gains = [gain(row.better, mine, theirs) for mine, theirs in pairs]
    if len(gains) < 4:
        return None
    low, _, high = statistics.quantiles(gains, n=4)
    return low, high


def table(found: Sequence[Line]) -> str:
    """The figures, and what they mean."""
    head = ["row", "ours", "peer", "times as good", "to reach", "reached"]
    head += ["CPU", "floor", "floors taken", "at most"]
    return aligned([head, *map(_cells, found)])


def aligned(cells: list[list[str]]) -> str:
    """As Markdown that can be read as it is; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lined = [cells[0], ["-" * width for width in widths], *cells[1:]]
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |"
        for row in lined
    )


def _cells(line: Line) -> list[str]:
    row = line.row
    spread = f" ({line.spread[0]:.2f} to {line.spread[1]:.2f})" if line.spread else ""
    return [
        row.title,
        figure(line.ours, row.unit),
        figure(line.peer, row.unit),
        f"{line.gain:.2f}{spread}",
        f"{row.ratio:.1f}",
        "yes" if line.is_reached else "no",
        f"{line.cpu_gain:.2f}" if line.cpu_gain else "",
        f"{figure(line.floor, row.unit)} ({row.floor})" if line.floor else "",
        f"{line.floors:.2f}" if line.floors else "",
        f"{row.floors:.1f}" if row.floors else "",
    ]


def figure(value: float, unit: str) -> str:
    """Three digits and the unit; seconds below 1 as ms."""
    if unit == "s" and value < 1:
        value, unit = value * 1000, "ms"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
