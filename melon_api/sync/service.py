"""Pull and push: the story in named steps. Knows no HTTP."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from melon_api import measures
from melon_api.auth.sessions import Caller
from melon_api.cache import cache
from melon_api.database import looking, retrying, snapshot, writing
from melon_api.errors import OutcomeUnknown, SyncConflict, Unavailable, ValidationFailed
from melon_api.sync import bulk, changes, clock, history, news, push_body, stored
from melon_api.sync.clock import AccountClock, Learned
from melon_api.sync.history import History
from melon_api.sync.merge import Merge, Stored
from melon_api.sync.pages import Page, Walk, nothing_new, read_page
from melon_api.sync.problems import Problems
from melon_api.sync.push_body import ID, PushedTable
from melon_api.sync.reading import Asks
from melon_api.sync.schemas import PullRequest, PushRequest
from melon_api.sync.tables import synced_tables


def pull(engine: Engine, caller: Caller, request: PullRequest, known: int | None) -> Page:
    """What has changed since `request.since`, or the next page of it (contract, Pull). `known` is
    the account's clock, as far as it is remembered (clock.remembered).

    Raises ValidationFailed for a clock from the future, and for a cursor that was overtaken.
    """
    if request.walk is None and request.since == known:
        begun = _begun(request, AccountClock(known, 0, 0))
        if begun.is_idle:
            return _told(nothing_new(begun))
    as_of = cache().moment()
    with snapshot(engine) as connection:
        found = _read_news(connection, caller, request) or _read_pull(connection, caller, request)
        if found:
            account, page = found
            if account.value != known:
                learned = Learned(cache(), caller.user_id, account.value, as_of)
                page = replace(page, learned=learned)
            return _told(page)
    retrying(lambda: _raise_clock(engine, caller, request.since))
    return pull(engine, caller, request, None)


def _told(page: Page) -> Page:
    """As measured."""
    walk = page.walk
    kind = "incremental" if walk.since else "first"
    kind = "replacement" if walk.is_replacement else "idle" if walk.is_idle else kind
    measures.pulled(kind, page.changes.count)
    return page


def _read_news(
    connection: Connection, caller: Caller, request: PullRequest
) -> tuple[AccountClock, Page] | None:
    """The usual pull, the quick way; None for another one."""
    if not request.since or request.is_paged or request.replacement or request.migration.is_any:
        return None
    found = news.read_news(connection, Asks(caller.user_id, caller.device, request.since))
    if found is None:
        return None
    account, records = found
    walk = _begun(request, account)
    if walk.is_replacement or request.since > account.value:
        return None
    page = nothing_new(walk)
    news.tell(records, page.changes)
    return account, page


def _read_pull(
    connection: Connection, caller: Caller, request: PullRequest
) -> tuple[AccountClock, Page] | None:
    """Any pull; None for a device that is ahead of us."""
    account = clock.read(connection, caller.user_id)
    if request.walk is None and request.since > account.value:
        return None
    walk = _going_on(request.walk, account) if request.walk else _begun(request, account)
    return account, read_page(connection, caller, walk, request.limit)


def _begun(request: PullRequest, account: AccountClock) -> Walk:
    is_stale = 0 < request.since < account.purged  # it may have missed a deletion (pull 7)
    is_replacement = is_stale or (request.replacement and request.since > 0)
    return Walk(request.since, account.value, is_replacement, request.migration)


def _going_on(walk: Walk, account: AccountClock) -> Walk:
    """A purge between two pages may have taken a deletion that the rest was to tell."""
    if 0 < walk.since < account.purged and not walk.is_replacement:
        raise ValidationFailed({"cursor": ["Too old; pull again from the first page."]})
    return walk


def _raise_clock(engine: Engine, caller: Caller, since: int) -> None:
    """A device has seen a later clock than we have: we were restored from a backup (pull 1)."""
    with writing(engine) as connection:
        account = clock.lock(connection, caller.user_id)
        clock.check_ahead(account, since)
        if since > account.value:
            clock.store(connection, caller.user_id, since)


@dataclass(frozen=True)
class PushAnswer:
    """`timestamp`: the new clock when the device is up to date with it (contract push 7);
    `tick`: the clock of what was written, None when nothing was."""

    timestamp: int | None
    problems: Problems
    tick: int | None


def push(engine: Engine, caller: Caller, request: PushRequest, policy: str) -> PushAnswer:
    """Store what a device changed, all of it or, with `allow_partial`, all that can be.

    Raises UnknownTable, ValidationFailed, UnknownParent, SyncConflict, Unavailable; nothing is
    stored then. OutcomeUnknown when the database was lost at the COMMIT and is still away.
    """
    problems = Problems()
    pushed = push_body.read(synced_tables(), request.changes, problems)
    measures.pushed(sum(len(part.records) + len(part.deletions) for part in pushed))
    work = PushWork(caller, request, policy, pushed, problems)
    try:
        return retrying(lambda: work.run(engine))
    except OutcomeUnknown:
        if work.answer and _is_stored(engine, caller, work.answer):
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
    answer: PushAnswer | None = None

    def run(self, engine: Engine) -> PushAnswer:
        with writing(engine) as connection:
            account = clock.lock(connection, self.caller.user_id)
            self._check(account)
            merge = self._merge(connection, account)
            self.answer = self._store(connection, account, merge)
        return self.answer

    def _check(self, account: AccountClock) -> None:
        clock.check_ahead(account, self.request.since)
        if self.request.since < account.purged:
            raise SyncConflict("Deletions since lastPulledAt are forgotten; pull, then push.", {})

    def _merge(self, connection: Connection, account: AccountClock) -> Merge:
        since, user_id = self.request.since, self.caller.user_id
        merge = Merge(
            stored=_stored(connection, user_id, self.pushed),
            history=self._history(connection, account),
            tick=clock.next_tick(account, since),
            policy=self.policy,
            is_partial=self.request.allow_partial,
            problems=self.problems.copy(),
        )
        merge.apply(self.pushed)
        measures.merged(merge.conflicts, sum(map(len, merge.problems.rejected.values())))
        if not self.request.allow_partial:
            merge.problems.raise_gravest()
        return merge

    def _history(self, connection: Connection, account: AccountClock) -> History:
        """Nothing is logged after the clock of an account that is locked: then it is not read."""
        since, device = self.request.since, self.caller.device
        if since >= account.value:
            return History(device, since)
        return history.read(connection, self.caller.user_id, device, since)

    def _store(self, connection: Connection, account: AccountClock, merge: Merge) -> PushAnswer:
        is_written, is_as_sent = _store(connection, self.caller, merge)
        now = merge.tick if is_written else max(account.value, self.request.since)
        if now != account.value:
            clock.store(connection, self.caller.user_id, now)
        is_known = self.request.since >= account.log_purged  # else who else pushed is forgotten
        is_up_to_date = merge.history.up_to_date and is_as_sent and is_known
        timestamp, tick = now if is_up_to_date else None, merge.tick if is_written else None
        return PushAnswer(timestamp, merge.problems, tick)


def _is_stored(engine: Engine, caller: Caller, answer: PushAnswer) -> bool:
    """Whether a push whose COMMIT had no answer is there after all: the log of pushes knows, once
    the account's lock is free of it. Raises OutcomeUnknown when nobody can be asked."""
    if answer.tick is None:
        return True
    try:
        with looking(engine) as connection:
            clock.lock(connection, caller.user_id)
            return history.is_logged(connection, caller.user_id, answer.tick, caller.device)
    except SQLAlchemyError as error:
        raise OutcomeUnknown("The connection broke while committing; repeat.") from error


