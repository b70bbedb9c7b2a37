"""The account's sync clock, and its lock.

The promise: the `timestamp` of a pull, passed back as `lastPulledAt`, yields every change that was
committed after that pull's snapshot, and none before it (contract pull 1).

How it is kept. `User.sync_clock` is a hybrid logical clock in ms. A push locks its
account's row as the first statement of its transaction, takes `max(now, last + 1)`, stamps every
row it writes with it, stores it back and commits. So the pushes of one account are serial, and
their stamps grow in the order of their commits, whatever the hosts' wall clocks do. A pull reads
the clock and the tables in one snapshot: it sees a push's clock and its rows both, or neither.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from melon_api import measures
from melon_api.errors import ForeignClock, TokenRevoked, ValidationFailed
from melon_api.models.base import now_ms
from melon_api.models.user import User
from melon_api.storage.cache import Cache, Moment, Put, cache
from melon_api.storage.prepared import Prepared

CLOCK = "clock"  # the cache's name for it
REMEMBERED_SECONDS = 60
MOST_APART_MS = 24 * 60 * 60 * 1000  # contract pull 1: a day
FAR_AHEAD = {"lastPulledAt": ["More than a day ahead of the server's time."]}

_account = User.id == bindparam("user_id")
# An AccountClock's.
COLUMNS = (User.sync_clock, User.purged_clock, User.log_purged_clock, User.created_at)
# As one column: to describe each takes the driver longer than to read it.
_clocks = select(func.json_array(*COLUMNS)).where(_account)
_read, _lock = Prepared(_clocks), Prepared(_clocks.with_for_update())


@dataclass(frozen=True)
class AccountClock:
    """`value`: the clock; `purged`, `log_purged`: the newest deletion and the newest push that are
    not remembered any more (all in ms); `opened`: when the account was, in UTC, as the database
    writes it."""

    value: int
    purged: int
    log_purged: int
    opened: str


def read(connection: Connection, user_id: str) -> AccountClock:
    """The clock as of this snapshot. Raises TokenRevoked when the account is gone."""
    return _found(_read, connection, user_id)


def lock(connection: Connection, user_id: str) -> AccountClock:
    """The clock, held until the transaction ends. Must be the transaction's first statement: an
    earlier read would fix the snapshot before the wait for the lock."""
    with measures.timed(measures.clock_waited):
        return _found(_lock, connection, user_id)


def _found(query: Prepared, connection: Connection, user_id: str) -> AccountClock:
    clocks = query.execute(connection, user_id=user_id).scalar_one_or_none()
    if clocks is None:
        raise TokenRevoked("This account does not exist any more.")
    return AccountClock(*orjson.loads(clocks))


def write(connection: Connection, user_id: str, value: int) -> None:
    """Set the clock. From here on nobody gets an older one, whether or not this commits."""
    _write_clock.execute(connection, user_id=user_id, value=value)
    cache().invalidate(user_id, {CLOCK: value})


@dataclass(frozen=True)
class Learned:
    """A clock that was read from the database, after the cache's moment `as_of`."""

    cache: Cache
    user_id: str
    value: int
    as_of: Moment

    def remember(self) -> None:
        """Spare the next pulls the database. Any time will do: an older one is not taken."""
        self.cache.put(
            self.user_id, Put(CLOCK, self.value, self.value, self.as_of, REMEMBERED_SECONDS)
        )


def remembered(cache: Cache, user_id: str) -> int | None:
    """The clock at some moment of this call; None when only the database knows it."""
    (value,) = cache.read(user_id, CLOCK)
    return int(value) if value is not None else None


def write_purged(connection: Connection, user_id: str, value: int) -> None:
    _write_purged.execute(connection, user_id=user_id, value=value)


def write_log_purged(connection: Connection, user_id: str, value: int) -> None:
    _write_log_purged.execute(connection, user_id=user_id, value=value)


def _writing(clock: InstrumentedAttribute[int]) -> Prepared:
    """`updated_at` is the profile's, and stays."""
    values = {clock: bindparam("value"), User.updated_at: User.updated_at}
    return Prepared(update(User).where(_account).values(values))


_write_clock = _writing(User.sync_clock)
_write_purged = _writing(User.purged_clock)
_write_log_purged = _writing(User.log_purged_clock)


def next_tick(account: AccountClock, since: int) -> int:
    """The stamp of the push at hand: after all that was, and after all that its device has seen."""
    return max(now_ms(), account.value + 1, since + 1)


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
