"""A push into several spaces: one merge for each, all in one transaction (contract, Spaces)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.auth.sessions import session_number
from melon_api.errors import IdTaken, Refused, SyncConflict
from melon_api.storage.engine import statement_bytes
from melon_api.storage.pokes import EVERYBODY
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import History, RecordKey
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Kind, Place, Problems
from melon_api.sync.rules.pushed import PushedTable, PushRequest
from melon_api.sync.rules.tables import Tables
from melon_api.sync.spaces import atlas as atlases
from melon_api.sync.spaces import clocks, retellings, turns
from melon_api.sync.spaces.atlas import Atlas
from melon_api.sync.spaces.had import Had
from melon_api.sync.spaces.pushes import moves
from melon_api.sync.spaces.pushes.sorting import Sorter
from melon_api.sync.spaces.pushes.stored import Stored
from melon_api.sync.sql import adoptions, clock
from melon_api.sync.sql.clock import AccountClock

FORGOTTEN = "Deletions since lastPulledAt are forgotten; pull, then push."
Arrivals = dict[RecordKey, frozenset[str]]
Write = Callable[[Connection, str, Merge], tuple[bool, bool]]


@dataclass
class SpacesPush:
    """Of an account that is locked, with its spaces. `rules`: of the app, where they listen.

    First `merge`, then, unless its `problems` forbid it, `store`."""

    connection: Connection
    caller: Caller
    request: PushRequest
    policy: str
    account: AccountClock
    rules: Any
    problems: Problems = field(default_factory=Problems)
    tables: Tables = field(default_factory=synced_tables)
    atlas: Atlas = field(init=False)
    session: int = field(init=False)
    merges: dict[str, Merge] = field(default_factory=dict)
    retold: set[RecordKey] = field(default_factory=set)
    hides: bool = False
    _ticks: dict[str, int] = field(default_factory=dict)
    _clocks: dict[str, int] = field(default_factory=dict)  # of spaces, as this push leaves them
    _stored: Stored = field(init=False)
    _histories: dict[str, History] = field(default_factory=dict)

    def __post_init__(self) -> None:
        user_id, since = self.caller.user_id, self.request.since
        self.atlas = atlases.read(self.connection, user_id, self.account, since)
        self.session = session_number(self.caller.session_id)

    def merge(self, pushed: list[PushedTable], problems: Problems) -> None:
        """A merge for each space that something goes into; what is wrong with any of it comes to
        what is known to be. A move that cannot be is taken out, and all begins anew without it."""
        barred: dict[RecordKey, Kind] = {}
        while found := self._try(pushed, problems.copy(), barred):
            for key, place in found.items():
                barred[key] = IdTaken if place is None else Refused
                if place is not None and not problems.is_rejected(place.table, place.id):
                    problems.take_over(place, self.problems)
        conflicts = sum(merge.conflicts for merge in self.merges.values())
        measures.merged(conflicts, self.problems.counts())

    def _try(
        self, pushed: list[PushedTable], problems: Problems, barred: dict[RecordKey, Kind]
    ) -> dict[RecordKey, Place | None]:
        """The moves that cannot be, beyond those barred already: where what stops them stands."""
        had = Had(self.connection, self.atlas, self.caller.device)
        self._stored = stored = Stored(self.connection, self.tables, self.atlas, had)
        sorter = Sorter(self.tables, self.atlas, stored, problems, self._judge, barred)
        sorter.sort(pushed)
        moved = moves.Moved(self.connection, self.tables, sorter)
        if taken := moved.taken():
            return dict.fromkeys(taken)
        if not (moved and self.request.allow_partial):  # what is refused there is refused here
            self._merge_all(sorter, problems, moved.apply())
            return {}
        savepoint = self.connection.begin_nested()
        self._merge_all(sorter, problems, moved.apply())
        refused = moved.refused(self.problems, problems)
        (savepoint.rollback if refused else savepoint.commit)()
        return {**refused}

    def _merge_all(self, sorter: Sorter, problems: Problems, arrivals: dict[str, Arrivals]) -> None:
        self.merges = {}
        self.problems, self.retold, self.hides = problems, sorter.retold, sorter.hides
        for space in sorted(sorter.kept, key=lambda name: (name != self.caller.user_id, name)):
            parts = [t for name in self.tables if (t := sorter.kept[space].get(name))]
            self.merges[space] = self._merged(space, parts, arrivals.get(space, {}))
            self.problems = self.merges[space].problems

    def store(self, write: Write) -> tuple[int | None, int | None]:
        """Write all of it: (the device's new timestamp, the account's tick), None for none.
        `write` writes a merge into a space: (whether it was anything, whether all is as sent).

        Raises SyncConflict where the device may have missed a deletion (contract pull 7)."""
        members = filter(None, map(self.atlas.member, self.merges))
        if any(member.is_stale for member in members):
            raise SyncConflict(FORGOTTEN, {})
        is_written, as_sent = False, not self.retold and not self.problems
        for space, merge in self.merges.items():
            merge.problems = self.problems
            was_written, was_as_sent = write(self.connection, space, merge)
            as_sent = as_sent and was_as_sent
            is_written = is_written or was_written
            if was_written and space != self.caller.user_id:
                poked = self.session if was_as_sent else EVERYBODY
                since = self.atlas.clocks.get(space)
                clocks.set_clock(self.connection, space, merge.tick, poked, since)
                self._clocks[space] = merge.tick
        return self._settle(is_written, as_sent)

    def _settle(self, is_written: bool, as_sent: bool) -> tuple[int | None, int | None]:
        user_id, value, run = self.caller.user_id, self.account.value, self.account.run
        is_ticked, tick = is_written or bool(self.retold), self._tick(user_id)
        if self.retold:
            retellings.write(self.connection, user_id, tick, self.retold)
            clock.mark_shared(self.connection, user_id, tick)
        now = tick if is_ticked else max(value, self.request.since)
        if is_ticked:
            run = run.after(self.session, value, tick, as_sent=as_sent)
        if now != value:
            clock.write(self.connection, user_id, now, run, has_news=is_ticked, spaces=self._clocks)
        is_up_to_date = as_sent and self._is_up_to_date() and not self._turns()
        if is_up_to_date and is_written:
            entries = self.atlas.changed(self.atlas.clocks | self._clocks)
            atlases.add_point(self.connection, self.atlas, self.account, tick, entries)
        return now if is_up_to_date else None, tick if is_ticked else None

    # ---

    def _is_up_to_date(self) -> bool:
        """Whether T stands for all that there is, but for this session's own pushes."""
        has_news = any(space.has_news for space in self.atlas.members)
        has_ended = any(space.has_ended(self.atlas.own_since) for space in self.atlas.left)
        return self._history(self.caller.user_id).up_to_date and not has_news and not has_ended

    def _turns(self) -> bool:
        """Whether this push itself has turned what the account sees (contract, Spaces 2)."""
        rows = (row for merge in self.merges.values() for row in merge.rows())
        if not any(row.deleted and row.is_changed for row in rows):
            return self.hides
        ticks = {space: merge.tick for space, merge in self.merges.items()}
        return self.hides or turns.at_tick(self.connection, self.tables, self.atlas, ticks)

    def _merged(self, space: str, parts: list[PushedTable], arrivals: Arrivals) -> Merge:
        problems = self.problems

        def new(pushed: list[PushedTable]) -> Merge:
            count = sum(len(part.records) for part in pushed)
            steps = adoptions.rows_of(count, len(arrivals))
            merge = self._judge(space, self._tick(space, steps))
            merge.stored = self._stored.rows_for(space, pushed)
            merge.problems, merge.arrivals = problems.copy(), arrivals
            return merge

        if self.rules is None or not self.rules.concern(parts):
            merge = new(parts)
            merge.apply(parts)
        else:
            shared = None if space == self.caller.user_id else space
            merge = self.rules.merge(self.connection, self.caller, self.request, parts, new, shared)
        return merge

    def _judge(self, space: str, tick: int = 0) -> Merge:
        return Merge(
            stored={},
            history=self._history(space),
            tick=tick,
            policy=self.policy,
            is_partial=self.request.allow_partial,
            problems=Problems(),
            most_octets=statement_bytes(self.connection),
        )

    def _history(self, space: str) -> History:
        """The pushes into a space since what T stands for, as the device sees them."""
        if space not in self._histories:
            since, device = self.atlas.since_in(space) or 0, self.caller.device
            has_all = self._has_all(space, since)
            self._histories[space] = adoptions.history(
                self.connection, space, device, since, self.session, has_all=has_all
            )
        return self._histories[space]

    def _has_all(self, space: str, since: int) -> bool:
        if space == self.caller.user_id:
            return self.account.is_known_to(self.session, since)
        member = self.atlas.member(space)
        return member is not None and not member.has_news

    def _tick(self, space: str, steps: int = 1) -> int:
        """Of this push, the same each time it is asked for."""
        if space not in self._ticks or steps > 1:
            member = self.atlas.member(space)
            value, since = self.account.value, self.request.since
            if member is not None:
                value, since = member.clock, member.since or 0
            tick = clock.tick_after(value, since, steps)
            self._ticks[space] = max(tick, self._ticks.get(space, 0))
        return self._ticks[space]
