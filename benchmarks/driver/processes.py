"""Memory and CPU time of a process and all its descendants, from /proc."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessTree:
    def __init__(self, pid: int) -> None:
        self.root = pid
        self.pids: list[int] = []
        self.read_at = 0.0
        self.refresh()
        if not self.pids:
            raise SystemExit(f"there is no process {pid}")

    def refresh(self) -> None:
        children: dict[int, list[int]] = {}
        alive = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
        for pid, stat in _each(alive, "stat"):
            children.setdefault(int(_fields(stat)[1]), []).append(pid)
        there = {pid for pids in children.values() for pid in pids}
        todo, self.pids = [self.root], []
        while todo:
            pid = todo.pop()
            if pid in there:
                self.pids.append(pid)
                todo += children.get(pid, [])
        self.read_at = time.monotonic()

    def rss_mb(self) -> float:
        """Counts pages that forked workers share once for each."""
        if time.monotonic() - self.read_at > 1:
            self.refresh()
        return sum(int(text.split()[1]) for _, text in _each(self.pids, "statm")) * PAGE / 1e6

    def pss_mb(self) -> float | None:
        """Counts them once; None where a process does not say."""
        self.refresh()
        told = [text for _, text in _each(self.pids, "smaps_rollup")]
        if len(told) < len(self.pids):
            return None
        lines = [line for text in told for line in text.splitlines() if line.startswith("Pss:")]
        return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        spent = (_fields(text)[11:13] for _, text in _each(self.pids, "stat"))
        return sum(int(user) + int(system) for user, system in spent) / TICKS


def _each(pids: list[int], name: str) -> Iterator[tuple[int, str]]:
    """This file of each process that is still there."""
    for pid in pids:
        try:
            yield pid, (PROC / str(pid) / name).read_text()
        except OSError:
            continue


def _fields(stat: str) -> list[str]:
    """Those behind the command's name, which may hold anything: the state is the first."""
    return stat.rpartition(")")[2].split()
