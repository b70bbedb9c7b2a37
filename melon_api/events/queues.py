"""The queues in the database: one for each account and target, worked at by one thread at a time.

Who takes a queue puts off when it is due by a lease, and goes on to do so while it works; so one
that dies loses nothing, and its queue is taken again when the lease is over. All that is written of
a queue names its holder: who was slow, and was replaced, writes nothing more.

A queue is there while something waits in it. Its row is locked first, by pushes too: so it is never
deleted under an event that is just being written.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update
from sqlalchemy.dialects import mysql, sqlite

from melon_api.models.base import DATABASE_NOW
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.storage.transactions import retrying, snapshot, writing

AT_ONCE = 20  # queues that are looked at
_q, _e = EventQueue.__table__.c, OutboxEvent.__table__.c


@dataclass(frozen=True)
class Queue:
    """One that is taken; by `holder` alone it is written to."""

    user_id: str
    target: str
    due_at: int  # before it was taken
    holder: int

    @property
    def is_mine(self) -> tuple[Any, ...]:
        return (_q.user_id == self.user_id, _q.target == self.target, _q.holder == self.holder)

    @property
    def waits(self) -> tuple[Any, ...]:
        own = (_e.user_id == self.user_id, _e.target == self.target)
        return (*own, _e.is_set_aside.is_(False))


def wake(connection: Connection, user_id: str, targets: Collection[str], clock: int) -> None:
    """Have what is about to be written found. The row changes each time, so that a cluster's nodes
    see that one deletes what another one relies on."""
    now = DATABASE_NOW[connection.dialect.name]
    fixed = {"user_id": user_id, "newest": clock, "due_at": now, "attempts": 0}
    rows = [fixed | {"target": target} for target in sorted(targets)]
    if connection.dialect.name == "sqlite":
        new = sqlite.insert(EventQueue).values(rows)
        key = [_q.user_id, _q.target]
        connection.execute(new.on_conflict_do_update(key, set_={"newest": new.excluded.newest}))
        return
    own = mysql.insert(EventQueue).values(rows)
    connection.execute(own.on_duplicate_key_update(newest=own.inserted.newest))


def take(engine: Engine, targets: Collection[str], lease: int) -> Queue | None:
    """One that is due, for `lease` s; None where there is none."""
    now = DATABASE_NOW[engine.dialect.name]
    query = select(_q.user_id, _q.target, _q.due_at).where(_q.due_at <= now)
    query = query.where(_q.target.in_(targets)).order_by(_q.due_at).limit(AT_ONCE)
    with snapshot(engine) as connection:
        found = connection.execute(query).all()
    queues = [Queue(who, what, due_at, random.getrandbits(62)) for who, what, due_at in found]
    random.shuffle(queues)  # or all threads would want the same
    for queue in queues:
        if retrying(partial(_take, engine, queue, lease)):
            return queue
    return None


def _take(engine: Engine, queue: Queue, lease: int) -> bool:
    """Unless somebody was faster."""
    now = DATABASE_NOW[engine.dialect.name]
    is_due = (_q.user_id == queue.user_id, _q.target == queue.target, _q.due_at == queue.due_at)
    taken = update(EventQueue).where(*is_due).values(holder=queue.holder, due_at=now + lease)
    with writing(engine) as connection:
        return connection.execute(taken).rowcount == 1


def renew(engine: Engine, queue: Queue, lease: int) -> None:
    """Hold on to what is worked at. By its key: another condition would lock every queue."""
    now = DATABASE_NOW[engine.dialect.name]
    with writing(engine) as connection:
        connection.execute(update(EventQueue).where(*queue.is_mine).values(due_at=now + lease))


def release(engine: Engine, queue: Queue) -> None:
    """For the next who has time, or for good where nothing waits any more."""
    now = DATABASE_NOW[engine.dialect.name]
    with writing(engine) as connection:
        free = update(EventQueue).where(*queue.is_mine).values(holder=None, due_at=now)
        if connection.execute(free).rowcount == 0:
            return
        if connection.scalar(select(_e.clock).where(*queue.waits).limit(1)) is None:
            over = (_q.user_id == queue.user_id, _q.target == queue.target)
            connection.execute(delete(EventQueue).where(*over))
