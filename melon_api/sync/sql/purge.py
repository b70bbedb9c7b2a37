"""The end of tombstones: what every living device has had long ago is forgotten, in small steps.

Each account and each shared space remembers how far: a device that last pulled before the newest
purged deletion may have missed it and gets the full set (contract pull 7). Runs while people sync;
twice is once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, select, true

from melon_api.models.alteration import Alteration
from melon_api.models.space import Space
from melon_api.models.synced import Adoption
from melon_api.models.user import User
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.spaces import clocks as space_clocks
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
    for owner, ids in _owners(engine):
        with snapshot(engine) as connection:
            stale = _with_tombstones(connection, ids, before_ms)
            noted = _with_notes(connection, ids, before_ms)
        for name, count in stale.items():
            step = partial(_forget_some, engine, owner, name, before_ms)
            total.tombstones += count if dry_run else _in_steps(step)
        for name, count in noted.items():
            total.notes += count if dry_run else _forget_notes(engine, owner, name, before_ms)
    return total


class Owner(NamedTuple):
    """Whose records are purged: an account, or a shared space. `lock` holds one and says how far it
    has been purged; the others write how far it is now, `write_notes` for the release before."""

    id: Any
    lock: Callable[[Connection, str], int]
    write: Callable[[Connection, str, int], None]
    write_notes: Callable[[Connection, str, int], None]


def _lock_space(connection: Connection, space_id: str) -> int:
    held = space_clocks.lock_one(connection, space_id)
    return int(held.purged_clock) if held else 0


ACCOUNT = Owner(
    User.id,
    lambda connection, name: clock.lock(connection, name).purged,
    clock.write_purged,
    clock.write_log_purged,
)
SPACE = Owner(Space.id, _lock_space, space_clocks.write_purged, lambda *_: None)


def _owners(engine: Engine) -> Iterator[tuple[Owner, list[str]]]:
    for owner in (ACCOUNT, SPACE):
        last = ""
        while True:
            query = select(owner.id).where(owner.id > last).order_by(owner.id)
            with snapshot(engine) as connection:
                ids = list(connection.scalars(query.limit(ACCOUNTS_PER_QUERY)))
            if not ids:
                break
            yield owner, ids
            last = ids[-1]


def _in_steps(step: Callable[[], int]) -> int:
    """A transaction for each."""
    total = 0
    while done := retrying(step):
        total += done
    return total


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


def _forget_some(engine: Engine, owner: Owner, user_id: str, before_ms: int) -> int:
    with writing(engine) as connection:
        purged = owner.lock(connection, user_id)
        for table in synced_tables().values():
            ids, newest = _old_tombstones(connection, table, user_id, before_ms)
            if ids:
                c = table.table.c
                gone = delete(table.table).where(c.user_id == user_id, c.id.in_(ids))
                connection.execute(gone)
                owner.write(connection, user_id, max(newest, purged))
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


def _forget_notes(engine: Engine, owner: Owner, user_id: str, before_ms: int) -> int:
    total = 0
    for clock_of, is_old in NOTES:
        is_mine = and_(clock_of.table.c.user_id == user_id, clock_of < before_ms, is_old)
        total += _in_steps(partial(_forget_some_notes, engine, owner, user_id, clock_of, is_mine))
    return total


def _forget_some_notes(
    engine: Engine, owner: Owner, user_id: str, clock_of: Any, is_mine: ColumnElement[bool]
) -> int:
    with writing(engine) as connection:
        owner.lock(connection, user_id)
        query = select(clock_of).where(is_mine).distinct().order_by(clock_of)
        clocks = list(connection.scalars(query.limit(ROWS_PER_TRANSACTION)))
        if clocks:
            owner.write_notes(connection, user_id, clocks[-1])
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
