"""The end of tombstones: what every living device has had long ago is forgotten, in small steps.

Each account remembers how far: a device that last pulled before the newest purged deletion may have
missed it and gets the full set (contract pull 7). Runs while people sync; twice is once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, select, true

from melon_api.models.alteration import Alteration
from melon_api.models.synced import Adoption
from melon_api.models.user import User
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql import clock

ACCOUNTS_PER_QUERY = 500
ROWS_PER_TRANSACTION = 1_000

_adoptions, _altered = Adoption.__table__.c, Alteration.__table__.c
# What rules made of pushes; and the log of the release before, without what devices adopted.
NOTES: tuple[tuple[Any, ColumnElement[bool]], ...] = (
    (_altered.clock, true()),
    (_adoptions.clock, _adoptions.adopted.is_(None)),
)


@dataclass
class Purged:
    """How many tombstones, and notes about pushes, are gone or would be."""

    tombstones: int = 0
    notes: int = 0


def purge(engine: Engine, before_ms: int, *, dry_run: bool = False) -> Purged:
    """Forget the deletions, and what was noted about pushes, from before `before_ms`."""
    total = Purged()
    for accounts in _accounts(engine):
        with snapshot(engine) as connection:
            stale = _with_tombstones(connection, accounts, before_ms)
            noted = _with_notes(connection, accounts, before_ms)
        for user_id, count in stale.items():
            total.tombstones += count if dry_run else _forget_deletions(engine, user_id, before_ms)
        for user_id, count in noted.items():
            total.notes += count if dry_run else _forget_notes(engine, user_id, before_ms)
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


def _forget_notes(engine: Engine, user_id: str, before_ms: int) -> int:
    total = 0
    for clock_of, is_old in NOTES:
        is_mine = and_(clock_of.table.c.user_id == user_id, clock_of < before_ms, is_old)
        while step := retrying(partial(_forget_some_notes, engine, user_id, clock_of, is_mine)):
            total += step
    return total


def _forget_some_notes(
    engine: Engine, user_id: str, clock_of: Any, is_mine: ColumnElement[bool]
) -> int:
    with writing(engine) as connection:
        clock.lock(connection, user_id)
        query = select(clock_of).where(is_mine).distinct().order_by(clock_of)
        clocks = list(connection.scalars(query.limit(ROWS_PER_TRANSACTION)))
        if clocks:
            clock.write_log_purged(connection, user_id, clocks[-1])
            gone = delete(clock_of.table).where(is_mine, clock_of.in_(clocks))
            return connection.execute(gone).rowcount
    return 0


def _with_notes(connection: Connection, accounts: list[str], before_ms: int) -> dict[str, int]:
    """How many there are, by account."""
    found: dict[str, int] = {}
    for clock_of, is_old in NOTES:
        owner = clock_of.table.c.user_id
        query = select(owner, func.count()).where(owner.in_(accounts), clock_of < before_ms, is_old)
        for user_id, count in connection.execute(query.group_by(owner)):
            found[user_id] = found.get(user_id, 0) + count
    return found
