"""Nobody's requests may take every thread of a worker: who works, and who waits aside.

`WEB_THREADS` threads of a worker take requests; more would only hand the interpreter's lock to and
fro. A request that waits for others of its kind (for its turn to hash a password, for its turn to
push into its account) steps aside: another thread takes requests in its place. How many stand aside
is bounded, for each kind.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from melon_api.errors import Unavailable

SIGN_INS = 16  # that wait or hash; of two hashes at once and 20 ms each, the last waits 0.2 s
BODIES = 32  # large ones, packed, that wait for memory to be unpacked or parsed in
PUSHES = 32  # that wait for another one into their account
OF_ONE_ACCOUNT = 16  # pushes under way, of a person's devices
LARGE_BYTES, LARGE = 1 << 18, 4  # a larger body counts as so many: it is in memory while it waits
TURN_SECONDS = 10  # how long anybody waits for a turn

_here = threading.local()  # `threads`: those that this thread is one of


class Threads(Executor):
    """`count` threads that take work in the order it came, and others in place of those aside.

    For gunicorn.conf.py. As many as wished could not be had from a ThreadPoolExecutor, whose
    number of threads is fixed.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._too_many = threading.Semaphore(0)  # threads that are to end
        for _ in range(count):
            self._start_one()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn` called by the next thread that is free."""
        future: Future[Any] = Future()
        self._work.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when they have done what was submitted; waits for nothing, and nothing
        is cancelled: gunicorn has its own patience (graceful_timeout)."""
        for _ in range(self._count):
            self._work.put(None)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Another thread works meanwhile; whichever is free first after that ends. Not by a word in
        the queue: a long one would be worked off by all who ever stood aside."""
        self._start_one()
        try:
            yield
        finally:
            self._too_many.release()  # this very thread asks at the end of its work, if none before

    def _start_one(self) -> None:
        threading.Thread(target=self._run, name="request", daemon=True).start()

    def _run(self) -> None:
        _here.threads = self
        while item := self._work.get():
            _call(*item)
            if self._too_many.acquire(blocking=False):
                return
            del item  # or the last request's body stays in memory until the next one


def _call(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # it is the one's who asked for the result
        future.set_exception(error)
    else:
        future.set_result(result)


@contextmanager
def release_thread() -> Iterator[None]:
    """Let another request work while this one waits; nothing outside of a worker."""
    threads: Threads | None = getattr(_here, "threads", None)
    if threads is None:
        yield
        return
    with threads.one_more():
        yield


class Bulkhead:
    """Where at most `seats` requests of one kind stand aside."""

    def __init__(self, seats: int, refusal: str) -> None:
        self._seats = threading.BoundedSemaphore(seats)
        self._refusal = refusal

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Wait in here. Raises Unavailable at once when every seat is taken."""
        if not self._seats.acquire(blocking=False):
            raise Unavailable(self._refusal)
        try:
            with release_thread():
                yield
        finally:
            self._seats.release()


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
    """The pushes into one account that are under way in this process."""

    weight: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time: the others would hold a connection each, to wait in the database for the
        account's lock. Raises Unavailable when too many wait, or this one for TURN_SECONDS."""
        if not self._lock.acquire(blocking=False):
            with pushes.seat():
                if not self._lock.acquire(timeout=TURN_SECONDS):
                    raise Unavailable("Other pushes into this account take too long.")
        try:
            yield
        finally:
            self._lock.release()


_queues: dict[str, AccountQueue] = {}
_queues_guard = threading.Lock()


@contextmanager
def account_queue(account: str, size: int | None) -> Iterator[AccountQueue]:
    """Join the line of pushes into `account`, with a body of `size` bytes (None: not known).

    Raises Unavailable when OF_ONE_ACCOUNT are in it, or a quarter as many large ones.
    """
    weight = LARGE if size is None or size > LARGE_BYTES else 1
    with _queues_guard:
        queue = _queues.setdefault(account, AccountQueue())
        if queue.weight + weight > OF_ONE_ACCOUNT:
            raise Unavailable("Other pushes into this account are under way; try again then.")
        queue.weight += weight
    try:
        yield queue
    finally:
        with _queues_guard:
            queue.weight -= weight
            if not queue.weight:
                del _queues[account]
