"""A push: the story in named steps. Knows no HTTP."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

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
from melon_api.storage.transactions import looking, retrying, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules import body
from melon_api.sync.rules.body import ID
from melon_api.sync.rules.history import History
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Problems
from melon_api.sync.rules.pushed import PushedTable, PushRequest
from melon_api.sync.rules.tables import StoredRows
from melon_api.sync.sql import bulk, clock, deletions, log, rows
from melon_api.sync.sql.clock import AccountClock


@dataclass(frozen=True)
class PushAnswer:
    """`timestamp`: the new clock when the device is up to date with it (contract push 7);
    `tick`: the clock of what was written, None when nothing was."""

    timestamp: int | None
    problems: Problems
    tick: int | None


def push(
    engine: Engine,
    caller: Caller,
    request: PushRequest,
    policy: str,
    is_gone: Callable[[], bool] = lambda: False,
) -> PushAnswer:
    """Store what a device changed, all of it or, with `allow_partial`, all that can be.

    `is_gone`: whether the client has hung up, asked once when the account is ours.
    Raises UnknownTable, ValidationFailed, UnknownParent, SyncConflict, PushOutdated, Unavailable;
    nothing is stored then. OutcomeUnknown when the database was lost at the COMMIT and is still
    away.
    """
    problems = Problems()
    pushed = body.read(synced_tables(), request.changes, problems)
    measures.pushed(sum(len(part.records) + len(part.deletions) for part in pushed))
    work = PushWork(caller, request, policy, pushed, problems, is_gone)
    try:
        return retrying(lambda: work.run(engine))
    except OutcomeUnknown:
        if work.answer and _is_committed(engine, caller, request, work.answer):
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
    answer: PushAnswer | None = None

    def run(self, engine: Engine) -> PushAnswer:
        with writing(engine) as connection:
            account = clock.lock(connection, self.caller.user_id)
            self._check(connection, account)
            merge = self._merge(connection, account)
            self.answer = self._write(connection, account, merge)
        return self.answer

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
            log.raise_number(connection, self.caller.session_id, self.request.number)
        if self.request.since < account.purged:
            raise SyncConflict("Deletions since lastPulledAt are forgotten; pull, then push.", {})

    def _raise_422s(self, problems: Problems) -> None:
        """A 409 comes only where there is none (contract, Errors 4)."""
        if problems.beside or not self.request.allow_partial:
            problems.raise_gravest()

    def _merge(self, connection: Connection, account: AccountClock) -> Merge:
        since, user_id = self.request.since, self.caller.user_id
        merge = Merge(
            stored=_rows_named(connection, user_id, self.pushed),
            history=self._history(connection, account),
            tick=clock.next_tick(account, since),
            policy=self.policy,
            is_partial=self.request.allow_partial,
            problems=self.problems.copy(),
        )
        merge.apply(self.pushed)
        measures.merged(merge.conflicts, sum(map(len, merge.problems.rejected.values())))
        self._raise_422s(merge.problems)
        return merge

    def _history(self, connection: Connection, account: AccountClock) -> History:
        """Nothing is logged after the clock of an account that is locked: then it is not read."""
        since, device = self.request.since, self.caller.device
        session = session_number(self.caller.session_id)
        if since >= account.value:
            return History(device, since, session=session)
        return log.read(connection, self.caller.user_id, device, since, session)

    def _write(self, connection: Connection, account: AccountClock, merge: Merge) -> PushAnswer:
        is_written, is_as_sent = _write_rows(connection, self.caller, merge)
        now = merge.tick if is_written else max(account.value, self.request.since)
        if now != account.value:
            clock.write(connection, self.caller.user_id, now)
        is_known = self.request.since >= account.log_purged  # else who else pushed is forgotten
        is_up_to_date = merge.history.up_to_date and is_as_sent and is_known
        timestamp, tick = now if is_up_to_date else None, merge.tick if is_written else None
        return PushAnswer(timestamp, merge.problems, tick)


def _is_committed(engine: Engine, caller: Caller, request: PushRequest, answer: PushAnswer) -> bool:
    """Whether a push whose COMMIT had no answer is there after all: the log of pushes knows, or the
    session's number, once the account's lock is free of it. Raises OutcomeUnknown when nobody can
    be asked."""
    if answer.tick is None and request.number is None:
        return True
    try:
        with looking(engine) as connection:
            clock.lock(connection, caller.user_id)
            if answer.tick is None:
                newest = log.newest_number(connection, caller.session_id)
                return newest >= (request.number or 0)
            return log.is_logged(
                connection, caller.user_id, answer.tick, session_number(caller.session_id)
            )
    except SQLAlchemyError as error:
        raise OutcomeUnknown("The connection broke while committing; repeat.") from error


def _rows_named(connection: Connection, user_id: str, pushed: list[PushedTable]) -> StoredRows:
    """The rows a push is about, and the parents that it names."""
    wanted: dict[str, set[str]] = {part.table.name: set() for part in pushed}
    for part in pushed:
        ids = wanted[part.table.name]
        ids.update(record.id for record in part.records)
        ids.update(place.id for place in part.deletions)
        for parent in part.table.parents:
            named = {record.values.get(parent.column) for record in part.records}
            wanted.setdefault(parent.table, set()).update(i for i in named if i and ID.match(i))
    return rows.read_rows(connection, synced_tables(), user_id, wanted)


def _write_rows(connection: Connection, caller: Caller, merge: Merge) -> tuple[bool, bool]:
    """Write what the push changed: (whether it was anything, whether all is stored as sent)."""
    count, fallen = 0, False
    for name, table in synced_tables().items():
        rows = merge.stored.get(name, {}).values()
        count += bulk.write(connection, table, caller.user_id, rows)
        fallen = fallen or any(r.deleted and (r.is_new or r.is_changed) for r in rows)
    hit = 0
    if fallen:
        tables = synced_tables().values()
        hit = deletions.delete_descendants(
            connection, tables, caller.user_id, merge.tick, merge.history.session
        )
    as_sent = merge.as_sent and not hit and not merge.problems
    if not count and not merge.adopted:
        return False, as_sent
    log.append(connection, caller.user_id, merge.tick, merge.history, as_sent, merge.adopted)
    return True, as_sent
