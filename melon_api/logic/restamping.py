"""What was changed past the engine (`UPDATE … SET`), told to phones: the rows stay as they are, and
are stamped as the server's own change of now."""

import itertools
import logging
from typing import Any

from sqlalchemy import Connection, FromClause, Select, column, select, true

from melon_api.errors import NotFound
from melon_api.logic.desk import server_merge
from melon_api.logic.writes import account_ids, lock, space_ids, store
from melon_api.models.base import db
from melon_api.storage.cache import cache
from melon_api.storage.engine import statement_bytes
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql import rows

log = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 1_000
ACCOUNTS_PER_QUERY = 100


def restamp(table: Any, where: Any = None, *, after: str = "") -> int:
    """Have every phone pull these living records again, as changed by the server; how many they
    are. No rule is asked, as nothing is changed.

    `table`: a model that syncs, its table or the database's name of it; `where`: a condition of
    SQLAlchemy, all without one. For each account, and space, a transaction of its own for each
    1,000 rows, so what has changed them must be committed. It may be run again; `after`: the
    account after which to go on, as the log says it. Raises ValueError for a table that does not
    sync."""
    source: FromClause = getattr(table, "__table__", table)
    synced = _synced(source if isinstance(source, str) else getattr(source, "name", None))
    asked = _Asked(synced, synced.table if isinstance(source, str) else source, where)
    total, accounts = 0, itertools.chain(account_ids(after), space_ids())
    while some := list(itertools.islice(accounts, ACCOUNTS_PER_QUERY)):
        with snapshot(db.engine) as connection:
            concerned = asked.accounts(connection, some)
        total += sum(_restamp_account(asked, account_id) for account_id in concerned)
        log.info("restamped %d of %s, up to the account %s", total, synced.table.name, some[-1])
    cache().settle()
    return total


class _Asked:
    """Which rows are meant, in SQL. A table of a migration's own names but some of its columns."""

    def __init__(self, synced: SyncedTable, source: FromClause, where: Any) -> None:
        self.synced = synced
        found = [source.c.get(name, column(name)) for name in ("user_id", "id", "is_deleted")]
        self._user_id, self._id, is_deleted = found
        condition = true() if where is None else where
        self._from: Select[Any] = select().select_from(source).where(is_deleted == 0, condition)

    def accounts(self, connection: Connection, some: list[str]) -> list[str]:
        query = self._from.add_columns(self._user_id).where(self._user_id.in_(some)).distinct()
        return sorted(connection.scalars(query))

    def ids(self, connection: Connection, account_id: str, last: str) -> list[str]:
        mine = self._from.add_columns(self._id).where(self._user_id == account_id, self._id > last)
        return list(connection.scalars(mine.order_by(self._id).limit(ROWS_PER_TRANSACTION)))


def _restamp_account(asked: _Asked, account_id: str) -> int:
    total, last = 0, ""
    while ids := retrying(lambda: _restamp_some(asked, account_id, last)):  # noqa: B023
        cache().flush()
        total, last = total + len(ids), ids[-1]
    return total


def _restamp_some(asked: _Asked, account_id: str, last: str) -> list[str]:
    """Those that were stamped, in their order; none of an account that is gone."""
    with writing(db.engine) as connection:
        try:
            tick, is_account = lock(connection, account_id)
        except NotFound:
            return []
        ids = asked.ids(connection, account_id, last)
        if ids:
            wanted = {asked.synced.name: ids}
            stored = rows.read_rows(connection, synced_tables(), account_id, wanted)
            merge = server_merge(stored, tick, statement_bytes(connection))
            for row in stored[asked.synced.name].values():
                merge.touch(row)
            store(connection, account_id, merge, is_account=is_account)
    return ids


def _synced(name: Any) -> SyncedTable:
    for table in synced_tables().values():
        if table.table.name == name:
            return table
    raise ValueError(f"{name!r} is no table that syncs")
