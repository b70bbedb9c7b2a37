"""Who is in which space, and in which role, changes under locks: first those of the accounts whose
clocks tick, in the order of their ids, then those of the spaces, in theirs. A push locks in the
same order. They are the transaction's first statements (sync/sql/clock.py says why).

Which accounts those are only the database knows: it is asked before, and again under the locks;
where somebody has come in meanwhile, the whole begins anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, delete, insert, update

from melon_api.auth.accounts import Caller
from melon_api.errors import TokenRevoked
from melon_api.models.space import OWNER, Invitation, Membership, SyncPoint
from melon_api.spaces.access import check_owner
from melon_api.storage.transactions import snapshot, writing
from melon_api.sync.rules.history import NOBODY, Run
from melon_api.sync.spaces import clocks
from melon_api.sync.sql import clock
from melon_api.sync.sql.clock import AccountClock

T = TypeVar("T")
_members, _invitations = Membership.__table__.c, Invitation.__table__.c


@dataclass(frozen=True)
class Wanted:
    """The ids of accounts and of spaces that a change has to do with."""

    accounts: frozenset[str] = frozenset()
    spaces: frozenset[str] = frozenset()

    def __or__(self, other: "Wanted") -> "Wanted":
        return Wanted(self.accounts | other.accounts, self.spaces | other.spaces)

    def covers(self, other: "Wanted") -> bool:
        return self | other == self


class Held:
    """What a transaction has locked. An account that is gone by now is not among it."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self.connection = connection
        self._clocks: dict[str, AccountClock] = {}
        self._ticks: dict[str, int] = {}
        for user_id in sorted(wanted.accounts):
            try:
                self._clocks[user_id] = clock.lock(connection, user_id)
            except TokenRevoked:
                continue
        # One by one, by their keys: of a list of keys the whole table may be read, and locked.
        locked = ((one, clocks.lock_one(connection, one)) for one in sorted(wanted.spaces))
        self._spaces = {one: row for one, row in locked if row}

    def space(self, space_id: str) -> Row[Any]:
        """One of those that were wanted, as it is now; a row once there stays."""
        return self._spaces[space_id]

    def check(self, user_id: str) -> None:
        """Raises TokenRevoked when the account is gone."""
        if user_id not in self._clocks:
            raise TokenRevoked("This account does not exist any more.")

    def tick(self, user_id: str) -> int:
        """The account's clock behind this transaction: its phones pull what it changes. Raises
        TokenRevoked when the account is gone."""
        if user_id not in self._ticks:
            self._ticks[user_id] = self._tick(user_id)
        return self._ticks[user_id]

    def _tick(self, user_id: str) -> int:
        self.check(user_id)
        held = self._clocks[user_id]
        tick = clock.next_tick(held, held.value)
        clock.write(self.connection, user_id, tick, Run(NOBODY, tick))
        clock.mark_shared(self.connection, user_id, tick)
        return tick


def changing(engine: Engine, plan: Callable[[Connection], Wanted], work: Callable[[Held], T]) -> T:
    """Run `work` in a transaction that holds all that `plan` finds then. Both raise what they
    refuse; nothing is stored then. To be `retrying`."""
    with snapshot(engine) as connection:
        wanted = plan(connection)
    while True:
        with writing(engine) as connection:
            held = Held(connection, wanted)
            now = plan(connection)
            if wanted.covers(now):
                return work(held)
        wanted |= now


def by_owner(caller: Caller, space_id: str) -> Any:
    """The plan of a change that has to do with the space alone."""

    def plan(connection: Connection) -> Wanted:
        check_owner(connection, caller.user_id, space_id)
        return Wanted(spaces=frozenset({space_id}))

    return plan


def leave(held: Held, user_id: str, space_id: str) -> None:
    """Of a locked account: a member no more; its later timestamps stand for that. Nor does the
    token that it came in by, or one that it made and kept, let it in again."""
    mine = (_members.user_id == user_id, _members.space_id == space_id)
    tick = held.tick(user_id)
    held.connection.execute(update(Membership).where(*mine).values(left_tick=tick))
    point = {"user_id": user_id, "space_id": space_id, "timestamp": tick, "space_clock": None}
    held.connection.execute(insert(SyncPoint).values(point))
    forget_tokens(held.connection, user_id, space_id)


def give_role(held: Held, user_id: str, space_id: str, role: str) -> None:
    """To a locked account. Whoever owns no more invites nobody any more."""
    mine = (_members.user_id == user_id, _members.space_id == space_id)
    held.connection.execute(update(Membership).where(*mine).values(role=role))
    held.tick(user_id)
    if role != OWNER:
        _revoke_invitations(held.connection, user_id, space_id)


def forget_tokens(connection: Connection, user_id: str, space_id: str) -> None:
    _revoke_invitations(connection, user_id, space_id)
    its = (_invitations.space_id == space_id, _invitations.used_by == user_id)
    connection.execute(delete(Invitation).where(*its))


def _revoke_invitations(connection: Connection, user_id: str, space_id: str) -> None:
    """Those that it made, and nobody has used yet."""
    its = (_invitations.space_id == space_id, _invitations.created_by == user_id)
    connection.execute(delete(Invitation).where(*its, _invitations.used_by.is_(None)))
