"""A record on a phone, and what its columns may hold."""

import math
from typing import Any

from melon_api.sync.rules.tables import Column, SyncedTable

Raw = dict[str, Any]  # as it is pushed: id, columns, _status, _changed
TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


class Record:
    """A record on a phone: `record["title"]`, by the names that phones know. It stays the same
    object, whatever a pull makes of it."""

    def __init__(self, table: SyncedTable, raw: Raw) -> None:
        self.table, self.raw = table, raw

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def is_synced(self) -> bool:
        """Whether the server has said that it holds it as it is here."""
        return bool(self.raw["_status"] == "synced")

    def __getitem__(self, column: str) -> Any:
        return self.raw[column]

    def __repr__(self) -> str:
        return f"<{self.table.model} {self.raw}>"


def checked(table: SyncedTable, values: Raw) -> Raw:
    """These values, as a phone could hold them. Raises TypeError for what it could not, which
    WatermelonDB would put right in silence: here it is a slip of the test's."""
    columns = {column.name: column for column in table.columns}
    for name, value in values.items():
        if name not in columns:
            raise TypeError(f"{table.name} has no column {name!r}: it has {', '.join(columns)}")
        if not _fits(columns[name], value):
            app_type = columns[name].kind.app_type
            raise TypeError(f"{table.name}.{name} takes a {app_type} on phones, not {value!r}")
    return values


def _fits(column: Column, value: Any) -> bool:
    if value is None:
        return column.optional
    kind = column.kind.app_type
    is_one = isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")
    return is_one and (kind != "number" or math.isfinite(value))
