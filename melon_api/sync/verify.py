"""Is a device identical to the server at its clock?"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.storage.transactions import reading
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.checksum import DeviceTable, table_checksum
from melon_api.sync.rules.walk import Scope
from melon_api.sync.spaces.pull import Reader
from melon_api.sync.sql import clock, delta_pull
from melon_api.sync.sql.scope import DeltaQuery


@dataclass(frozen=True)
class VerifiedTable:
    count: int
    checksum: int
    identical: bool


@dataclass(frozen=True)
class Verified:
    """`identical` is None when something has changed since: pull, then ask again."""

    identical: bool | None
    timestamp: int
    tables: dict[str, VerifiedTable]


def verify(engine: Engine, caller: Caller, since: int, held: dict[str, DeviceTable]) -> Verified:
    """Compare what a device holds at clock `since` with the account's records, in one snapshot."""
    query = DeltaQuery(caller.user_id, caller.device, since)

    def compare(connection: Connection) -> Verified:
        account = clock.read(connection, caller.user_id)
        reader = Reader(connection, synced_tables(), caller, account, since)
        if account.beyond:
            has_changed = not reader.is_idle
        else:
            has_changed = since < account.value and _has_changed(connection, query)
        if has_changed:
            return Verified(None, account.value, {})
        tables = {name: _compare(reader, name, table) for name, table in held.items()}
        return Verified(all(t.identical for t in tables.values()), account.value, tables)

    verified = reading(engine, compare)
    if verified.identical is not None:
        told = {n: (held[n].count, of.count, of.identical) for n, of in verified.tables.items()}
        measures.verified(told)
    return verified


def _has_changed(connection: Connection, query: DeltaQuery) -> bool:
    for table in synced_tables().values():
        if any(delta_pull.read_rows(connection, table, Scope(table.name), query, most=1)):
            return True
    return False


def _compare(reader: Reader, name: str, held: DeviceTable) -> VerifiedTable:
    table = synced_tables()[name]
    records = reader.living(table)
    columns = [column for column in table.columns if column.name in held.columns]
    count, checksum = table_checksum(records, columns)
    return VerifiedTable(count, checksum, (count, checksum) == (held.count, held.checksum))
