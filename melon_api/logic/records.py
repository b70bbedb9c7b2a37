"""What a rule is given: records as they will be, and as they were."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from melon_api.sync.rules.tables import Row, SyncedTable

if TYPE_CHECKING:
    from melon_api.logic.account import Account


class Record:
    """A record of the account, by its columns' names: `record["title"]` as it will be, or of one
    that is deleted as it was. To set one changes it for every device, the pushing one too."""

    __slots__ = ("_account", "_before", "_row", "_table")

    def __init__(
        self, account: Account, table: SyncedTable, row: Row, before: dict[str, Any]
    ) -> None:
        self._account, self._table, self._row, self._before = account, table, row, before

    @property
    def id(self) -> str:
        return self._row.id

    @property
    def before(self) -> Mapping[str, Any]:
        """What is stored, until this push is; nothing of a record that is new."""
        return MappingProxyType(self._before)

    @property
    def is_deleted(self) -> bool:
        return self._row.deleted

    def __getitem__(self, column: str) -> Any:
        return self._row.values[column]

    def __setitem__(self, column: str, value: Any) -> None:
        self.update({column: value})

    def update(self, values: Mapping[str, Any]) -> None:
        """Set these columns. Raises ValueError for what a column cannot hold, a parent that is not
        there, a record that is deleted."""
        self._account.change(self._table, self._row, values)

    def delete(self) -> None:
        """And what hangs under it (contract push 4), for every device."""
        self._account.remove(self._table, self._row)

    def refuse(self, text: str, column: str | None = None) -> None:
        """The push is 422 `refused`, with this text for the person at the record's place; with
        allowPartial the record alone, and what hangs under it, is not stored."""
        self._account.refuse(self._table, self._row, text, column)

    def __repr__(self) -> str:
        return f"<{self._table.model} {self.id}>"


class Changes:
    """What a push does to the records of one table, after it was merged with what other devices
    did, and with what the rules before this one made of it."""

    def __init__(
        self,
        account: Account,
        created: list[Record],
        updated: list[Record],
        deleted: list[Record],
    ) -> None:
        self.account = account
        self.created, self.updated = created, updated
        self.deleted = deleted  # with those that go because their parents do

    @property
    def saved(self) -> list[Record]:
        return self.created + self.updated

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.deleted)