def _stored(connection: Connection, user_id: str, pushed: list[PushedTable]) -> Stored:
    """The rows a push is about, and the parents that it names."""
    wanted: dict[str, set[str]] = {part.table.name: set() for part in pushed}
    for part in pushed:
        ids = wanted[part.table.name]
        ids.update(record.id for record in part.records)
        ids.update(place.id for place in part.deletions)
        for parent in part.table.parents:
            named = {record.values.get(parent.column) for record in part.records}
            wanted.setdefault(parent.table, set()).update(i for i in named if i and ID.match(i))
    return stored.read_rows(connection, user_id, wanted)


def _store(connection: Connection, caller: Caller, merge: Merge) -> tuple[bool, bool]:
    """Write what the push changed: (whether it was anything, whether all is stored as sent)."""
    count, fallen = 0, False
    for name, table in synced_tables().items():
        rows = merge.stored.get(name, {}).values()
        count += bulk.write(connection, table, caller.user_id, rows)
        fallen = fallen or any(r.deleted and (r.is_new or r.is_changed) for r in rows)
    hit = 0
    if fallen:
        tables = synced_tables().values()
        hit = changes.delete_descendants(
            connection, tables, caller.user_id, merge.tick, caller.device
        )
    as_sent = merge.as_sent and not hit and not merge.problems
    if not count and not merge.adopted:
        return False, as_sent
    history.append(connection, caller.user_id, merge.tick, caller.device, as_sent, merge.adopted)
    return True, as_sent
