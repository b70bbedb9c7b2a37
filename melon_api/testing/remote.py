"""What a pull makes of a phone's records: WatermelonDB's applyRemoteChanges, rule by rule."""

import warnings
from typing import Any

from melon_api.sync.rules.tables import SyncedTable
from melon_api.testing.record import Raw, Record
from melon_api.testing.store import Changes, Store

WITHIN = {"_status", "_changed"}


class ProtocolWarning(UserWarning):
    """What WatermelonDB would complain of on its console, and go on."""


def apply(store: Store, pulled: Changes, replaces: bool) -> None:
    """`replaces`: what is not in it goes, but for what this phone has created (contract pull 7)."""
    for name, lists in pulled.items():
        table, mine = store.tables[name], store.records[name]
        gone = set(lists["deleted"])
        if replaces:
            told = {raw["id"] for raw in lists["created"] + lists["updated"]}
            gone |= {i for i, r in mine.items() if i not in told and r["_status"] != "created"}
        for raw in lists["created"]:
            _create(table, mine, raw)
        for raw in lists["updated"]:
            _update(table, mine, raw)
        for record_id in gone & mine.keys():
            del mine[record_id]


def _create(table: SyncedTable, mine: dict[str, Record], remote: Raw) -> None:
    local = mine.get(remote["id"])
    if local is None:
        _put(table, mine, remote)
        return
    _complain(f"the server has this phone create {local}, which is here already")
    if local["_status"] == "deleted":
        _put(table, mine, remote)
    else:
        local.raw |= resolved(local.raw, remote)


def _update(table: SyncedTable, mine: dict[str, Record], remote: Raw) -> None:
    local = mine.get(remote["id"])
    if local is None:
        _complain(f"the server has this phone update {table.name} {remote['id']!r}: it is not here")
        _put(table, mine, remote)
    else:  # what was deleted here stays so, and is pushed soon
        local.raw |= resolved(local.raw, remote)


def _put(table: SyncedTable, mine: dict[str, Record], remote: Raw) -> None:
    raw: dict[str, Any] = {column.name: column.empty for column in table.columns}
    raw |= remote | {"_status": "synced", "_changed": ""}
    mine[remote["id"]] = Record(table, raw)


def resolved(local: Raw, remote: Raw) -> Raw:
    """Column by column: what was edited here stays (WatermelonDB, resolveConflict)."""
    edited = WITHIN.union(local["_changed"].split(","))
    return local | {name: value for name, value in remote.items() if name not in edited}


def _complain(text: str) -> None:
    warnings.warn(text, ProtocolWarning, stacklevel=5)
