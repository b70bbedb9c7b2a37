"""An ordinary pull of few news, which most are: the clock and the records with one statement.

A GROUP_CONCAT makes a table on MariaDB's disk, which takes longer than to read a hundred rows. So
here each record is a row, as JSON text again. What is not such a pull is left to `reading`.
"""

import functools
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, cast, func, not_, select, union_all
from sqlalchemy.dialects import mysql

from melon_api.models.synced import SyncPush
from melon_api.models.user import User
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql import changes
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.sync.sql.clock import AccountClock
from melon_api.sync.sql.reading import Asks, has_adopted
from melon_api.sync.sql.record_text import (
    SINCE,
    USER,
    as_bytes,
    compiled,
    constant,
    is_had,
    record,
    record_id,
)

MOST = 250  # rows of a table
# Each row begins with what it is: one of these, or the place of a record in the answer.
CLOCK, ADOPTED, COLON = "clock", "adopted", b":"

News = dict[str, list[bytes]]  # records by `<table>.<list>`


def read_news(connection: Connection, asks: Asks) -> tuple[AccountClock, News] | None:
    """The clock and what came after `since`, as of this snapshot. None where it cannot be told
    in this way: for too many rows, and for a device that `adopted` records."""
    if connection.dialect.name != "mysql":
        return None
    statement, constants = _statement()
    rows = connection.exec_driver_sql(statement, constants | asks._asdict()).scalars().all()
    if None in rows:  # a record that is no JSON
        return None
    news: News = {}
    for row in rows:
        kind, _, text = row.partition(COLON)
        news.setdefault(kind.decode(), []).append(text)
    clocks = news.pop(CLOCK, None)
    if not clocks or ADOPTED in news or _is_cut(news):
        return None
    return AccountClock(*map(int, clocks[0].split(COLON))), news


def tell(news: News, told: ChangesText) -> None:
    """Add the records to an answer."""
    for place, records in news.items():
        table, _, name = place.partition(".")
        told.add(table, name, b",".join(records), len(records))


def _is_cut(news: News) -> bool:
    counts = dict.fromkeys(synced_tables(), 0)
    for place, records in news.items():
        counts[place.partition(".")[0]] += len(records)
    return max(counts.values(), default=0) > MOST


@functools.cache
def _statement() -> tuple[str, dict[str, Any]]:
    log = SyncPush.__table__.c
    adopted = select(as_bytes(ADOPTED, constant(":"), log.device)).where(has_adopted()).limit(1)
    return compiled(union_all(_clock(), adopted, *map(_table, synced_tables().values())))


def _clock() -> Select[Any]:
    clocks = (User.sync_clock, User.purged_clock, User.log_purged_clock)
    pieces: list[Any] = []
    for column in clocks:
        pieces += [constant(":"), column]
    return select(as_bytes(CLOCK, *pieces)).where(User.id == USER)


def _table(table: SyncedTable) -> Select[Any]:
    c, living = table.table.c, changes.is_living(table)

    def at(name: str) -> ColumnElement[Any]:
        return cast(constant(f"{table.name}.{name}:"), mysql.BINARY)

    place = case((not_(living), at("deleted")), (is_had(table), at("updated")), else_=at("created"))
    text = case((living, record(table)), else_=record_id(table))
    news = select(func.concat(place, text)).where(c.user_id == USER, c.updated_at_ms > SINCE)
    # By its clock: of a new account the optimizer knows nothing, and may read all of it.
    by_clock = f"FORCE INDEX (idx_{table.name}_updated_at_ms)"
    return news.with_hint(table.table, by_clock, "mysql").limit(MOST + 1)
