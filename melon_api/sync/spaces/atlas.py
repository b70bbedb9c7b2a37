"""All spaces of an account, and what a timestamp of it stands for, in SQL."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    ScalarSelect,
    bindparam,
    func,
    insert,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from melon_api.models.space import CATALOGUE, Membership, Space, SyncPoint
from melon_api.storage.prepared import Prepared
from melon_api.sync.spaces.points import LAST, Reach, differences
from melon_api.sync.sql import clock
from melon_api.sync.sql.clock import AccountClock

_m, _s, _p = Membership.__table__.c, Space.__table__.c, SyncPoint.__table__.c
_user: Any = bindparam("user_id")
_since: Any = bindparam("since")
ENDED = -1  # of a point that says: no member any more


@dataclass(frozen=True)
class Atlas:
    """`since`: the T of a phone, `own_since`: the clock of its own space that it stands for (ms, 0
    on a first sync); `members`: the shared spaces of the account, the older memberships first, the
    catalogue last; `left`: those it was in."""

    user_id: str
    account: AccountClock
    since: int
    own_since: int
    members: tuple[Reach, ...]
    left: tuple[Reach, ...]

    @cached_property
    def ids(self) -> list[str]:
        """The spaces that the account sees, in the order in which they hide each other's ids."""
        shared = [space.id for space in self.members if space.id != CATALOGUE]
        return [self.user_id, *shared]

    @property
    def is_alone(self) -> bool:
        """Whether it shares nothing, and did not: all there is beside its own is the catalogue."""
        return len(self.ids) == 1 and not self.left

    @property
    def clocks(self) -> dict[str, int]:
        return {space.id: space.clock for space in self.members}

    @property
    def is_idle(self) -> bool:
        """Whether T stands for all that there is."""
        return (
            self.own_since == self.account.value
            and not any(space.has_news for space in self.members)
            and not any(space.has_ended(self.own_since) for space in self.left)
        )

    @property
    def is_stale(self) -> bool:
        """Whether T is older than something that was forgotten (contract pull 7)."""
        if not self.since:
            return False
        ended = (space for space in self.left if space.has_ended(self.own_since))
        is_old = self.own_since < self.account.purged
        return is_old or any(space.is_stale for space in (*self.members, *ended))

    def since_in(self, space_id: str) -> int | None:
        """The clock of a space that T stands for; None where the phone has never pulled it."""
        if space_id == self.user_id:
            return self.own_since
        found = (space.since for space in (*self.members, *self.left) if space.id == space_id)
        return next(found, None)

    def told_until(self, space_id: str) -> int | None:
        """The clock of a space up to which the phone was told that all of it is gone."""
        shared = (space for space in (*self.members, *self.left) if space.id == space_id)
        return next((space.told_until(self.own_since) for space in shared), None)

    def member(self, space_id: str) -> Reach | None:
        return next((space for space in self.members if space.id == space_id), None)

    def changed(self, clocks: dict[str, int]) -> dict[str, int | None]:
        """What a point of these clocks has to say."""
        return differences((*self.members, *self.left), clocks)


def _entry(*, is_bounded: bool = False) -> ScalarSelect[Any]:
    """Of the newest point, or of the newest up to `since`."""
    q = aliased(SyncPoint.__table__).c
    mine = (q.user_id == _user, q.space_id == _s.id)
    newest = select(func.max(q.timestamp)).where(*mine)
    if is_bounded:
        newest = newest.where(q.timestamp <= _since)
    one = _p.timestamp == newest.correlate(Space.__table__).scalar_subquery()
    said = select(func.coalesce(_p.space_clock, literal_column(str(ENDED))))
    found = said.where(_p.user_id == _user, _p.space_id == _s.id, one)
    return found.correlate(Space.__table__).scalar_subquery()


def _ends() -> ScalarSelect[Any]:
    """How often the account was out of it since `since`."""
    q = aliased(SyncPoint.__table__).c
    out = (q.user_id == _user, q.space_id == _s.id, q.timestamp > _since)
    ends = select(func.count()).where(*out, q.space_clock.is_(None))
    return ends.correlate(Space.__table__).scalar_subquery()


