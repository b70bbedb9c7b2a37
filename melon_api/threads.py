"""The threads of a worker, which take requests: who goes first, and who stands in whose place."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

log = logging.getLogger(__name__)

_here = threading.local()  # `threads`: those that this thread is one of; `is_stranger`: its work


class Threads(Executor):
    """`count` threads that take work in the order it came, and others in place of those aside.

    Work for strangers waits behind all other, and half of the threads do none of it: a crowd
    of those whom nobody knows stands in its own way alone.

    For server/worker.py. As many as wished could not be had from a ThreadPoolExecutor, whose
    number of threads is fixed.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls: SimpleQueue[bool] = SimpleQueue()  # at least one for each piece of work
        self._work: deque[Callable[[], None]] = deque()
        self._of_strangers: deque[Callable[[], None]] = deque()
        self._guard = threading.Lock()
        self._for_strangers = max(1, count // 2)  # threads that may take their work now
        self._too_many = threading.Semaphore(0)  # threads that are to end
        for _ in range(count):
            self._start_one()

    def run(self, work: Callable[[], None], *, is_stranger: bool = False) -> None:
        """Have `work` done by the next thread that is free, and may. It raises nothing."""
        (self._of_strangers if is_stranger else self._work).append(work)
        self._calls.put(True)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn` called by the next thread that is free."""
        future: Future[Any] = Future()
        self.run(lambda: _call(future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when they have done what was submitted; waits for nothing, and nothing
        is cancelled: gunicorn has its own patience (graceful_timeout)."""
        for _ in range(self._count):
            self._calls.put(False)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Another thread works meanwhile; whichever is free first after that ends. Not by a word in
        the queue: a long one would be worked off by all who ever stood aside."""
        is_stranger = _here.is_stranger
        if is_stranger:
            self._give_back()
        self._start_one()
        try:
            yield
        finally:
            self._too_many.release()  # this very thread asks at the end of its work, if none before
            if is_stranger:  # perhaps one more than may
                with self._guard:
                    self._for_strangers -= 1

    def _start_one(self) -> None:
        threading.Thread(target=self._live, name="request", daemon=True).start()

    def _live(self) -> None:
        _here.threads = self
        while self._calls.get():
            work = self._take()
            if work is None:
                continue
            try:
                work()
            except Exception:
                log.exception("what a thread was given")
            finally:
                if _here.is_stranger:
                    self._give_back()
            if self._too_many.acquire(blocking=False):
                return
            del work  # or the last request's body stays in memory until the next one

    def _take(self) -> Callable[[], None] | None:
        """Nothing, when all that waits is strangers' and enough is done for them: whoever has done
        with such a piece calls again."""
        with self._guard:
            _here.is_stranger = not self._work
            if self._work:
                return self._work.popleft()
            if not self._of_strangers or self._for_strangers <= 0:
                return None
            self._for_strangers -= 1
            return self._of_strangers.popleft()

    def _give_back(self) -> None:
        with self._guard:
            self._for_strangers += 1
            is_waited_for = bool(self._of_strangers)
        if is_waited_for:
            self._calls.put(True)


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
