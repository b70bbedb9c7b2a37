"""What a commit did, written in its own transaction for those who listen to it: the one door by
which the engine comes in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, insert, select

from melon_api.events import queues, registry
from melon_api.models.base import new_id, now_ms
from melon_api.models.outbox import CREATED, DELETED, KINDS, UPDATED, Ids, OutboxEvent

if TYPE_CHECKING:
    from melon_api.sync.rules.merge import Merge
    from melon_api.sync.rules.tables import SyncedTable, Tables

IDS_PER_EVENT = 1_000  # of 36 characters, 40 kB: a webhook's body, and what a job reads at once

_causes: ContextVar[tuple[str, ...]] = ContextVar("causes", default=())


@contextmanager
def because_of(causes: tuple[str, ...], target: str) -> Iterator[None]:
    """What is written meanwhile, by this thread, is told none of these: no job wakes itself, by
    whatever way round."""
    token = _causes.set((*causes, target))
    try:
        yield
    finally:
        _causes.reset(token)


def write(
    connection: Connection, tables: Tables, user_id: str, merge: Merge, is_cascaded: bool
) -> None:
    """What was just written, at the tick of `merge`, for all who listen to one of its tables;
    `is_cascaded`: whether rows were changed that are not in `merge`. No statement where nobody
    listens."""
    causes = _causes.get()
    targets = [target for target in registry.targets() if target.name not in causes]
    told = {
        name: ids
        for name, table in tables.items()
        if any(target.listens(table) for target in targets)
        and (ids := _ids(connection, table, user_id, merge, is_cascaded))
    }
    if not told:
        return
    fixed = {
        "user_id": user_id,
        "is_set_aside": False,
        "clock": merge.tick,
        "session": merge.history.session,
        "causes": orjson.dumps(causes).decode(),
        "created_at_ms": now_ms(),
    }
    event_ids: list[str] = []
    rows: list[dict[str, Any]] = []
    for target in targets:
        mine = {name: ids for name, ids in told.items() if target.listens(tables[name])}
        for part, some in enumerate(_parts(mine)):
            if part == len(event_ids):
                event_ids.append(new_id())
            own = {"part": part, "id": event_ids[part], "ids": orjson.dumps(some).decode()}
            rows.append(fixed | {"target": target.name} | own)
    queues.wake(connection, user_id, {row["target"] for row in rows}, merge.tick)
    connection.execute(insert(OutboxEvent), rows)


def _ids(
    connection: Connection, table: SyncedTable, user_id: str, merge: Merge, is_cascaded: bool
) -> dict[str, list[str]]:
    """By kind. Who was born deleted has never lived, and is none of it; nor is a deletion that is
    told a phone again."""
    c, tick = table.table.c, merge.tick
    rows: Iterable[Any]
    if is_cascaded:
        columns = (c.id, c.created_at_ms, c.is_deleted, c.rival_at_ms)
        query = select(*columns).where(c.user_id == user_id, c.updated_at_ms == tick)
        rows = connection.execute(query)
    else:
        some = merge.stored.get(table.name, {}).values()
        changed = (row for row in some if row.is_new or row.is_changed)
        rows = ((row.id, row.created, row.deleted, row.rival) for row in changed)
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for record_id, born, is_deleted, ended in rows:
        if not is_deleted:
            found[CREATED if born == tick else UPDATED].append(record_id)
        elif ended == tick and born != tick:
            found[DELETED].append(record_id)
    return {kind: sorted(ids) for kind, ids in found.items() if ids}


def _parts(told: Ids) -> Iterator[Ids]:
    """In events of at most so many ids."""
    part: Ids = {}
    size = 0
    for table, kinds in told.items():
        for kind, ids in kinds.items():
            start = 0
            while start < len(ids):
                some = ids[start : start + IDS_PER_EVENT - size]
                part.setdefault(table, {})[kind] = some
                start, size = start + len(some), size + len(some)
                if size == IDS_PER_EVENT:
                    yield part
                    part, size = {}, 0
    if part:
        yield part
