"""What a phone stores, and what it knows of its edits: as WatermelonDB 0.28 keeps them."""

import time
import uuid
from typing import Any

from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.testing.record import Raw, Record, checked

Changes = dict[str, dict[str, list[Any]]]  # {table: {created, updated, deleted}}


class Store:
    """The records of one phone, {table: {id: Record}}; those it has deleted are there until a push
    has told it."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.records: dict[str, dict[str, Record]] = {name: {} for name in tables}

    def table(self, model: type[Any]) -> SyncedTable:
        """Raises ValueError for a model that does not sync."""
        for table in self.tables.values():
            if table.table is getattr(model, "__table__", None):
                return table
        raise ValueError(f"{model!r} does not sync")

    def create(self, table: SyncedTable, values: Raw) -> Record:
        now, record_id = _now(), values.pop("id", uuid.uuid4().hex[:16])
        if record_id in self.records[table.name]:
            raise ValueError(f"{table.name} {record_id!r} is on this phone already")
        stamps = {"created_at": now, "updated_at": now}
        raw = {"id": record_id, "_status": "created", "_changed": ""}
        raw |= {c.name: c.empty for c in table.columns} | stamps | checked(table, values)
        record = self.records[table.name][record_id] = Record(table, raw)
        return record

    def update(self, record: Record, values: Raw) -> None:
        values = {"updated_at": _now()} | checked(record.table, values)
        raw = self._living(record).raw
        changed = [name for name, value in values.items() if raw[name] != value]
        raw |= values
        before = raw["_changed"].split(",") if raw["_changed"] else []
        raw["_changed"] = ",".join(dict.fromkeys(before + changed))
        if changed and raw["_status"] != "created":
            raw["_status"] = "updated"

    def delete(self, record: Record) -> None:
        self._living(record).raw["_status"] = "deleted"

    def _living(self, record: Record) -> Record:
        mine = self.records[record.table.name].get(record.id)
        if mine is not record or record.raw["_status"] == "deleted":
            raise ValueError(f"{record} is not on this phone, or not any more")
        return record

    def changes(self) -> Changes:
        """What is to be pushed (WatermelonDB, fetchLocalChanges)."""
        found: Changes = {}
        for name, records in self.records.items():
            lists = found[name] = {"created": [], "updated": [], "deleted": []}
            for raw in (record.raw for record in records.values()):
                if raw["_status"] == "deleted":
                    lists["deleted"].append(raw["id"])
                elif raw["_status"] != "synced":
                    lists[raw["_status"]].append(dict(raw))
        return found

    def mark_synced(self, sent: Changes, rejected: dict[str, list[str]]) -> None:
        """The server has taken it, but for `rejected` (WatermelonDB, markLocalChangesAsSynced)."""
        for name, lists in sent.items():
            mine = self.records[name]
            for raw in (*lists["created"], *lists["updated"]):
                if raw["id"] not in rejected.get(name, ()):
                    mine[raw["id"]].raw |= {"_status": "synced", "_changed": ""}
            for record_id in lists["deleted"]:
                if record_id not in rejected.get(name, ()):
                    del mine[record_id]


def _now() -> int:
    return time.time_ns() // 1_000_000
