"""The records of one account, for the app's own code: whatever it asks for, no other account's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Delete,
    Executable,
    Insert,
    Result,
    Update,
    and_,
    select,
)
from sqlalchemy.orm import with_loader_criteria

from melon_api.logic import statements
from melon_api.logic.records import Changes, Record
from melon_api.models.base import Base, new_id
from melon_api.models.space import CATALOGUE
from melon_api.models.synced import Catalogue, Synced
from melon_api.models.user import User
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.history import SERVER
from melon_api.sync.rules.tables import ID

if TYPE_CHECKING:
    from melon_api.logic.desk import Desk
    from melon_api.sync.rules.tables import Row, SyncedTable


class Account:
    """`id` is the account's, or that of the shared space whose records these are; `member_id` the
    account's that pushes, None for the server. `session_id`, `app_version`: of the push, as far as
    it says so."""

    def __init__(
        self,
        desk: Desk,
        session_id: str | None,
        app_version: str | None,
        member_id: str | None = None,
    ) -> None:
        self._desk, self.id, self.member_id = desk, desk.user_id, member_id
        self.session_id, self.app_version = session_id, app_version

    @property
    def is_server(self) -> bool:
        """Whether it is the app's own code that changes records, and not a phone."""
        return self._desk.merge.history.device == SERVER

    # --- to look

    def get(self, model: type[Any], ids: Iterable[str | None]) -> dict[str, Record]:
        """The living records of these ids, as the push leaves them; one statement for all."""
        table, wanted = self._table(model), {i for i in ids if i}
        self._desk.load(table, wanted)
        here = self._desk.merge.stored[table.name]
        rows = (here.get(i) for i in wanted)
        return {row.id: self._record(table, row) for row in rows if row and not row.deleted}

    def select(self, model: type[Any], *where: Any) -> list[Record]:
        """The living records that are so in the database, in the order of their ids. What the push
        itself makes or changes is not there yet; what it deletes is left out."""
        ids = list(self.execute(select(model.id).where(*where).order_by(model.id)).scalars())
        found = self.get(model, ids)
        return [found[i] for i in ids if i in found]

    def scalar(self, statement: Executable) -> Any:
        """The first value of a `select` of models, as of before this push; None where there is
        none: `account.scalar(select(func.max(Invoice.number)))`."""
        return self.execute(statement).scalar()

    def execute(self, statement: Executable) -> Result[Any]:
        """A `select` of models, as of before this push: of what syncs it sees this account's living
        records, of other tables with a `user_id` this account's rows. An `insert`, `update` or
        `delete` of a table that does not sync, of this account's rows where it has a `user_id`.

        Raises ValueError for what could see another account's."""
        if isinstance(statement, Insert | Update | Delete):
            return self._desk.execute(statements.own_change(statement, self.id, self._tables))
        statements.check_select(statement)
        return self._desk.execute(statement.options(*self._scope))

    # --- to change

    def save(self, model: type[Any], *records: Mapping[str, Any]) -> list[Record]:
        """Make records, or change those whose `id` is there, for every device; what they do not
        have starts empty, or stays. A deleted id stays deleted, and is left out of the answer.
        Raises ValueError for what cannot be kept as it is."""
        table = self._table(model)
        given: dict[str, dict[str, Any]] = {}
        for record in records:
            given.setdefault(_id(record), {}).update(record)
        self._desk.load(table, given)
        for parent in table.parents:
            named = {record.get(parent.column) for record in records}
            self._desk.load(self._tables[parent.table], {i for i in named if isinstance(i, str)})
        here = self._desk.merge.stored[table.name]
        for record_id, record in given.items():
            if record_id not in here or not here[record_id].deleted:
                values = {name: value for name, value in record.items() if name != "id"}
                self._desk.write(table, record_id, values)
        return [self._record(table, here[i]) for i in given if not here[i].deleted]

    # --- for Record

    def change(self, table: SyncedTable, row: Row, values: Mapping[str, Any]) -> None:
        if row.deleted:
            raise ValueError(f"{table.name} {row.id!r} is deleted")
        self._desk.write(table, row.id, values)

    def remove(self, table: SyncedTable, row: Row) -> None:
        self._desk.remove(table, row)

    def refuse(self, table: SyncedTable, row: Row, text: str, column: str | None) -> None:
        if column is not None and column not in table.column_names:
            raise ValueError(f"{table.name} has no column {column!r}")
        self._desk.refuse(table, row.id, [text] if column is None else {column: [text]})

    # --- for the push

    def changes(self, table: SyncedTable) -> Changes:
        """What the push does to a table, as things stand."""
        created, updated, deleted = [], [], []
        before = self._desk.before[table.name]
        for row in self._desk.merge.stored[table.name].values():
            if row.deleted:
                if row.id in before:
                    deleted.append(self._record(table, row))
            elif row.is_new:
                created.append(self._record(table, row))
            elif row.is_changed and row.values != before[row.id]:
                updated.append(self._record(table, row))
        return Changes(self, created, updated, deleted)

    # ---

    @cached_property
    def _tables(self) -> dict[str, SyncedTable]:
        return self._desk.tables

    def _table(self, model: type[Any]) -> SyncedTable:
        for table in self._tables.values():
            if table.table is model.__table__:
                return table
        raise ValueError(f"{model.__name__} does not sync")

    def _record(self, table: SyncedTable, row: Row) -> Record:
        return Record(self, table, row, self._desk.before[table.name].get(row.id, {}))

    @cached_property
    def _scope(self) -> list[Any]:
        """What narrows a select, wherever in it a model stands."""
        return [
            with_loader_criteria(model, condition, include_aliases=True)
            for model, condition in self._conditions()
        ]

    def _conditions(self) -> Iterator[tuple[type[Any], Any]]:
        for mapper in Base.registry.mappers:
            model: Any = mapper.class_
            if issubclass(model, Synced):
                whose = CATALOGUE if issubclass(model, Catalogue) else self.id
                yield model, and_(model.user_id == whose, model.is_deleted.is_(False))
            elif model is User:
                yield model, User.id == (self.member_id or self.id)
            elif "user_id" in mapper.local_table.c:  # whatever its attribute is called
                owner = mapper.get_property_by_column(mapper.local_table.c.user_id)
                yield model, getattr(model, owner.key) == self.id


def _id(record: Mapping[str, Any]) -> str:
    record_id = record.get("id", new_id())
    if not isinstance(record_id, str) or not ID.match(record_id):
        raise ValueError(f"{record_id!r}: {BAD_ID[0]}")
    return record_id
