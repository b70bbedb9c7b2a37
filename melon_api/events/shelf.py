"""What waits, and what was set aside, for whoever operates this: shown, told again, dropped."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update

from melon_api.events.queues import wake
from melon_api.models.base import DATABASE_NOW, now_ms
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.models.user import User
from melon_api.storage.transactions import retrying, snapshot, writing

_q, _e = EventQueue.__table__.c, OutboxEvent.__table__.c


def waiting(engine: Engine, known: Collection[str]) -> Iterator[str]:
    """A line for each queue. `known`: the targets of this application."""
    count, oldest = func.count().label("count"), func.min(_e.created_at_ms).label("oldest")
    query = (
        select(_e.user_id, _e.target, count, oldest, _q.attempts, _q.due_at, _q.error)
        .select_from(OutboxEvent)
        .outerjoin(EventQueue, (_q.user_id == _e.user_id) & (_q.target == _e.target))
        .where(_e.is_set_aside.is_(False))
        .group_by(_e.user_id, _e.target, _q.attempts, _q.due_at, _q.error)
        .order_by(_e.target, _e.user_id)
    )
    with snapshot(engine) as connection:
        for row in connection.execute(query):
            is_known = "" if row.target in known else "  nobody is called that here"
            failed = ""
            if row.attempts:
                failed = f"  {row.attempts} failed, next {_at(row.due_at)}: {row.error}"
            since = _at(row.oldest / 1000)
            name = f"{row.target}  {row.user_id}"
            yield f"waiting  {name}  {row.count} since {since}{failed}{is_known}"


def set_aside(engine: Engine) -> Iterator[str]:
    """A line for each event."""
    columns = (_e.id, _e.target, _e.user_id, _e.clock, _e.created_at_ms, _e.error)
    query = select(*columns).where(_e.is_set_aside.is_(True)).order_by(_e.created_at_ms)
    with snapshot(engine) as connection:
        for row in connection.execute(query):
            what = f"{row.id}  {row.target}  {row.user_id}  of {_at(row.created_at_ms / 1000)}"
            yield f"set aside  {what}: {row.error}"


def retry(engine: Engine, event_ids: Collection[str] | None) -> int:
    """Have events told again that were set aside; None for all, and all that pauses. How many."""
    chosen = _chosen(event_ids)
    with snapshot(engine) as connection:
        found = connection.execute(select(_e.user_id, _e.target).where(*chosen).distinct()).all()
    count = 0
    for user_id, target in found:
        count += retrying(partial(_retry, engine, user_id, target, chosen))
    if event_ids is None:
        retrying(lambda: _wake_all(engine))
    return count


def _retry(engine: Engine, user_id: str, target: str, chosen: list[Any]) -> int:
    """Of one queue. The account's row first, as a push does it."""
    mine = (_e.user_id == user_id, _e.target == target)
    with writing(engine) as connection:
        owner = select(User.id).where(User.id == user_id).with_for_update()
        if connection.scalar(owner) is None:
            return 0
        wake(connection, user_id, [target], now_ms())
        _wake(connection, _q.user_id == user_id, _q.target == target)
        again = update(OutboxEvent).where(*mine, *chosen)
        return connection.execute(again.values(is_set_aside=False, error=None)).rowcount


def _wake_all(engine: Engine) -> None:
    with writing(engine) as connection:
        _wake(connection)


def _wake(connection: Connection, *which: Any) -> None:
    """Whatever pauses, unless somebody is at it."""
    now = DATABASE_NOW[connection.dialect.name]
    free = update(EventQueue).where(*which, _q.holder.is_(None), _q.due_at > now)
    connection.execute(free.values(due_at=now))


def drop(engine: Engine, event_ids: Collection[str], target: str | None) -> int:
    """Forget events that were set aside, or all of a target. How many."""
    return retrying(partial(_drop, engine, event_ids, target))


def _drop(engine: Engine, event_ids: Collection[str], target: str | None) -> int:
    with writing(engine) as connection:
        if target is None:
            return connection.execute(delete(OutboxEvent).where(*_chosen(event_ids))).rowcount
        connection.execute(delete(EventQueue).where(_q.target == target))
        return connection.execute(delete(OutboxEvent).where(_e.target == target)).rowcount


def _chosen(event_ids: Collection[str] | None) -> list[Any]:
    is_aside = _e.is_set_aside.is_(True)
    return [is_aside] if event_ids is None else [is_aside, _e.id.in_(event_ids)]


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
