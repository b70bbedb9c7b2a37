"""Deleting what hangs under deleted records (contract push 4), in sets; and all of an account."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.sql.rows import IDS_PER_STATEMENT


def delete_descendants(
    connection: Connection, tables: Iterable[SyncedTable], user_id: str, tick: int, device: int
) -> int:
    """Delete what hangs under the records deleted at `tick`, parents first; how many rows."""
    gone = Deletion(connection, user_id, tick, device)
    return sum(
        gone.of_children(table) + (gone.of_branches(table) if table.is_tree else 0)
        for table in tables
    )


@dataclass(frozen=True)
class Deletion:
    """The deletion of descendants, by one push."""

    connection: Connection
    user_id: str
    tick: int
    device: int

    def of_children(self, table: SyncedTable) -> int:
        """What belongs to records of other tables that were deleted at the tick."""
        count = 0
        for parent in table.parents:
            if parent.table != table.name:
                above = table.table.metadata.tables[parent.table].c
                gone = select(above.id).where(
                    above.user_id == self.user_id,
                    above.is_deleted.is_(True),
                    above.updated_at_ms == self.tick,
                )
                count += self._delete(table, table.table.c[parent.column].in_(gone))
        return count

    def of_branches(self, table: SyncedTable) -> int:
        """What belongs, at any depth, to deleted records of the same table. The tree is walked
        here: a statement for each level would read the deleted rows again each time."""
        c = table.table.c
        columns = [c[parent.column] for parent in table.parents if parent.table == table.name]
        query = select(c.id, c.is_deleted, *columns).where(
            c.user_id == self.user_id,
            or_(c.is_deleted.is_(False), c.updated_at_ms == self.tick),
        )
        below: dict[str, list[str]] = {}
        living: set[str] = set()
        fallen: list[str] = []
        for record_id, is_deleted, *named in self.connection.execute(query):
            for parent_id in filter(None, named):
                below.setdefault(parent_id, []).append(record_id)
            (fallen.append if is_deleted else living.add)(record_id)
        found: list[str] = []
        while fallen:
            for child in below.get(fallen.pop(), ()):
                if child in living:
                    living.discard(child)
                    found.append(child)
                    fallen.append(child)
        blocks = range(0, len(found), IDS_PER_STATEMENT)
        return sum(self._delete(table, c.id.in_(found[i : i + IDS_PER_STATEMENT])) for i in blocks)

    def _delete(self, table: SyncedTable, which: ColumnElement[bool]) -> int:
        c = table.table.c
        statement = (
            update(table.table)
            .where(c.user_id == self.user_id, c.is_deleted.is_(False), which)
            .values(
                updated_at_ms=self.tick,
                updated_by=self.device,
                rival_at_ms=self.tick,
                is_deleted=True,
            )
        )
        return int(self.connection.execute(statement).rowcount)


def delete_all(connection: Connection, tables: Iterable[SyncedTable], user_id: str) -> None:
    """Erase an account's records; no tombstone is left."""
    for table in tables:
        connection.execute(delete(table.table).where(table.table.c.user_id == user_id))
