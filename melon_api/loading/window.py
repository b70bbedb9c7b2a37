"""Lines that wait for others of their account, to be stored together in whatever order the file has
them. What waits is bounded, whatever the file's size."""

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 32 * 1024 * 1024  # that wait
LINE_BYTES = 200  # that a line takes beside its text


class Waiting(NamedTuple):
    """A line's number, and its text: what was read from it takes ten times the room."""

    number: int
    text: bytes


Groups = dict[str, list[Waiting]]  # by account, as the lines name it


class Window:
    """Takes lines; gives back whole accounts when it is full, those with the most lines first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._groups: Groups = {}

    def add(self, account: str, line: Waiting) -> Groups:
        """What is to be stored now: nothing, until half of the room has to be made free."""
        self._groups.setdefault(account, []).append(line)
        self._bytes += len(line.text) + LINE_BYTES
        if self._bytes <= self._most:
            return {}
        return dict(self._freed())

    def rest(self) -> Groups:
        """All that is left."""
        groups, self._groups, self._bytes = self._groups, {}, 0
        return groups

    def _freed(self) -> Iterator[tuple[str, list[Waiting]]]:
        for account in sorted(self._groups, key=lambda name: len(self._groups[name]), reverse=True):
            if self._bytes <= self._most // 2:
                return
            lines = self._groups.pop(account)
            self._bytes -= sum(len(line.text) + LINE_BYTES for line in lines)
            yield account, lines
