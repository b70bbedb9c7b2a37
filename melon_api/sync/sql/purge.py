"""The end of tombstones: what every living device has had long ago is forgotten, in small steps.

Each account remembers how far: a device that last pulled before the newest purged deletion may have
missed it and gets the full set (contract pull 7). Runs while people sync; twice is once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from melon_api.models.synced import SyncPush
from melon_api.models.user import User
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql import clock

ACCOUNTS_PER_QUERY = 500
ROWS_PER_TRANSACTION = 1_000

_log = SyncPush.__table__.c


@dataclass
class Purged:
    """How many tombstones and rows of the push log are gone, or would be."""

    tombstones: int = 0
    pushes: int = 0


def purge(engine: Engine, before_ms: int, *, dry_run: bool = False) -> Purged:
    """Forget the deletions and the log of pushes from before `before_ms`."""
    total = Purged()
    for accounts in _accounts(engine):
        with snapshot(engine) as connection:
            stale = _with_tombstones(connection, accounts, before_ms)
        for user_id, count in stale.items():
            total.tombstones += count if dry_run else _forget_deletions(engine, user_id, before_ms)
        for user_id in accounts:
            with snapshot(engine) as connection:
                clocks = _old_pushes(connection, user_id, before_ms)
            total.pushes += len(clocks)
            if not dry_run:
                _forget_pushes(engine, user_id, clocks)
    return total


def _accounts(engine: Engine) -> Iterator[list[str]]:
    last = ""
    while True:
        query = select(User.id).where(User.id > last).order_by(User.id).limit(ACCOUNTS_PER_QUERY)
        with snapshot(engine) as connection:
            ids = list(connection.scalars(query))
        if not ids:
            return
        yield ids
        last = ids[-1]


def _with_tombstones(connection: Connection, accounts: list[str], before_ms: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for table in synced_tables().values():
        c = table.table.c
        query = (
            select(c.user_id, func.count())
            .where(c.user_id.in_(accounts), c.is_deleted.is_(True), c.updated_at_ms < before_ms)
            .group_by(c.user_id)
        )
        for user_id, count in connection.execute(query):
            found[user_id] = found.get(user_id, 0) + count
    return found


def _forget_deletions(engine: Engine, user_id: str, before_ms: int) -> int:
    """All of one account's, a transaction for each bounded step."""
    total = 0
    while step := retrying(lambda: _forget_some(engine, user_id, before_ms)):
        total += step
    return total


def _forget_some(engine: Engine, user_id: str, before_ms: int) -> int:
    with writing(engine) as connection:
        account = clock.lock(connection, user_id)
        for table in synced_tables().values():
            ids, newest = _old_tombstones(connection, table, user_id, before_ms)
            if ids:
                c = table.table.c
                gone = delete(table.table).where(c.user_id == user_id, c.id.in_(ids))
                connection.execute(gone)
                clock.write_purged(connection, user_id, max(newest, account.purged))
                return len(ids)
    return 0


def _old_tombstones(
    connection: Connection, table: SyncedTable, user_id: str, before_ms: int
) -> tuple[list[str], int]:
    """At most a transaction's worth of ids, and the newest clock among them."""
    c = table.table.c
    query = select(c.id, c.updated_at_ms).where(
        c.user_id == user_id, c.is_deleted.is_(True), c.updated_at_ms < before_ms
    )
    rows = connection.execute(query.limit(ROWS_PER_TRANSACTION)).all()
    return [row.id for row in rows], max((row.updated_at_ms for row in rows), default=0)


def _old_pushes(connection: Connection, user_id: str, before_ms: int) -> list[int]:
    """Old pushes, but for those that say which records a device had (contract pull 3)."""
    query = select(_log.clock).where(
        _log.user_id == user_id, _log.clock < before_ms, _log.adopted.is_(None)
    )
    return list(connection.scalars(query.order_by(_log.clock)))


def _forget_pushes(engine: Engine, user_id: str, clocks: list[int]) -> None:
    for start in range(0, len(clocks), ROWS_PER_TRANSACTION):
        some = clocks[start : start + ROWS_PER_TRANSACTION]
        retrying(lambda some=some: _forget_some_pushes(engine, user_id, some))  # type: ignore[misc]


def _forget_some_pushes(engine: Engine, user_id: str, clocks: Iterable[int]) -> None:
    with writing(engine) as connection:
        account = clock.lock(connection, user_id)
        clock.write_log_purged(connection, user_id, max(*clocks, account.log_purged))
        gone = delete(SyncPush.__table__).where(_log.user_id == user_id, _log.clock.in_(clocks))
        connection.execute(gone)
