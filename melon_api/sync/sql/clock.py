"""The account's sync clock, and its lock.

The promise: the `timestamp` of a pull, passed back as `lastPulledAt`, yields every change that was
committed after that pull's snapshot, and none before it (contract pull 1).

How it is kept. `User.sync_clock` is a hybrid logical clock in ms. A push locks its
account's row as the first statement of its transaction, takes `max(now, last + 1)`, stamps every
row it writes with it, stores it back and commits. So the pushes of one account are serial, and
their stamps grow in the order of their commits, whatever the hosts' wall clocks do. A pull reads
the clock and the tables in one snapshot: it sees a push's clock and its rows both, or neither.
"""

import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from melon_api import measures
from melon_api.errors import ForeignClock, TokenRevoked, ValidationFailed
from melon_api.models.base import now_ms
from melon_api.models.space import CATALOGUE, Space
from melon_api.models.synced import index_name
from melon_api.models.user import CLOCK, User
from melon_api.storage import pokes
from melon_api.storage.cache import Put, cache
from melon_api.storage.pokes import EVERYBODY, Poke
from melon_api.storage.prepared import Prepared
from melon_api.sync.rules.history import NOBODY, Run
from melon_api.sync.rules.tables import SyncedTable, Tables

NO_SPACES: Mapping[str, int] = {}
NOTHING: ColumnElement[Any] = literal_column("0")
MOST_APART_MS = 24 * 60 * 60 * 1000  # contract pull 1: a day
FAR_AHEAD = {"lastPulledAt": ["More than a day ahead of the server's time."]}

_account = User.id == bindparam("user_id")
# An AccountClock's, as a pull needs it; and whose run it is.
_of_catalogue = select(Space.sync_clock).where(Space.id == literal_column(f"'{CATALOGUE}'"))
_beyond: ColumnElement[int] = User.shared_clock + func.coalesce(
    _of_catalogue.scalar_subquery(), NOTHING
)
_read_catalogue = Prepared(_of_catalogue)
COLUMNS = (User.sync_clock, User.purged_clock, _beyond, User.created_at)
RUN = (User.run_session, User.run_since, User.run_clock, User.quiet_clock)


def _selected(*columns: Any) -> Select[Any]:
    """As one column: to describe each takes the driver longer than to read it."""
    return select(func.json_array(*columns)).where(_account)


_read = Prepared(_selected(*COLUMNS))
# Without the catalogue's: a database may read that before it waits for the lock.
_LOCKED = (User.sync_clock, User.purged_clock, User.shared_clock, User.created_at, *RUN)
_lock = Prepared(_selected(*_LOCKED).with_for_update())


UNKNOWN_RUN = Run(NOBODY, sys.maxsize)  # covers nothing


@dataclass(frozen=True)
class AccountClock:
    """`value`: the clock; `purged`: the newest deletion that is not remembered any more (both in
    ms); `beyond`: 0 where the account has, and had, nothing to do with other spaces than its own;
    `opened`: when the account was, in UTC, as the database writes it; `run`: whose the newest
    pushes are, which who locks it is told."""

    value: int
    purged: int
    beyond: int
    opened: str
    run: Run = UNKNOWN_RUN

    def is_known_to(self, session: int, since: int) -> bool:
        """Whether a session that had all up to `since` has had what came after (push 7)."""
        return since >= self.value or self.run.covers(session, since)


def read(connection: Connection, user_id: str) -> AccountClock:
    """The clock as of this snapshot. Raises TokenRevoked when the account is gone."""
    return AccountClock(*_found(_read, connection, user_id))


def read_with_size(
    connection: Connection, tables: Tables, user_id: str, since: int
) -> tuple[AccountClock, int]:
    """And how many rows came after `since`, deleted ones among them; all that there are, where a
    deletion from after it was purged."""
    query = _read_with_size(tuple(tables.values()))
    *clocks, size = _found(query, connection, user_id, since=since)
    return AccountClock(*clocks), size


def lock(connection: Connection, user_id: str) -> AccountClock:
    """The clock, held until the transaction ends. Must be the transaction's first statement: an
    earlier read would fix the snapshot before the wait for the lock."""
    with measures.timed(measures.clock_waited):
        return with_run(_found(_lock, connection, user_id))


def with_run(found: Iterable[Any]) -> AccountClock:
    """Of `COLUMNS` and `RUN`; where the run is of another clock, it counts for nothing."""
    value, purged, beyond, opened, session, since, until, quiet = found
    is_known = value in (until, quiet)
    run = Run(session, since, until) if is_known else Run(NOBODY, value, value)
    return AccountClock(value, purged, beyond, opened, run)


def _found(query: Prepared, connection: Connection, user_id: str, **values: int) -> list[Any]:
    clocks = query.value(connection, user_id=user_id, **values)
    if clocks is None:
        raise TokenRevoked("This account does not exist any more.")
    found: list[Any] = orjson.loads(clocks)
    return found


