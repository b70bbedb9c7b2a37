"""Nobody's requests may take every thread of a worker: who works, and who waits aside.

`WEB_THREADS` threads of a worker take requests; more would only hand the interpreter's lock to and
fro. A request that waits for others of its kind (for its turn to hash a password, for its turn to
push into its account) steps aside: another thread takes requests in its place. How many stand aside
is bounded, for each kind.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from melon_api.errors import Unavailable
from melon_api.threads import release_thread

SIGN_INS = 16  # that wait or hash; of two hashes at once and 20 ms each, the last waits 0.2 s
BODIES = 32  # large ones, packed, that wait for memory to be unpacked or parsed in
SCANS = 4  # exports and verifications, one of which works
LARGE_PULLS, LARGE_PULLS_AT_WORK = 32, 2
PUSHES = 32  # that wait for another one into their account
OF_ONE_ACCOUNT = 16  # pushes under way, of a person's devices
LARGE_BYTES, LARGE = 1 << 18, 4  # a larger body counts as so many: it is in memory while it waits
TURN_SECONDS = 10  # how long anybody waits for a turn
NICENESS = 5

T = TypeVar("T")


class Bulkhead:
    """Where at most `seats` requests of one kind stand aside."""

    def __init__(self, seats: int, refusal: str) -> None:
        self._seats = threading.BoundedSemaphore(seats)
        self.seats, self.refusal = seats, refusal

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Wait in here. Raises Unavailable at once when every seat is taken."""
        if not self._seats.acquire(blocking=False):
            raise Unavailable(self.refusal)
        try:
            with release_thread():
                yield
        finally:
            self._seats.release()


class ThreadPoolBulkhead:
    """So many threads of its own, which let others go first (Linux); who asked for their work
    stands `aside` meanwhile."""

    def __init__(self, threads: int, name: str, aside: Bulkhead) -> None:
        self.threads = ThreadPoolExecutor(threads, name, initializer=step_back)
        self.name, self.aside = name, aside

    def run_for(self, account: str, work: Callable[[], T]) -> T:
        """As `run`, of one account one at a time: its others are on half of the seats at most, and
        in no other account's way. Raises Unavailable."""
        queued = _queue(f"{self.name} {account}", 2 * OF_ONE_ACCOUNT // self.aside.seats)
        with queued as queue, self.aside.seat(), queue.turn(nullcontext):
            return self._run(work)

    def run(self, work: Callable[[], T]) -> T:
        """What `work` answers, which has the caller's context. Raises Unavailable, also after
        TURN_SECONDS in which others were at work."""
        with self.aside.seat():
            return self._run(work)

    def _run(self, work: Callable[[], T]) -> T:
        done = self.threads.submit(copy_context().run, work)
        try:
            return done.result(TURN_SECONDS)
        except TimeoutError:
            if done.cancel():
                raise Unavailable("Others' requests take too long; try again.") from None
            return done.result()  # its turn has come


def step_back() -> None:
    """The calling thread gives way to others for ever."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


_scans = Bulkhead(SCANS, "Others are exported or verified here; try again in a moment.")
scans = ThreadPoolBulkhead(1, "scan", _scans)  # what reads all that an account holds
_large_pulls = Bulkhead(LARGE_PULLS, "Too many large pulls wait here; try again in a moment.")
large_pulls = ThreadPoolBulkhead(LARGE_PULLS_AT_WORK, "large pull", _large_pulls)
sign_ins = Bulkhead(SIGN_INS, "Too many people are signing in; try again in a moment.")
pushes = Bulkhead(PUSHES, "Too many pushes wait here; try again in a moment.")


bodies = Bulkhead(BODIES, "Too many large requests wait here; try again in a moment.")


class Allowance:
    """So much of something that the requests of this process share; who finds too little left
    waits aside for those who have it. `refusal`: what is said when that takes too long."""

    def __init__(self, amount: int, refusal: str) -> None:
        self._amount = self._left = amount
        self._refusal = refusal
        self._given_back = threading.Condition()

    def take(self, wanted: int) -> int:
        """Have `wanted`, at most all there is, and how much that is. Raises Unavailable."""
        wanted = min(wanted, self._amount)
        if not self._took(wanted):
            with bodies.seat():
                self._wait(wanted)
        return wanted

    def give_back(self, taken: int) -> None:
        with self._given_back:
            self._left += taken
            self._given_back.notify_all()

    @contextmanager
    def share(self, wanted: int) -> Iterator[None]:
        """Have it for this block. Raises Unavailable."""
        taken = self.take(wanted)
        try:
            yield
        finally:
            self.give_back(taken)

    def _took(self, wanted: int) -> bool:
        with self._given_back:
            return self._take_now(wanted)

    def _wait(self, wanted: int) -> None:
        with self._given_back:
            if not self._given_back.wait_for(lambda: self._take_now(wanted), TURN_SECONDS):
                raise Unavailable(self._refusal)

    def _take_now(self, wanted: int) -> bool:
        fits = wanted <= self._left
        self._left -= wanted if fits else 0
        return fits


@dataclass
class AccountQueue:
    """What is under way of one account in this process: its pushes, or what one bulkhead is for."""

    weight: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @contextmanager
    def turn(
        self, seat: Callable[[], AbstractContextManager[None]] = pushes.seat
    ) -> Iterator[None]:
        """One at a time: of pushes, the others would hold a connection each, to wait in the
        database for the account's lock. Who has to wait takes a `seat`. Raises Unavailable when
        there is none, or after TURN_SECONDS."""
        if not self._lock.acquire(blocking=False):
            with seat():
                if not self._lock.acquire(timeout=TURN_SECONDS):
                    raise Unavailable("This account's other requests take too long.")
        try:
            yield
        finally:
            self._lock.release()


_queues: dict[str, AccountQueue] = {}
_queues_guard = threading.Lock()


def account_queue(account: str, size: int | None) -> AbstractContextManager[AccountQueue]:
    """Join the line of pushes into `account`, with a body of `size` bytes (None: not known).

    Raises Unavailable when OF_ONE_ACCOUNT are in it, or a quarter as many large ones.
    """
    return _queue(account, LARGE if size is None or size > LARGE_BYTES else 1)


@contextmanager
def _queue(account: str, weight: int) -> Iterator[AccountQueue]:
    with _queues_guard:
        queue = _queues.setdefault(account, AccountQueue())
        if queue.weight + weight > OF_ONE_ACCOUNT:
            raise Unavailable("This account's other requests are under way; try again then.")
        queue.weight += weight
    try:
        yield queue
    finally:
        with _queues_guard:
            queue.weight -= weight
            if not queue.weight:
                del _queues[account]
