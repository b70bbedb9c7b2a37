"""Pull and push: the story in named steps. Knows no HTTP."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from melon_api.auth.service import Caller
from melon_api.database import retrying, snapshot, writing
from melon_api.errors import SyncConflict, ValidationFailed
from melon_api.sync import changes, clock, history, push_body
from melon_api.sync.clock import AccountClock
from melon_api.sync.history import History
from melon_api.sync.merge import Merge, Stored
from melon_api.sync.pages import Page, Walk, read_page
from melon_api.sync.problems import Problems
from melon_api.sync.push_body import ID, PushedTable
from melon_api.sync.schemas import PullRequest, PushRequest
from melon_api.sync.tables import synced_tables


def pull(engine: Engine, caller: Caller, request: PullRequest) -> Page:
    """What has changed since `request.since`, or the next page of it (contract, Pull).

    Raises ValidationFailed for a clock from the future, and for a cursor that was overtaken.
    """
    with snapshot(engine) as connection:
        account = clock.read(connection, caller.user_id)
        if request.walk is not None or request.since <= account.value:
            walk = _going_on(request.walk, account) if request.walk else _begun(request, account)
            seen = _seen(connection, caller, walk)
            return read_page(connection, caller, walk, seen, request.limit)
    retrying(lambda: _raise_clock(engine, caller, request.since))
    return pull(engine, caller, request)


def _begun(request: PullRequest, account: AccountClock) -> Walk:
    is_stale = 0 < request.since < account.purged  # it may have missed a deletion (pull 7)
    is_replacement = is_stale or (request.replacement and request.since > 0)
    return Walk(request.since, account.value, is_replacement, request.migration)


def _going_on(walk: Walk, account: AccountClock) -> Walk:
    """A purge between two pages may have taken a deletion that the rest was to tell."""
    if 0 < walk.since < account.purged and not walk.is_replacement:
        raise ValidationFailed({"cursor": ["Too old; pull again from the first page."]})
    return walk


def _seen(connection: Connection, caller: Caller, walk: Walk) -> History:
    if not walk.since or walk.is_idle:
        return History(caller.device, walk.since)
    return history.read(connection, caller.user_id, caller.device, walk.since)


def _raise_clock(engine: Engine, caller: Caller, since: int) -> None:
    """A device has seen a later clock than we have: we were restored from a backup (pull 1)."""
    with writing(engine) as connection:
        account = clock.lock(connection, caller.user_id)
        clock.check_ahead(account, since)
        if since > account.value:
            clock.store(connection, caller.user_id, since)


@dataclass(frozen=True)
class PushAnswer:
    """`timestamp`: the new clock when the device is up to date with it (contract push 7)."""

    timestamp: int | None
    problems: Problems


def push(engine: Engine, caller: Caller, request: PushRequest, policy: str) -> PushAnswer:
    """Store what a device changed, all of it or, with `allow_partial`, all that can be.

    Raises UnknownTable, ValidationFailed, UnknownParent, SyncConflict; nothing is stored then.
    """
    problems = Problems()
    pushed = push_body.read(synced_tables(), request.changes, problems)
    return retrying(lambda: _push(engine, caller, request, policy, pushed, problems.copy()))


def _push(
    engine: Engine,
    caller: Caller,
    request: PushRequest,
    policy: str,
    pushed: list[PushedTable],
    problems: Problems,
) -> PushAnswer:
    with writing(engine) as connection:
        account = clock.lock(connection, caller.user_id)
        clock.check_ahead(account, request.since)
        if request.since < account.purged:
            raise SyncConflict("Deletions since lastPulledAt are forgotten; pull, then push.", {})
        seen = history.read(connection, caller.user_id, caller.device, request.since)
        stored = _stored(connection, caller.user_id, pushed)
        tick = clock.next_tick(account, request.since)
        merge = Merge(stored, seen, tick, policy, problems)
        merge.apply(pushed)
        if not request.allow_partial:
            problems.raise_gravest()
        now = _store(connection, caller, merge, max(account.value, request.since))
        if now != account.value:
            clock.store(connection, caller.user_id, now)
    is_up_to_date = seen.up_to_date and merge.as_sent and not problems.errors
    if request.since < account.log_purged:
        is_up_to_date = False  # who else pushed is forgotten
    return PushAnswer(now if is_up_to_date else None, problems)


def _stored(connection: Connection, user_id: str, pushed: list[PushedTable]) -> Stored:
    """The rows a push is about, and the parents that it names; one read for each table."""
    wanted: dict[str, set[str]] = {part.table.name: set() for part in pushed}
    for part in pushed:
        ids = wanted[part.table.name]
        ids.update(record.place.id for record in part.records)
        ids.update(place.id for place in part.deletions)
        for parent in part.table.parents:
            named = {record.values.get(parent.column) for record in part.records}
            wanted.setdefault(parent.table, set()).update(i for i in named if i and ID.match(i))
    return {
        name: changes.read_rows(connection, synced_tables()[name], user_id, ids)
        for name, ids in wanted.items()
    }


def _store(connection: Connection, caller: Caller, merge: Merge, before: int) -> int:
    """Write what the push changed; the account's clock after it. Nothing changed, no tick."""
    count = 0
    deleted = False
    for name, table in synced_tables().items():
        rows = merge.stored.get(name, {}).values()
        count += changes.write(connection, table, caller.user_id, rows)
        deleted = deleted or any(r.deleted and (r.is_new or r.is_changed) for r in rows)
    if not count and not merge.adopted:
        return before
    if deleted:
        tables = synced_tables().values()
        hit = changes.delete_descendants(connection, tables, caller.user_id, merge.tick)
        merge.as_sent = merge.as_sent and not hit
    as_sent = merge.as_sent and not merge.problems.errors
    history.append(connection, caller.user_id, merge.tick, caller.device, as_sent, merge.adopted)
    return merge.tick
