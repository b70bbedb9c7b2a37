"""A turn: some events of one queue, one after the other, are told to whom they are for."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import Engine, Row
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import bound_contextvars

from melon_api.events import outcomes, queues
from melon_api.events.event import Event
from melon_api.events.outbox import because_of
from melon_api.events.queues import Queue
from melon_api.events.registry import GiveUp, NotTaken, Target, targets
from melon_api.models.base import db
from melon_api.storage.transactions import error_number, retrying

log = logging.getLogger(__name__)

TURN_SECONDS = 5  # of one queue, while others wait
MOST_SAID = 500  # characters


@dataclass
class Turns:
    """`held` are the queues that are worked at at the moment."""

    app: Flask
    engine: Engine = field(init=False)
    lease: int = field(init=False)  # s
    held: set[Queue] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lease = self.app.config["EVENT_LEASE_SECONDS"]
        with self.app.app_context():
            self.engine = db.engine

    def take(self, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Work at a queue that is due, until it is empty, others should have their turn, or
        `is_over`. Whether there was one."""
        with self.app.app_context():
            known = {target.name: target for target in targets()}
        queue = queues.take(self.engine, known.keys(), self.lease) if known else None
        if queue is None:
            return False
        self.held.add(queue)
        try:
            if self._tell(queue, known[queue.target], is_over):
                retrying(partial(queues.release, self.engine, queue))
        finally:
            self.held.discard(queue)
        return True

    def drain(self) -> None:
        """Tell all that is due, and what comes of it, here and now."""
        while self.take():
            pass

    def _tell(self, queue: Queue, target: Target, is_over: Callable[[], bool]) -> bool:
        """Whether the queue is still ours at the end."""
        until = time.monotonic() + TURN_SECONDS
        while found := outcomes.heads(self.engine, queue):
            for row in found:
                if not self._deliver(queue, target, row):
                    return False
                if is_over() or time.monotonic() > until:
                    return True
        return True

    def _deliver(self, queue: Queue, target: Target, row: Row[Any]) -> bool:
        """Whether to go on with the next one."""
        event = Event.of(row)
        with bound_contextvars(request_id=event.id):
            try:
                with self.app.app_context(), because_of(event.causes, target.name):
                    target.deliver(event)
            except (Exception, SystemExit) as error:
                why = _told(f"{target.name}, clock {event.clock} of {event.account_id}", error)
                is_final = isinstance(error, GiveUp)
                return retrying(partial(outcomes.failed, self.engine, queue, row, why, is_final))
            log.info("%s has taken clock %d of %s", target.name, event.clock, event.account_id)
            return retrying(partial(outcomes.taken, self.engine, queue, row))


def _told(what: str, error: BaseException) -> str:
    """For the log, and for `flask events list`. A database's message quotes values, and is for
    neither; a stranger's server may say anything, a forged line too."""
    if isinstance(error, DBAPIError):
        why = f"{type(error).__name__} {error_number(error)}"
        log.error("not taken: %s: %s", what, why)
        return why
    said = f"{type(error).__name__}: {error}"[:MOST_SAID]
    why = "".join(c if c.isprintable() else " " for c in said)
    if isinstance(error, GiveUp | NotTaken):
        log.warning("not taken: %s: %s", what, why)
    else:
        log.error("not taken: %s", what, exc_info=error)
    return why
