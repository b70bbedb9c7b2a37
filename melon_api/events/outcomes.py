"""The events at the head of a queue, and what became of each: taken, to be tried again, set aside.

Noted in one transaction with whoever holds the queue; who lost it meanwhile notes nothing.
"""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, delete, select, update

from melon_api.events.queues import Queue
from melon_api.models.base import DATABASE_NOW
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.storage.transactions import snapshot, writing

AT_ONCE = 20  # events that are read
PAUSE_SECONDS, PAUSE_FACTOR, MOST_PAUSE_SECONDS = 5, 4, 6 * 3600
PATIENCE_SECONDS = 3 * 24 * 3600  # contract, The server's own changes
_q, _e = EventQueue.__table__.c, OutboxEvent.__table__.c


def heads(engine: Engine, queue: Queue) -> Sequence[Row[Any]]:
    """The next few of those that wait: whole rows of the outbox."""
    query = select(OutboxEvent.__table__).where(*queue.waits).order_by(_e.clock, _e.part)
    with snapshot(engine) as connection:
        return connection.execute(query.limit(AT_ONCE)).all()


def taken(engine: Engine, queue: Queue, row: Row[Any]) -> bool:
    """It is told no more. Whether the queue is still ours.

    The queue's row is locked, and written only after a failure: in a cluster each write of it would
    undo a push at another node.
    """
    with writing(engine) as connection:
        held = select(_q.attempts).where(*queue.is_mine).with_for_update()
        attempts = connection.scalar(held)
        if attempts is None:
            return False
        if attempts:
            well = {"attempts": 0, "failing_since": None, "error": None}
            connection.execute(update(EventQueue).where(*queue.is_mine).values(well))
        connection.execute(delete(OutboxEvent).where(*_at(queue, row)))
    return True


def failed(engine: Engine, queue: Queue, row: Row[Any], why: str, final: bool) -> bool:
    """It is tried again after a pause; set aside where that is of no use (`final`), or where it has
    been tried for PATIENCE_SECONDS. Whether to go on with the next one.

    A queue that fails for long sets aside one event after the other, each when it was tried and is
    that old; one that nobody worked at for days has all the time it had before.
    """
    now = DATABASE_NOW[engine.dialect.name]
    with writing(engine) as connection:
        state = select(_q.attempts, _q.failing_since, now).where(*queue.is_mine)
        found = connection.execute(state.with_for_update()).one_or_none()
        if found is None:
            return False
        attempts, failing_since, seconds = found
        since = failing_since or seconds
        tried_since = max(since, row.created_at_ms // 1000)
        mine = update(EventQueue).where(*queue.is_mine)
        if not final and seconds < tried_since + PATIENCE_SECONDS:
            again = {"due_at": now + pause(attempts), "holder": None, "attempts": attempts + 1}
            connection.execute(mine.values(again | {"failing_since": since, "error": why}))
            return False
        if final:
            connection.execute(mine.values(attempts=0, failing_since=None, error=None))
        aside = update(OutboxEvent).where(*_at(queue, row))
        connection.execute(aside.values(is_set_aside=True, error=why))
    return True


def pause(attempts: int) -> int:
    """In s, after so many attempts that failed before: 5, 20, 80 s …, up to 6 h, some more or less,
    so that not all come back at once."""
    whole: int = min(PAUSE_SECONDS * PAUSE_FACTOR ** min(attempts, 10), MOST_PAUSE_SECONDS)
    return round(whole * random.uniform(0.9, 1.1))  # noqa: S311 - jitter


def _at(queue: Queue, row: Row[Any]) -> tuple[Any, ...]:
    return (*queue.waits, _e.clock == row.clock, _e.part == row.part)
