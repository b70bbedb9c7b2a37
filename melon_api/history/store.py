"""The history's statements: written in sets, read of one account, forgotten in small steps."""

import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Engine, delete, func, insert, select

from melon_api.history.entry import VERIFY, Entry
from melon_api.history.table import CODE_LENGTH, SyncCall
from melon_api.models.base import TEXT_BYTES
from melon_api.models.user import User
from melon_api.storage.transactions import retrying, snapshot, writing

ROWS_PER_STATEMENT = 500
ROWS_PER_TRANSACTION = 1_000
MOST_READ = 20_000  # of one account

TABLE = SyncCall.__table__
_c = TABLE.c


def write(engine: Engine, entries: Sequence[Entry]) -> None:
    """Keep these; not those of accounts that are deleted, also while this is at work."""
    for start in range(0, len(entries), ROWS_PER_STATEMENT):
        some = sorted(entries[start : start + ROWS_PER_STATEMENT], key=lambda e: e.user_id)
        part = uuid.uuid4().int & 0x3FFF_FFFF  # one after another, as they came in one ms
        rows = [_row(entry, part + place) for place, entry in enumerate(some)]
        retrying(partial(_insert, engine, rows))
        _forget_the_deleted(engine, {entry.user_id for entry in some})


def _row(entry: Entry, part: int) -> dict[str, Any]:
    facts = orjson.dumps(entry.facts)
    return {
        "user_id": entry.user_id,
        "at_ms": entry.at_ms,
        "part": part,
        "first_ms": entry.first_ms,
        "session_id": entry.session_id,
        "kind": entry.kind,
        "status": entry.status,
        "code": entry.code and entry.code[:CODE_LENGTH],
        "times": entry.times,
        "request_id": entry.request_id,
        "facts": facts.decode() if len(facts) <= TEXT_BYTES else "{}",
    }


def _insert(engine: Engine, rows: list[dict[str, Any]]) -> None:
    with writing(engine) as connection:
        connection.execute(insert(TABLE), rows)


def _forget_the_deleted(engine: Engine, users: set[str]) -> None:
    """Behind the commit: an account that is deleted after it takes these rows along."""
    with snapshot(engine) as connection:
        living = set(connection.scalars(select(User.id).where(User.id.in_(users))))
    if gone := sorted(users - living):
        retrying(partial(_delete_of, engine, gone))


def _delete_of(engine: Engine, users: list[str]) -> None:
    with writing(engine) as connection:
        connection.execute(delete(TABLE).where(_c.user_id.in_(users)))


def read(engine: Engine, user_id: str) -> list[Entry]:
    """Of an account, the newest first; MOST_READ of them."""
    query = select(TABLE).where(_c.user_id == user_id).order_by(_c.at_ms.desc(), _c.part.desc())
    with snapshot(engine) as connection:
        return [_entry(row) for row in connection.execute(query.limit(MOST_READ))]


def newest_verifications(engine: Engine, user_id: str) -> dict[str, Entry]:
    """Of each session the newest comparison; where it had to pull first each time, the first."""
    query = select(TABLE).where(_c.user_id == user_id, _c.kind == VERIFY, _c.status == 200)
    with snapshot(engine) as connection:
        found: dict[str, Entry] = {}
        for entry in map(_entry, connection.execute(query.order_by(_c.at_ms, _c.part))):
            if entry.facts or entry.session_id not in found:
                found[entry.session_id] = entry
        return found


def _entry(row: Any) -> Entry:
    known = {name: getattr(row, name) for name in Entry.__slots__ if name != "facts"}
    return Entry(**known, facts=orjson.loads(row.facts))


def forget(engine: Engine, before_ms: int, *, dry_run: bool) -> int:
    """What is older: how many rows."""
    is_old = _c.at_ms < before_ms
    if dry_run:
        with snapshot(engine) as connection:
            return connection.scalar(select(func.count()).select_from(TABLE).where(is_old)) or 0
    total = 0
    while done := retrying(partial(_forget_some, engine, before_ms)):
        total += done
    return total


def _forget_some(engine: Engine, before_ms: int) -> int:
    """All of one moment at once: some more than ROWS_PER_TRANSACTION, perhaps."""
    with writing(engine) as connection:
        oldest = select(_c.at_ms).where(_c.at_ms < before_ms).order_by(_c.at_ms)
        last = connection.scalars(oldest.limit(ROWS_PER_TRANSACTION)).all()[-1:]
        if not last:
            return 0
        return connection.execute(delete(TABLE).where(_c.at_ms <= last[0])).rowcount
