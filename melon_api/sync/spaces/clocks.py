"""The clocks of shared spaces, and their locks; what an account's own is to theirs."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from melon_api.models.space import CATALOGUE, Membership, Space
from melon_api.models.user import CLOCK
from melon_api.storage import pokes
from melon_api.storage.cache import cache
from melon_api.storage.pokes import EVERYBODY, Poke
from melon_api.storage.prepared import Prepared

_m, _s = Membership.__table__.c, Space.__table__.c
_user: Any = bindparam("user_id")
# By their keys, one after the other: of a plan of the database's own they are locked in its order,
# or the whole table is.
_BY_KEY = "FORCE INDEX (PRIMARY)"
_lock = Prepared(
    select(_s.id)
    .join_from(Membership.__table__, Space.__table__, _s.id == _m.space_id)
    .where(_m.user_id == _user, _m.left_tick.is_(None))
    .order_by(_m.space_id)
    .prefix_with("STRAIGHT_JOIN", dialect="mysql")
    .with_hint(Membership.__table__, _BY_KEY, "mysql")
    .with_hint(Space.__table__, _BY_KEY, "mysql")
    .with_for_update()
)
_here: Any = _s.id == bindparam("space_id")
_clock_written = Prepared(update(Space).where(_here).values(sync_clock=bindparam("value")))


def lock(connection: Connection, user_id: str) -> None:
    """Hold all shared spaces of an account, which is locked itself: in the order of their ids, and
    before anything is read without a lock (sql/clock.py)."""
    _lock.rows(connection, user_id=user_id)


def lock_one(connection: Connection, space_id: str) -> Row[Any] | None:
    """Hold a shared space by its key; as it is then, None where there never was one. Must be the
    transaction's first statement, but for such as lock."""
    query = select(Space.__table__).where(Space.id == space_id)
    return connection.execute(query.with_for_update()).one_or_none()


def write_clock(connection: Connection, space_id: str, value: int) -> None:
    """As `set_clock`; from here on nobody gets an older one, whether or not this commits."""
    set_clock(connection, space_id, value)
    cache().invalidate(space_id, {CLOCK: value})


def set_clock(
    connection: Connection,
    space_id: str,
    value: int,
    session: int = EVERYBODY,
    since: int | None = None,
) -> None:
    """Of a space that is locked; `session`: whose push it is, where all was stored as sent, `since`
    its clock before. The cache is yet to be told, before the COMMIT."""
    _clock_written.change(connection, space_id=space_id, value=value)
    pokes.note(connection, space_id, Poke(session, value, since))


def write_purged(connection: Connection, space_id: str, value: int) -> None:
    connection.execute(update(Space).where(Space.id == space_id).values(purged_clock=value))


def clocks_of(
    connection: Connection, user_ids: Collection[str]
) -> Iterator[tuple[str, str, int, int]]:
    """The shared spaces of many accounts: (account, space, clock, purged clock)."""
    shared = (
        select(_m.user_id, _s.id, _s.sync_clock, _s.purged_clock)
        .join_from(Membership.__table__, Space.__table__, _s.id == _m.space_id)
        .where(_m.user_id.in_(user_ids), _m.left_tick.is_(None))
    )
    for user_id, space_id, value, purged in connection.execute(shared):
        yield user_id, space_id, value, purged
    everybodys = select(_s.id, _s.sync_clock, _s.purged_clock).where(_s.id == CATALOGUE)
    for space_id, value, purged in connection.execute(everybodys):
        for user_id in user_ids if value else ():
            yield user_id, space_id, value, purged
