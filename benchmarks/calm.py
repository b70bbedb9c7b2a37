"""Waiting for a shared machine to be calm, before each round of samples (`--calm`)."""

import sys
import time
from pathlib import Path
from typing import Any

STAT = Path("/proc/stat")  # Linux; without it nothing is waited for
LOOK_SECONDS = 0.5
BUSY = 0.2  # share of all cores that others may use
FIELDS = slice(1, 9)  # user to steal, in ticks; idle and iowait are the fourth and fifth


class Calm:
    """Waits, for `seconds` in all, until little else runs; `server` is the first of a round."""

    def __init__(self, server: Any, seconds: float) -> None:
        self.server = server
        self.left = seconds if STAT.exists() else 0.0

    def take_part(self, scenario: Any) -> Any:
        """The same scenario, each of whose rounds begins when the machine is calm."""
        sample = scenario.sample

        def run(server: Any, *args: Any, **options: Any) -> Any:
            if server is self.server:
                self.wait()
            return sample(server, *args, **options)

        scenario.sample = run
        return scenario

    def wait(self) -> None:
        """Once the time is used up, it is said, and no more is waited for."""
        if self.left <= 0:
            return
        while _busy_share() > BUSY:
            self.left -= LOOK_SECONDS
            if self.left <= 0:
                print("  the machine stays busy; measured all the same", file=sys.stderr)
                return


def _busy_share() -> float:
    """Of all cores, over the next half second."""
    before = _ticks()
    time.sleep(LOOK_SECONDS)
    spent = [after - first for first, after in zip(before, _ticks(), strict=True)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def _ticks() -> list[int]:
    return [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[FIELDS]]