_entries = (_entry(is_bounded=True), _entry(), _ends())
_memberships = (
    select(
        func.json_array(
            _m.space_id,
            _m.role,
            _m.joined_tick,
            _m.first_clock,
            _m.joined_clock,
            _m.left_tick,
            _s.sync_clock,
            _s.purged_clock,
            *_entries,
        )
    )
    .join_from(Membership.__table__, Space.__table__, _s.id == _m.space_id)
    .where(_m.user_id == _user)
)
_catalogue = select(
    func.json_array(
        _s.id,
        literal_column("'reader'"),
        literal_column(str(LAST)),
        literal_column("0"),
        literal_column("0"),
        null(),
        _s.sync_clock,
        _s.purged_clock,
        *_entries,
    )
).where(_s.id == literal_column(f"'{CATALOGUE}'"))
_at_since = (_p.user_id == _user, _p.space_id == _user, _p.timestamp == _since)
_own = select(func.json_array(_p.space_clock)).where(*_at_since)
_read = Prepared(union_all(_memberships, _catalogue, _own))
_names = ("user_id", "space_id", "timestamp", "space_clock")
_add = Prepared(insert(SyncPoint).values({name: bindparam(name) for name in _names}))
_read_own = Prepared(select(_p.space_clock).where(*_at_since))


def read(connection: Connection, user_id: str, account: AccountClock, since: int) -> Atlas:
    """As of the connection's snapshot."""
    texts = _read.values(connection, user_id=user_id, since=since)
    rows: list[list[Any]] = [orjson.loads(text) for text in texts]
    found = (_reach(*row) for row in rows if len(row) > 1)
    spaces = sorted(found, key=lambda space: (space.joined_tick, space.id))
    own = next((row[0] for row in rows if len(row) == 1), since)
    members = tuple(space for space in spaces if space.is_member)
    left = tuple(space for space in spaces if not space.is_member)
    return Atlas(user_id, account, since, own, members, left)


def _reach(*row: Any) -> Reach:
    *facts, since, newest, ends = row
    known, last = (None if value == ENDED else value for value in (since, newest))
    return replace(
        Reach(*facts), since=known, newest=last, was_told_end=since == ENDED and not ends
    )


def own_clock(connection: Connection, user_id: str, timestamp: int) -> int:
    """The clock of an account's own space that a timestamp stands for."""
    entry = _read_own.value(connection, user_id=user_id, since=timestamp)
    return timestamp if entry is None else int(entry)


def add_point(
    connection: Connection,
    atlas: Atlas,
    held: AccountClock,
    tick: int,
    entries: dict[str, int | None],
) -> None:
    """What a tick of the account, which is `held`, stands for."""
    rows = [
        {"user_id": atlas.user_id, "timestamp": tick, "space_id": space, "space_clock": value}
        for space, value in entries.items()
    ]
    if len(rows) == 1:
        _add.change(connection, **rows[0])
    elif rows:
        connection.execute(insert(SyncPoint), rows)
    if rows and not held.beyond:
        clock.mark_shared(connection, atlas.user_id, tick)


def stands_for(connection: Connection, atlas: Atlas) -> bool:
    """Whether the account's clock stands for the snapshot already."""
    seen = atlas.account.value
    is_known = not atlas.changed(atlas.clocks)
    return is_known and own_clock(connection, atlas.user_id, seen) == seen


def settle(connection: Connection, atlas: Atlas) -> tuple[int, bool]:
    """A timestamp that stands for what a snapshot saw, and whether the account's own space stands
    there by now. `connection` writes."""
    held = clock.lock(connection, atlas.user_id)
    now = read(connection, atlas.user_id, held, 0)
    entries = now.changed(atlas.clocks)
    seen = atlas.account.value
    if held.value != seen:
        entries[atlas.user_id] = seen
    tick = clock.next_tick(held, seen)
    clock.write(connection, atlas.user_id, tick, held.run, has_news=False)
    add_point(connection, atlas, held, tick, entries)
    return tick, held.value == seen
