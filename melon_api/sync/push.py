"""A push: the story in named steps. Knows no HTTP."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, Engine

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.auth.sessions import session_number
from melon_api.errors import (
    OutcomeUnknown,
    PushOutdated,
    SyncConflict,
    Unavailable,
    ValidationFailed,
)
from melon_api.models.synced import has_catalogue
from melon_api.storage.engine import statement_bytes
from melon_api.storage.transactions import retrying, writing
from melon_api.sync import repairs
from melon_api.sync.commit import numbers
from melon_api.sync.commit.outcome import is_committed
from melon_api.sync.commit.writing import write_merge
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules import body
from melon_api.sync.rules.history import History
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Problems
from melon_api.sync.rules.pushed import PushedTable, PushRequest
from melon_api.sync.spaces import clocks as space_clocks
from melon_api.sync.spaces.pushes.push import FORGOTTEN, SpacesPush
from melon_api.sync.sql import adoptions, clock, rows
from melon_api.sync.sql.clock import AccountClock


@dataclass(frozen=True)
class PushAnswer:
    """`timestamp`: the new clock when the device is up to date with it (contract push 7);
    `tick`: the clock of what was written, None when nothing was."""

    timestamp: int | None
    problems: Problems
    tick: int | None


class RulesOfTheApp(Protocol):
    """Where the app's own code comes in (melon_api/logic/run.py)."""

    def watch(self, tables: Iterable[str]) -> bool: ...

    def concern(self, pushed: list[PushedTable]) -> bool: ...

    def merge(
        self,
        connection: Connection,
        caller: Caller,
        request: PushRequest,
        pushed: list[PushedTable],
        new_merge: Callable[[list[PushedTable]], Merge],
        space: str | None = None,
    ) -> Merge: ...


def push(
    engine: Engine,
    caller: Caller,
    request: PushRequest,
    policy: str,
    is_gone: Callable[[], bool] = lambda: False,
    rules: RulesOfTheApp | None = None,
) -> PushAnswer:
    """Store what a device changed, all of it or, with `allow_partial`, all that can be.

    `is_gone`: whether the client has hung up, asked once when the account is ours.
    Raises UnknownTable, ValidationFailed, Refused, UnknownParent, SyncConflict, PushOutdated,
    Unavailable, or what `rules` does; nothing is stored then. OutcomeUnknown when the database was
    lost at the COMMIT and is still away.
    """
    problems = Problems()
    pushed = body.read(synced_tables(), request.changes, problems)
    count = sum(len(part.records) + len(part.deletions) for part in pushed)
    measures.pushed(count, body.counts(synced_tables(), request.changes))
    rules = rules if rules and rules.concern(pushed) else None
    work = PushWork(caller, request, policy, pushed, problems, is_gone, rules)
    answer = _store(engine, work)
    repairs.tell(pushed, answer.problems)
    return answer


def _store(engine: Engine, work: "PushWork") -> PushAnswer:
    try:
        return retrying(lambda: work.run(engine))
    except OutcomeUnknown:
        if work.answer and is_committed(engine, work.caller, work.request, work.answer.tick):
            return work.answer
        raise Unavailable("The database was lost; nothing was stored.") from None


@dataclass
class PushWork:
    """A push that has been taken apart, to be stored in one transaction.

    `answer` is there from before the COMMIT, for the case that its outcome is in doubt.
    """

    caller: Caller
    request: PushRequest
    policy: str
    pushed: list[PushedTable]
    problems: Problems
    is_gone: Callable[[], bool]
    rules: RulesOfTheApp | None
    answer: PushAnswer | None = None

    def run(self, engine: Engine) -> PushAnswer:
        with writing(engine) as connection:
            account = clock.lock(connection, self.caller.user_id)
            if self._reaches_further(connection, account):
                self.answer = self._push_into_spaces(connection, account)
            else:
                self._check(connection, account)
                merge = self._merge(connection, account)
                self.answer = self._write(connection, account, merge)
        return self.answer

    def _reaches_further(self, connection: Connection, account: AccountClock) -> bool:
        """Whether it may have to do with other spaces than the account's own, which are locked
        then."""
        if account.beyond or any(part.reaches_further for part in self.pushed):
            space_clocks.lock(connection, self.caller.user_id)
            return True
        return has_catalogue() and clock.catalogue(connection) > 0

    def _push_into_spaces(self, connection: Connection, account: AccountClock) -> PushAnswer:
        self._check(connection, account)
        work = SpacesPush(connection, self.caller, self.request, self.policy, account, self.rules)
        work.merge(self.pushed, self.problems.copy())
        self._raise_422s(work.problems)
        timestamp, tick = work.store(write_merge)
        return PushAnswer(timestamp, work.problems, tick)

    def _check(self, connection: Connection, account: AccountClock) -> None:
        if self.is_gone():  # contract push 8: an answer that nobody reads is never stored
            raise Unavailable("The client hung up while its push waited; nothing was stored.")
        try:
            clock.check_ahead(account, self.request.since)
        except ValidationFailed as error:
            self.problems.add_beside(error.errors or {})
        try:
            self._check_order(connection, account)
        except (PushOutdated, SyncConflict):
            self._raise_422s(self.problems)
            raise

    def _check_order(self, connection: Connection, account: AccountClock) -> None:
        """Raises PushOutdated, SyncConflict."""
        if self.request.number is not None:
            numbers.raise_to(connection, self.caller.session_id, self.request.number)
        if self.request.since < account.purged:
            raise SyncConflict(FORGOTTEN, {})

    def _raise_422s(self, problems: Problems) -> None:
        """A 409 comes only where there is none (contract, Errors 4)."""
        if problems.beside or not self.request.allow_partial:
            problems.raise_gravest()

    def _merge(self, connection: Connection, account: AccountClock) -> Merge:
        new = partial(self._new_merge, connection, account, self._history(connection, account))
        if self.rules is None:
            merge = new(self.pushed)
            merge.apply(self.pushed)
        else:
            merge = self.rules.merge(connection, self.caller, self.request, self.pushed, new)
        measures.merged(merge.conflicts, merge.problems.counts())
        self._raise_422s(merge.problems)
        return merge

    def _new_merge(
        self,
        connection: Connection,
        account: AccountClock,
        history: History,
        pushed: list[PushedTable],
    ) -> Merge:
        """With the rows as they are stored, to which nothing was done yet."""
        steps = adoptions.rows_of(sum(len(part.records) for part in pushed))
        return Merge(
            stored=rows.read_named(connection, synced_tables(), self.caller.user_id, pushed),
            history=history,
            tick=clock.next_tick(account, self.request.since, steps),
            policy=self.policy,
            is_partial=self.request.allow_partial,
            problems=self.problems.copy(),
            most_octets=statement_bytes(connection),
        )

    def _history(self, connection: Connection, account: AccountClock) -> History:
        since, caller = self.request.since, self.caller
        session = session_number(caller.session_id)
        has_all = account.is_known_to(session, since)
        return adoptions.history(
            connection, caller.user_id, caller.device, since, session, has_all=has_all
        )

    def _write(self, connection: Connection, account: AccountClock, merge: Merge) -> PushAnswer:
        is_written, as_sent = write_merge(connection, self.caller.user_id, merge)
        now, run = max(account.value, self.request.since), account.run
        if is_written:
            now = merge.tick
            run = run.after(merge.history.session, account.value, now, as_sent=as_sent)
        if now != account.value:
            clock.write(connection, self.caller.user_id, now, run, has_news=is_written)
        timestamp = now if merge.history.up_to_date and as_sent else None
        return PushAnswer(timestamp, merge.problems, now if is_written else None)
