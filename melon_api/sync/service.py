"""Pull and push: the story in named steps. Knows no HTTP."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, or_

from melon_api.auth.service import Caller
from melon_api.database import retrying, snapshot, writing
from melon_api.errors import SyncConflict
from melon_api.sync import changes, clock, history, push_body
from melon_api.sync.clock import AccountClock
from melon_api.sync.history import History
from melon_api.sync.merge import Merge, Stored
from melon_api.sync.problems import Problems
from melon_api.sync.push_body import ID, PushedTable
from melon_api.sync.schemas import Migration, PullRequest, PushRequest
from melon_api.sync.tables import SyncedTable, synced_tables

REPLACEMENT = {"experimentalStrategy": "replacement"}


def pull(engine: Engine, caller: Caller, request: PullRequest) -> dict[str, Any]:
    """Every change since `request.since`, as the body of the answer (contract, Pull).

    Raises ValidationFailed for a clock from the future.
    """
    with snapshot(engine) as connection:
        account = clock.read(connection, caller.user_id)
        if request.since <= account.value:
            return _pulled(connection, caller, request, account)
    retrying(lambda: _raise_clock(engine, caller, request.since))
    return pull(engine, caller, request)


def _raise_clock(engine: Engine, caller: Caller, since: int) -> None:
    """A device has seen a later clock than we have: we were restored from a backup (pull 1)."""
    with writing(engine) as connection:
        account = clock.lock(connection, caller.user_id)
        clock.check_ahead(account, since)
        if since > account.value:
            clock.store(connection, caller.user_id, since)


def _pulled(
    connection: Connection, caller: Caller, request: PullRequest, account: AccountClock
) -> dict[str, Any]:
    since, migration = request.since, request.migration
    is_replacement = 0 < since < account.purged
    answer: dict[str, Any] = {"changes": {}, "timestamp": account.value}
    if is_replacement:
        answer |= REPLACEMENT
    is_idle = since == account.value and not migration.tables and not migration.columns
    seen = History(caller.device, since)
    if since and not is_idle:
        seen = history.read(connection, caller.user_id, caller.device, since)
    for name, table in synced_tables().items():
        rows: Any = ()
        if not is_idle:
            condition = _wanted(table, since, migration, is_replacement)
            rows = changes.read_records(connection, table, caller.user_id, condition)
        is_added = not since or name in migration.tables
        answer["changes"][name] = _sorted(table, rows, seen, is_added)
    return answer


def _wanted(
    table: SyncedTable, since: int, migration: Migration, is_replacement: bool
) -> ColumnElement[bool]:
    if not since:
        return changes.is_living(table)
    changed = changes.changed_since(table, since)
    if is_replacement or table.name in migration.tables:
        return or_(changed, changes.is_living(table))
    if names := migration.columns.get(table.name):
        return or_(changed, changes.holds_something(table, names))
    return changed


def _sorted(table: SyncedTable, rows: Any, seen: History, is_added: bool) -> dict[str, list[Any]]:
    """Created, updated or deleted, as the asking device sees it (contract pull 3).

    `is_added`: the device has nothing of this table but what it created itself.
    """
    created: list[Any] = []
    updated: list[Any] = []
    deleted: list[Any] = []
    for record, created_at, is_deleted in changes.wire_records(table, rows):
        if is_deleted:
            deleted.append(record["id"])
        elif is_added and created_at <= seen.since:
            created.append(record)
        elif seen.since and seen.has_had(table.name, record["id"], created_at):
            updated.append(record)
        else:
            created.append(record)
    return {"created": created, "updated": updated, "deleted": deleted}


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
