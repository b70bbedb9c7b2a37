"""What is wrong with a push, collected: one answer names it all (contract, Errors)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from melon_api.errors import (
    DomainError,
    SyncConflict,
    UnknownParent,
    UnknownTable,
    ValidationFailed,
)

if TYPE_CHECKING:
    from melon_api.sync.push_body import Place

CONFLICT = ["Another device changed this record after lastPulledAt; pull, then push again."]


class Problems:
    """The refused records of one push, by place and by id."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}
        self.rejected: dict[str, dict[str, None]] = {}
        self.conflicts: dict[str, dict[str, None]] = {}
        self._kinds: set[type[DomainError]] = set()

    def copy(self) -> Problems:
        """What was found without the database; the start of every try of the transaction."""
        twin = Problems()
        twin.errors = {t: _copied(lists) for t, lists in self.errors.items()}
        twin.rejected = {t: dict(ids) for t, ids in self.rejected.items()}
        twin._kinds = set(self._kinds)
        return twin

    def unknown_table(self, name: str, ids: list[str]) -> None:
        self._kinds.add(UnknownTable)
        self.errors[name] = ["There is no such table."]
        self.rejected[name] = dict.fromkeys(ids)

    def invalid(self, place: Place, messages: dict[str, Any] | list[str]) -> None:
        self._kinds.add(ValidationFailed)
        self._reject(place, messages)

    def unknown_parent(self, place: Place, column: str, message: str) -> None:
        self._kinds.add(UnknownParent)
        self._reject(place, {column: [message]})

    def conflict(self, place: Place) -> None:
        self.conflicts.setdefault(place.table, {})[place.id] = None
        self._reject(place, CONFLICT)

    def is_rejected(self, table: str, record_id: str) -> bool:
        return record_id in self.rejected.get(table, ())

    def raise_gravest(self) -> None:
        """One error for all of them: unknown_table, validation_failed, unknown_parent; else 409."""
        for kind in (UnknownTable, ValidationFailed, UnknownParent):
            if kind in self._kinds:
                raise _raised(kind, {"changes": self.errors})
        if self.conflicts:
            conflicts = {table: list(ids) for table, ids in self.conflicts.items()}
            raise SyncConflict(
                "Another device changed some of it; pull, then push again.", conflicts
            )

    def _reject(self, place: Place, messages: dict[str, Any] | list[str]) -> None:
        if place.id:
            self.rejected.setdefault(place.table, {})[place.id] = None
        at = self.errors.setdefault(place.table, {}).setdefault(place.list, {})
        known = at.get(str(place.index))
        if isinstance(known, dict) and isinstance(messages, dict):
            messages = known | messages
        at[str(place.index)] = messages


def _copied(lists: Any) -> Any:
    if not isinstance(lists, dict):
        return lists
    return {key: dict(places) for key, places in lists.items()}


def _raised(kind: type[DomainError], errors: dict[str, Any]) -> DomainError:
    if kind is ValidationFailed:
        return ValidationFailed(errors, "Some records cannot be kept whole; nothing was stored.")
    return kind("Some of it cannot be stored; nothing was.", errors)
