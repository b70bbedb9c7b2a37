"""The end of old points, and of what was told again: a phone that is older than they are gets the
full set (contract pull 7; points.py)."""

from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection, Engine, delete, func, select

from melon_api.models.space import Retelling, SyncPoint
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.spaces import retellings
from melon_api.sync.sql import clock

ACCOUNTS_PER_QUERY = 500
_p, _r = SyncPoint.__table__.c, Retelling.__table__.c


def forget(engine: Engine, before_ms: int, *, dry_run: bool = False) -> int:
    """Of all accounts, what is from before `before_ms`; how many points and records to be told."""
    total = 0
    for user_id in _accounts(engine, before_ms):
        total += retrying(partial(_forget, engine, user_id, before_ms, dry_run))
    return total


def _accounts(engine: Engine, before_ms: int) -> Iterator[str]:
    """Which have anything so old."""
    last = ""
    while True:
        pointed = select(_p.user_id).where(_p.user_id > last, _p.timestamp < before_ms)
        told = select(_r.user_id).where(_r.user_id > last, _r.timestamp < before_ms)
        both = pointed.union(told).subquery()
        query = select(both.c.user_id).order_by(both.c.user_id).limit(ACCOUNTS_PER_QUERY)
        with snapshot(engine) as connection:
            found = list(connection.scalars(query))
        if not found:
            return
        yield from found
        last = found[-1]


def _forget(engine: Engine, user_id: str, before_ms: int, dry_run: bool) -> int:
    with writing(engine) as connection:
        account = clock.lock(connection, user_id)
        bases = _bases(connection, user_id, before_ms)
        count, newest = 0, account.purged
        for space, base in bases.items():
            old = (_p.user_id == user_id, _p.space_id == space, _p.timestamp < base)
            here = connection.scalar(select(func.count()).where(*old)) or 0
            if here and not dry_run:
                connection.execute(delete(SyncPoint).where(*old))
                newest = max(newest, base)
            count += here
        mine = (_r.user_id == user_id, _r.timestamp < before_ms)
        count += connection.scalar(select(func.count()).where(*mine)) or 0
        if not dry_run:
            newest = max(newest, retellings.forget(connection, user_id, before_ms))
            if newest > account.purged:
                clock.write_purged(connection, user_id, newest)
        return count


def _bases(connection: Connection, user_id: str, before_ms: int) -> dict[str, int]:
    """By space the newest point from before then, which stands for the time since."""
    query = (
        select(_p.space_id, func.max(_p.timestamp))
        .where(_p.user_id == user_id, _p.timestamp < before_ms)
        .group_by(_p.space_id)
    )
    return {space: int(newest) for space, newest in connection.execute(query)}
