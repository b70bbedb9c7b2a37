"""The worker's threads: each takes one queue after the other, and one more holds on to them."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from melon_api.errors import OutcomeUnknown, Unavailable
from melon_api.events import queues
from melon_api.storage.transactions import is_outage

if TYPE_CHECKING:
    from melon_api.events.turns import Turns

log = logging.getLogger(__name__)

POLL_SECONDS, STEP_SECONDS = 1, 0.1
OUTAGE_SECONDS = 2


class Worker:
    """`threads` queues are worked at at once; `once`: until nothing is due."""

    def __init__(self, turns: Turns, threads: int, *, once: bool = False) -> None:
        self._turns, self._is_once, self._stopping = turns, once, threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, name=f"events-{n}", daemon=True)
            for n in range(threads)
        ]
        self._renewing = threading.Thread(target=self._renew, name="events-lease", daemon=True)

    def start(self) -> None:
        """Work until `stop`, or until the process ends."""
        for thread in (*self._threads, self._renewing):
            thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Returns when the work is over: nothing is due (`once`), or `stop` was called, and what
        was begun is done, or has taken so many seconds more. Raises what ended a thread."""
        until = None
        while self._is_working():
            if until is None and self._stopping.is_set():
                until = time.monotonic() + seconds
            if until is not None and time.monotonic() > until:
                log.warning("some jobs are cut off, and will run again")
                break
            time.sleep(STEP_SECONDS)
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._work():
                pass
        except BaseException as error:
            log.exception("the worker stops")
            self._errors.append(error)
            self._stopping.set()

    def _work(self) -> bool:
        """Whether to go on."""
        try:
            if self._turns.take(self._stopping.is_set):
                return True
        except (DBAPIError, OutcomeUnknown, Unavailable) as error:
            if isinstance(error, DBAPIError) and not is_outage(error):
                raise
            log.warning("events wait for the database: %s", type(error).__name__)
            self._stopping.wait(OUTAGE_SECONDS)
            return True
        self._stopping.wait(0 if self._is_once else POLL_SECONDS)
        return not self._is_once

    def _renew(self) -> None:
        turns = self._turns
        while self._is_working():
            if self._stopping.wait(turns.lease / 3):
                time.sleep(STEP_SECONDS)
            for queue in [*turns.held]:
                with suppress(DBAPIError):  # the next one comes in time, or nobody can take it
                    queues.renew(turns.engine, queue, turns.lease)

    def _is_working(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)
