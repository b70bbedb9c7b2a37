"""How patient the server is with a connection, and how much of it may lie here."""

import threading
import time
from dataclasses import dataclass

RATE_BYTES = 1_000  # a second, of a body or an answer, on the average of each stretch
WHOLE_SECONDS = 3_600  # of a body, or of an answer: whatever its rate
HEAD_BYTES = 1 << 16
KEPT_BYTES = 1 << 16  # of a body, in memory; a larger one is a file
OWED_BYTES = 1 << 20  # of an answer, in memory, while its reader is slow; more becomes a file
FOR_MEMBERS, FOR_STRANGERS = 512 << 20, 64 << 20  # bytes of bodies that are here at once


@dataclass(frozen=True)
class Limits:
    """Of a worker: `silence`, s, is how long a new connection may say nothing, a head may take in
    all, and how long a stretch is; `keepalive`, s, how long an answered one may say nothing; bodies
    of more than `body_bytes` are not taken in."""

    silence: float
    keepalive: float
    body_bytes: int
    connections: int


class Pace:
    """Whether bytes move: at least RATE_BYTES a second in each stretch of `silence` seconds. Who
    was quick at first has earned no pause by it."""

    __slots__ = ("_before", "_mark", "_stretch", "started")

    def __init__(self, stretch: float, moved: int = 0) -> None:
        self.started = self._mark = time.monotonic()
        self._stretch, self._before = stretch, moved

    def is_lost(self, now: float, moved: int) -> bool:
        """`moved`: bytes in all, by now."""
        if now - self.started > WHOLE_SECONDS:
            return True
        if now - self._mark < self._stretch:
            return False
        is_slow = moved - self._before < RATE_BYTES * (now - self._mark)
        self._mark, self._before = now, moved
        return is_slow


class Room:
    """Bytes of bodies that have arrived and are not answered: strangers have a small room of their
    own, and can fill nobody else's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = {True: FOR_MEMBERS, False: FOR_STRANGERS}

    def take(self, size: int, *, is_member: bool) -> bool:
        """Whether there was so much."""
        with self._lock:
            if self._left[is_member] < size:
                return False
            self._left[is_member] -= size
            return True

    def give_back(self, size: int, *, is_member: bool) -> None:
        with self._lock:
            self._left[is_member] += size
