"""Numbers of calls that this process gives out without asking Redis.

A call has a number in each window that it counts in, and is refused when that is above the limit.
Where a limit is high, a process takes some numbers at a time. What all processes hold of a window
and have not given out is bounded, however many they are: half of what is left of that bound is one
process's share. So nobody is let through who is beyond the limit, and nobody is refused more than
`HELD_SHARE` of the limit before it is reached (docs/adr/14).

Numbers end with their window. Redis away: the process counts in its memory, as ever.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HELD_SHARE = 10  # one of so many
LEAST_LIMIT = 100  # below that, each call is counted in Redis
MOST_WINDOWS = 10_000  # whose numbers are held at once


def most_held(amount: int) -> int:
    """How many numbers of a limit all processes may hold."""
    return amount // HELD_SHARE if amount >= LEAST_LIMIT else 0


class Window(NamedTuple):
    """A counter and the seconds that it lives. `most`: how many numbers of calls that were not made
    yet all processes together may hold; `used`: how many that this one held were called since."""

    key: str
    seconds: int
    most: int = 0
    used: int = 0


class Taken(NamedTuple):
    """The number of a call in its window, how many after it are this process's to give out, and
    when the window ends (s since the epoch)."""

    calls: int
    more: int
    end: float


@dataclass
class Lease:
    """Of one window, which ends at `end` (s since the epoch). `used`: numbers that were given out
    since Redis was told."""

    end: float
    numbers: deque[Iterator[int]]
    used: int = 0

    def next(self) -> int | None:
        while self.numbers:
            if (number := next(self.numbers[0], None)) is not None:
                self.used += 1
                return number
            self.numbers.popleft()
        return None


class Leases:
    """Thread-safe. `count` asks Redis (storage/call_counts.py)."""

    def __init__(self, count: Callable[[Sequence[Window]], list[Taken]]) -> None:
        self._count = count
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()

    def count(self, windows: Sequence[Window]) -> list[Taken]:
        """Count a call in each of them: in no round trip to Redis, or one for those of which this
        process has no number."""
        with self._lock:
            now = time.time()
            held = [self._next(window.key, now) if window.most else None for window in windows]
            asked = [
                self._asked(window)
                for window, number in zip(windows, held, strict=True)
                if not number
            ]
        news = self._count(asked) if asked else []
        with self._lock:
            for window, taken in zip(asked, news, strict=True):
                self._hold(window.key, taken)
        fresh = iter(news)
        return [number or next(fresh) for number in held]

    def _next(self, key: str, now: float) -> Taken | None:
        lease = self._held.get(key)
        if lease is None:
            return None
        if lease.end <= now:
            del self._held[key]
            return None
        number = lease.next()
        return None if number is None else Taken(number, 0, lease.end)

    def _asked(self, window: Window) -> Window:
        """With what Redis is to be told."""
        lease = self._held.get(window.key)
        if lease is None:
            return window
        used, lease.used = lease.used, 0
        return window._replace(used=used)

    def _hold(self, key: str, taken: Taken) -> None:
        if not taken.more:
            return
        lease = self._held.setdefault(key, Lease(taken.end, deque()))
        lease.numbers.append(iter(range(taken.calls + 1, taken.calls + 1 + taken.more)))
        while len(self._held) > MOST_WINDOWS:
            del self._held[next(iter(self._held))]