@functools.cache
def _read_with_size(tables: tuple[SyncedTable, ...]) -> Prepared:
    since: Any = bindparam("since")
    after = case((User.purged_clock > since, NOTHING), else_=since)
    known = select(after).where(_account).correlate(None).scalar_subquery()
    size = sum((_count(table, known) for table in tables), NOTHING)
    return Prepared(_selected(*COLUMNS, size))


def _count(table: SyncedTable, since: ColumnElement[Any]) -> ColumnElement[Any]:
    c = table.table.c
    after = select(func.count()).where(c.user_id == bindparam("user_id"), c.updated_at_ms > since)
    by_clock = f"FORCE INDEX ({index_name(table.table.name, 'updated_at_ms')})"
    return after.with_hint(table.table, by_clock, "mysql").scalar_subquery()


def write(
    connection: Connection,
    user_id: str,
    value: int,
    run: Run,
    *,
    has_news: bool = True,
    spaces: Mapping[str, int] = NO_SPACES,
) -> None:
    """Set the clock, and whose run it is. From here on nobody gets an older one, nor of `spaces`,
    which are set already, whether or not this commits; once it has, phones are poked, where it
    `has_news`."""
    until = min(run.until, value)
    values = {"value": value, "session": run.session, "since": run.since, "until": until}
    _write.change(connection, user_id=user_id, **values)
    clocks = {user_id: value, **spaces}
    cache().invalidate_each({(space, CLOCK): clock for space, clock in clocks.items()})
    if has_news:
        said = run.session if run.since < value else EVERYBODY
        pokes.note(connection, user_id, Poke(said, value))


def catalogue(connection: Connection) -> int:
    """The clock of the catalogue, 0 where it was never written. As of this transaction's first
    read, which this may be."""
    (known,) = cache().read_each((CATALOGUE, CLOCK))
    if known is not None:
        return int(known)
    as_of = cache().moment()
    value = int(_read_catalogue.value(connection) or 0)
    cache().put(CATALOGUE, Put(CLOCK, value, value, as_of))  # the next push need not ask
    return value


def mark_shared(connection: Connection, user_id: str, tick: int) -> None:
    """From this tick on the account's timestamps stand for more than its own space."""
    _mark_shared.change(connection, user_id=user_id, value=tick)


def write_purged(connection: Connection, user_id: str, value: int) -> None:
    _write_purged.change(connection, user_id=user_id, value=value)


def write_log_purged(connection: Connection, user_id: str, value: int) -> None:
    """Never back."""
    _write_log_purged.change(connection, user_id=user_id, value=value)


def _writing(values: dict[Any, Any]) -> Prepared:
    """`updated_at` is the profile's, and stays."""
    return Prepared(
        update(User).where(_account).values(values | {User.updated_at: User.updated_at})
    )


_value: Any = bindparam("value")
_CLOCKS = dict.fromkeys((User.sync_clock, User.quiet_clock, User.log_purged_clock), _value)
_RUN: dict[Any, Any] = {
    User.run_session: bindparam("session"),
    User.run_since: bindparam("since"),
    User.run_clock: bindparam("until"),
}
_write = _writing(_RUN | _CLOCKS)
_write_purged = _writing({User.purged_clock: _value})
_mark_shared = _writing({User.shared_clock: _value})
_newer = case((User.log_purged_clock < _value, _value), else_=User.log_purged_clock)
_write_log_purged = _writing({User.log_purged_clock: _newer})


def next_tick(account: AccountClock, since: int, steps: int = 1) -> int:
    """The stamp of the push at hand: so many steps after all that was, and after all that its
    device has seen."""
    return tick_after(account.value, since, steps)


def tick_after(value: int, since: int = 0, steps: int = 1) -> int:
    """The same of any space, whose clock is at `value`."""
    return max(now_ms(), value + steps, since + steps)


def check_ahead(account: AccountClock, since: int) -> None:
    """A `lastPulledAt` ahead of the clock comes from before a restore, or from nowhere.

    Raises ValidationFailed for one that is more than a day ahead of the server's time.
    """
    if since > account.value and is_far_ahead(since):
        raise ValidationFailed(FAR_AHEAD)


def is_far_ahead(since: int) -> bool:
    return since > now_ms() + MOST_APART_MS


def check_given(account: AccountClock, since: int) -> None:
    """A `lastPulledAt` from before the account is not of a pull from it: another backend gave it.

    Raises ForeignClock for one that is more than a day older (contract pull 1).
    """
    opened = datetime.fromisoformat(account.opened).replace(tzinfo=UTC).timestamp() * 1000
    if 0 < since < opened - MOST_APART_MS:
        raise ForeignClock
