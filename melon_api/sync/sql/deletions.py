"""What a deletion does to what hangs under it (contract push 4), in sets; and all of an account."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, case, delete, or_, select, true, update

from melon_api.sync.rules.tables import Parent, SyncedTable, Tables
from melon_api.sync.sql.rows import IDS_PER_STATEMENT


def delete_descendants(
    connection: Connection, tables: Tables, user_id: str, tick: int, session: int
) -> int:
    """What the records deleted at `tick` do to those that belong to them, parents first; how many
    rows it changed."""
    gone = Deletion(connection, tables, user_id, tick, session)
    return sum(
        gone.of_children(table) + gone.of_branches(table) + gone.of_references(table)
        for table in tables.values()
    )


@dataclass(frozen=True)
class Deletion:
    """The deletion of descendants, by one push."""

    connection: Connection
    tables: Tables
    user_id: str
    tick: int
    session: int

    def of_children(self, table: SyncedTable) -> int:
        """What belongs to records of other tables that were deleted at the tick."""
        return sum(
            self._delete(table, table.column(parent.column).in_(self._gone(parent)))
            for parent in _cascading(table)
            if parent.table != table.name
        )

    def of_all(self, table: SyncedTable) -> int:
        """All that live."""
        return self._delete(table, true())

    def of_references(self, table: SyncedTable) -> int:
        """References to deleted records become null, where the model says so."""
        return sum(self._clear(table, parent) for parent in table.cleared)

    def of_branches(self, table: SyncedTable) -> int:
        """What belongs, at any depth, to deleted records of the same table. The tree is walked
        here: a statement for each level would read the deleted rows again each time."""
        c = table.table.c
        columns = [
            table.column(parent.column)
            for parent in _cascading(table)
            if parent.table == table.name
        ]
        if not columns:
            return 0
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

    def _gone(self, parent: Parent) -> Select[tuple[str]]:
        """The ids of the parents that were deleted at the tick."""
        above = self.tables[parent.table].table.c
        return select(above.id).where(
            above.user_id == self.user_id,
            above.is_deleted.is_(True),
            above.updated_at_ms == self.tick,
        )

    def _clear(self, table: SyncedTable, parent: Parent) -> int:
        """A change by this device, as the merge's are. `rival_at_ms` first: MySQL and MariaDB
        assign in order, and it takes what the others were."""
        c, reference = table.table.c, table.column(parent.column)
        gone = self._gone(parent)
        if parent.table == table.name:  # which MySQL does not let an UPDATE read; a copy it does
            gone = select(gone.distinct().subquery().c.id)
        rival = case((c.updated_by != self.session, c.updated_at_ms), else_=c.rival_at_ms)
        statement = (
            update(table.table)
            .where(c.user_id == self.user_id, c.is_deleted.is_(False), reference.in_(gone))
            .ordered_values(
                (c.rival_at_ms, rival),
                (c.updated_at_ms, self.tick),
                (c.updated_by, self.session),
                (reference, None),
            )
        )
        return int(self.connection.execute(statement).rowcount)

    def _delete(self, table: SyncedTable, which: ColumnElement[bool]) -> int:
        c = table.table.c
        statement = (
            update(table.table)
            .where(c.user_id == self.user_id, c.is_deleted.is_(False), which)
            .values(
                updated_at_ms=self.tick,
                updated_by=self.session,
                rival_at_ms=self.tick,
                is_deleted=True,
            )
        )
        return int(self.connection.execute(statement).rowcount)


def _cascading(table: SyncedTable) -> list[Parent]:
    return [parent for parent in table.parents if parent.on_delete == "cascade"]


def delete_all(connection: Connection, tables: Iterable[SyncedTable], user_id: str) -> None:
    """Erase an account's records; no tombstone is left."""
    for table in tables:
        connection.execute(delete(table.table).where(table.table.c.user_id == user_id))


def mark_all_deleted(
    connection: Connection, tables: Tables, space_id: str, tick: int, session: int
) -> int:
    """A tombstone of each living record of a space that ends; how many."""
    gone = Deletion(connection, tables, space_id, tick, session)
    return sum(gone.of_all(table) for table in tables.values())
