"""What a deletion does to the records under it (contract push 4), before it is written: a rule sees
those, too, which else are deleted in the database alone (sync/sql/deletions.py)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from melon_api.sync.rules.tables import Parent, SyncedTable
from melon_api.sync.sql.rows import IDS_PER_STATEMENT

if TYPE_CHECKING:
    from melon_api.logic.desk import Desk

Fallen = tuple[Parent, str]  # a way up, and the id of the record there
Below = dict[tuple[str, str], list[str]]  # (column, what it names) -> the records


def follow(desk: Desk, table: SyncedTable) -> None:
    """Delete the records of this table whose parents go, or clear what names them; in memory. Again
    when more go than before, as rules may delete some, too."""
    parents = [parent for parent in table.parents if parent.on_delete != "keep"]
    fallen = _fallen(desk, parents)
    if len(fallen) == desk.followed.get(table.name, 0):
        return
    below = _below(desk, table, parents, fallen)
    hits = list(_hits(table, parents, fallen, below))
    desk.load(table, [child for _, _, child in hits])
    here = desk.merge.stored[table.name]
    for parent, above, child in hits:
        row = here[child]
        if row.deleted:
            continue
        desk.merge.as_sent = False
        if parent.on_delete == "clear":
            row.values = row.values | {parent.column: None}
            desk.merge.touch(row)
        else:
            desk.merge.mark_deleted(row)
            desk.causes[table.name, child] = (parent.table, above)
    desk.followed[table.name] = len(_fallen(desk, parents))  # of a tree also what has just gone


def _fallen(desk: Desk, parents: list[Parent]) -> list[Fallen]:
    return [(parent, i) for parent in parents for i in desk.fallen(parent.table)]


def _hits(
    table: SyncedTable, parents: list[Parent], fallen: list[Fallen], below: Below
) -> Iterator[tuple[Parent, str, str]]:
    """(the way up, what is gone there, the record); down a tree to any depth."""
    own = [parent for parent in parents if parent.table == table.name]
    stack, seen = list(fallen), set(fallen)
    while stack:
        parent, above = stack.pop()
        for child in below.get((parent.column, above), ()):
            yield parent, above, child
            if parent.on_delete == "cascade":
                more = [(up, child) for up in own if (up, child) not in seen]
                stack += more
                seen.update(more)


def _below(desk: Desk, table: SyncedTable, parents: list[Parent], fallen: list[Fallen]) -> Below:
    """What belongs to what: as it is stored, and as this push changes it."""
    found: Below = defaultdict(list)
    here = desk.merge.stored[table.name]
    for record_id, *named in _stored(desk, table, parents, fallen):
        if record_id not in here:
            for parent, above in zip(parents, named, strict=True):
                found[parent.column, above].append(record_id)
    for row in here.values():
        if not row.deleted:
            for parent in parents:
                found[parent.column, row.values[parent.column]].append(row.id)
    return found


def _stored(
    desk: Desk, table: SyncedTable, parents: list[Parent], fallen: list[Fallen]
) -> Iterator[tuple[str, ...]]:
    """Of a tree all records, as a statement for each level would be many."""
    c = table.table.c
    query = select(c.id, *(table.column(parent.column) for parent in parents)).where(
        c.user_id == desk.user_id, c.is_deleted.is_(False)
    )
    if table.is_tree:
        yield from desk.connection.execute(query)
        return
    for start in range(0, len(fallen), IDS_PER_STATEMENT):
        some = fallen[start : start + IDS_PER_STATEMENT]
        ids = {parent: [i for up, i in some if up is parent] for parent in parents}
        named = or_(*(table.column(up.column).in_(found) for up, found in ids.items() if found))
        yield from desk.connection.execute(query.where(named))
