"""A phone whose database syncs as WatermelonDB 0.28's `synchronize()` does, call by call, so that
tests may lose an answer, or do something else, in between."""

from collections.abc import Callable
from typing import Any

Raw = dict[str, Any]
Changes = dict[str, dict[str, list[Any]]]
Ask = Callable[[str, dict[str, Any]], tuple[int, Any]]  # a path and a body: status and JSON
LISTS = ("created", "updated", "deleted")


class Wrong(AssertionError):
    """The server broke a promise."""


class StockPhone:
    """`ask` makes a signed-in POST. `forwards`: keeps the timestamp that a push is answered."""

    def __init__(self, name: str, ask: Ask, tables: dict[str, Raw], *, forwards: bool) -> None:
        self.name, self.ask, self.empty, self.forwards = name, ask, tables, forwards
        self.timestamp: int | None = None
        self.records: dict[str, dict[str, Raw]] = {table: {} for table in tables}
        self.held: set[tuple[str, str]] = set()  # all that was ever here
        self.undone: set[tuple[str, str]] = set()  # deleted here, and pushed
        self.twins: set[tuple[str, str]] = set()  # ids that two phones have made

    # --- what a person does

    def create(self, table: str, id: str, **values: Any) -> Raw:
        assert id not in self.records[table]
        raw = {"id": id, "_status": "created", "_changed": "", **self.empty[table], **values}
        self.records[table][id] = raw
        self.held.add((table, id))
        return raw

    def edit(self, table: str, id: str, **values: Any) -> None:
        raw = self.records[table][id]
        assert raw["_status"] != "deleted"
        changed = [name for name, value in values.items() if raw[name] != value]
        raw.update(values)
        names = [*filter(None, raw["_changed"].split(",")), *changed]
        raw["_changed"] = ",".join(dict.fromkeys(names))
        if changed and raw["_status"] == "synced":
            raw["_status"] = "updated"

    def delete(self, table: str, id: str) -> None:
        self.records[table][id]["_status"] = "deleted"

    def living(self, table: str) -> dict[str, Raw]:
        return {i: r for i, r in self.records[table].items() if r["_status"] != "deleted"}

    def seen(self) -> dict[tuple[str, str], Raw]:
        """What the person sees, as it is pulled."""
        return {
            (table, id): {k: v for k, v in raw.items() if not k.startswith("_")}
            for table in self.records
            for id, raw in self.living(table).items()
        }

    def is_dirty(self) -> bool:
        return any(
            r["_status"] != "synced" for rows in self.records.values() for r in rows.values()
        )

    # --- pull

    def ask_pull(self, **more: Any) -> tuple[int, Any]:
        body = {"lastPulledAt": self.timestamp, "schemaVersion": 1, "migration": None, **more}
        return self.ask("/sync/pull", body)

    def take(self, *pages: Any) -> None:
        """What `synchronize()` does with a pull, page by page."""
        timestamps = {page["timestamp"] for page in pages}
        if len(timestamps) != 1 or min(timestamps) < (self.timestamp or 1):
            raise Wrong(f"{self.name}: timestamps {timestamps} after {self.timestamp}")
        if pages[0].get("experimentalStrategy") == "replacement":
            self._replace(pages)
        for page in pages:
            for table, lists in page["changes"].items():
                self._apply(table, lists, "experimentalStrategy" in page)
        self.timestamp = pages[0]["timestamp"]

    def _replace(self, pages: Any) -> None:
        for table, rows in self.records.items():
            told = {r["id"] for p in pages for n in LISTS[:2] for r in p["changes"][table][n]}
            for id in [i for i, r in rows.items() if i not in told and r["_status"] != "created"]:
                del rows[id]

    def _apply(self, table: str, lists: dict[str, list[Any]], is_replaced: bool) -> None:
        """A replacement does not know that what has moved was here already, its tombstone being
        forgotten, nor that what it uncovers never was; and nobody knows that a phone made an id
        of its own that is another record's. The client takes either."""
        rows = self.records[table]
        told = [r["id"] for r in lists["created"] + lists["updated"]] + lists["deleted"]
        if len(told) != len(set(told)):
            raise Wrong(f"{self.name}: an id of {table} in two lists: {lists}")
        for remote in lists["created"]:
            local = rows.get(remote["id"])
            is_twin = (table, remote["id"]) in self.twins
            if local is None or (is_twin and local["_status"] == "deleted"):
                self._put(table, remote)
            elif local["_status"] == "created" or is_replaced or is_twin:
                self._merge(table, local, remote)
            else:
                raise Wrong(f"{self.name} is to create {table} {remote}, has {local}")
        for remote in lists["updated"]:
            local = rows.get(remote["id"])
            if local is None:
                if (table, remote["id"]) not in self.undone and not is_replaced:
                    raise Wrong(f"{self.name} is to update {table} {remote}, which is not here")
                self._put(table, remote)
            elif local["_status"] != "deleted":
                self._merge(table, local, remote)
        for id in lists["deleted"]:
            rows.pop(id, None)

    def _merge(self, table: str, local: Raw, remote: Raw) -> None:
        """Column by column: what was edited here stays (resolveConflict)."""
        keep = {"id", "_status", "_changed", *filter(None, local["_changed"].split(","))}
        self.records[table][remote["id"]] = {**local, **remote, **{k: local[k] for k in keep}}

    def _put(self, table: str, remote: Raw) -> None:
        self.records[table][remote["id"]] = {**remote, "_status": "synced", "_changed": ""}
        self.held.add((table, remote["id"]))

    # --- push

    def changes(self) -> Changes:
        found: Changes = {table: {name: [] for name in LISTS} for table in self.records}
        for table, rows in self.records.items():
            for raw in rows.values():
                if raw["_status"] == "deleted":
                    found[table]["deleted"].append(raw["id"])
                elif raw["_status"] != "synced":
                    found[table][raw["_status"]].append(dict(raw))
        return found

    def ask_push(self, changes: Changes, **more: Any) -> tuple[int, Any]:
        return self.ask("/sync/push", {"changes": changes, "lastPulledAt": self.timestamp, **more})

    def pushed(self, changes: Changes, answer: Any) -> None:
        """What the client does with the answer (markLocalChangesAsSynced)."""
        rejected = answer.get("experimentalRejectedIds", {})
        for table, lists in changes.items():
            rows, kept = self.records[table], rejected.get(table, ())
            for sent in lists["created"] + lists["updated"]:
                if sent["id"] not in kept and rows.get(sent["id"]) == sent:
                    rows[sent["id"]] |= {"_status": "synced", "_changed": ""}
            for id in lists["deleted"]:
                if id not in kept:
                    rows.pop(id, None)
                    self.undone.add((table, id))
        if self.forwards and answer["timestamp"] is not None:
            if answer["timestamp"] < (self.timestamp or 1):
                raise Wrong(f"{self.name}: the timestamp went back to {answer['timestamp']}")
            self.timestamp = answer["timestamp"]
