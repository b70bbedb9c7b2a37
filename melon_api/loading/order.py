"""In which order records are stored: what others belong to comes first, whatever the file says."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from melon_api.loading.batches import Entry
    from melon_api.sync.rules.tables import SyncedTable, Tables


def parents_first(tables: Tables, entries: Iterable[Entry]) -> list[Entry]:
    """By table, parents before children; in a tree the parents, too; else as they came."""
    by_table: dict[str, list[Entry]] = {name: [] for name in tables}
    for entry in entries:
        by_table[entry.table].append(entry)
    return [
        entry
        for name, some in by_table.items()
        for entry in (_tree(tables[name], some) if some else ())
    ]


def _tree(table: SyncedTable, entries: list[Entry]) -> list[Entry]:
    """A circle is left as it came: one of its records names what is not there."""
    if not table.is_tree:
        return entries
    own = [parent.column for parent in table.parents if parent.table == table.name]
    here = {entry.record["id"] for entry in entries}
    above: dict[str, set[str]] = {}
    for _, _, record in entries:
        named = (record.get(column) for column in own)
        above.setdefault(record["id"], set()).update(
            one for one in named if isinstance(one, str) and one in here and one != record["id"]
        )
    try:
        order = {name: at for at, name in enumerate(TopologicalSorter(above).static_order())}
    except CycleError:
        return entries
    return sorted(entries, key=lambda entry: order[entry.record["id"]])
