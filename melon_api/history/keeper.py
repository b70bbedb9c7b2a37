"""What is to be kept waits in memory, and is written by a thread of this process, many at once: a
request does nothing for it but to put it here.

What a process that is killed had not written is lost: that of PAUSE_SECONDS. So is what comes while
MOST_WAITING wait already, because the database is away; a line of the log says how many.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from melon_api.history.entry import Entry
from melon_api.storage.transactions import is_outage

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5
MOST_WAITING = 5_000  # about 1 kB each

Write = Callable[[Sequence[Entry]], None]


class Keeper:
    """Thread-safe. The thread begins with the first entry, so that it is a worker's own."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: dict[object, Entry] = {}  # in the order they came
        self._lost = 0
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._has_some, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, entry: Entry) -> None:
        """Keep it soon; of calls that were refused alike, one with their number."""
        likeness = entry.likeness
        with self._lock:
            known = self._waiting.get(likeness) if likeness else None
            if known is not None:
                known.times, known.at_ms = known.times + 1, entry.at_ms
            elif len(self._waiting) >= MOST_WAITING:
                self._lost += 1
            else:
                self._waiting[likeness or object()] = entry
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, name="history", daemon=True)
                self._thread.start()
            if not self._has_some.is_set():
                self._has_some.set()

    def flush(self) -> None:
        """Returns when all that has come before is written, or is not to be."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
                lost, self._lost = self._lost, 0
                self._has_some.clear()
            if lost:
                log.warning("%d calls are not in the history: too many waited", lost)
            if waiting:
                self._write_or_wait(waiting)

    def close(self) -> None:
        """At the end of the process: write what waits."""
        self._closed.set()
        self._has_some.set()
        self.flush()

    def _go_on(self) -> None:
        while not self._closed.is_set():
            self._has_some.wait()
            self._closed.wait(PAUSE_SECONDS)
            self.flush()

    def _write_or_wait(self, waiting: dict[object, Entry]) -> None:
        try:
            self._write(list(waiting.values()))
        except Exception as error:  # the thread goes on; a database's message quotes values
            if is_outage(error) and not self._closed.is_set():
                with self._lock:
                    self._waiting = {**waiting, **self._waiting}
                self._has_some.set()
                return
            name = type(error).__name__
            log.warning("%d calls are not in the history: %s", len(waiting), name)
