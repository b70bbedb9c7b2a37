"""Folded stacks, `outer;inner count` a line, and what they say. Pure."""

import re
from collections import Counter
from dataclasses import dataclass

PROCESS = re.compile(r"^process \d+")
INSTALLED = re.compile(r"[^ (]*/(?:site-packages|python3\.\d+)/")
FILE = re.compile(r"\(([^/()]+)/")  # the folder of a function's file
STANDARD = ("concurrent", "encodings", "json", "logging", "importlib", "asyncio", "email", "http")


@dataclass(frozen=True)
class Stacks:
    """Counted stacks, each from the outermost function to the innermost."""

    counted: tuple[tuple[tuple[str, ...], int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counted)

    def own(self) -> Counter[str]:
        """Samples in each function itself."""
        found: Counter[str] = Counter()
        for stack, count in self.counted:
            found[stack[-1]] += count
        return found

    def packages(self) -> Counter[str]:
        """Samples in each package itself; `python`: the standard library."""
        found: Counter[str] = Counter()
        for name, count in self.own().items():
            file = FILE.search(name)
            found[file[1] if file and file[1] not in STANDARD else "python"] += count
        return found

    def whole(self) -> Counter[str]:
        """Samples in each function or what it calls; one that calls itself counts once."""
        found: Counter[str] = Counter()
        for stack, count in self.counted:
            for name in set(stack):
                found[name] += count
        return found


def read(text: str) -> Stacks:
    counted = []
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        names = [_short(name) for name in stack.split(";") if not PROCESS.match(name)]
        if names:
            counted.append((tuple(names), int(count)))
    return Stacks(tuple(counted))


def _short(name: str) -> str:
    """`execute (sqlalchemy/engine/base.py)`, without the folders before the package."""
    return INSTALLED.sub("", name)
