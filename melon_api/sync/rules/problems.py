"""What is wrong with a push, collected: one answer names it all (contract, Errors 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from melon_api.errors import (
    DomainError,
    Forbidden,
    IdTaken,
    Refused,
    SyncConflict,
    UnknownParent,
    UnknownSpace,
    UnknownTable,
    ValidationFailed,
)

CONFLICT = ["Another device changed this record after lastPulledAt; pull, then push again."]
Messages = dict[str, Any] | list[str]
Kind = type[DomainError]
# The gravest first (contract, Errors 4).
GRAVITY: tuple[Kind, ...] = (
    UnknownTable,
    ValidationFailed,
    Refused,
    UnknownSpace,
    UnknownParent,
    SyncConflict,
)
# What is not stored and told again, and no error (contract, Spaces 2 and 5).
WITHHELD: dict[Kind, str] = {
    Forbidden: "Your role in this space does not allow it, or you are no member of it any more.",
    IdTaken: "This space has another record of that id.",
    Refused: "Something that belongs to it was refused, so it stays where it was.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the body a record or an id stands."""

    table: str
    list: str
    index: int
    id: str


class Problems:
    """The refused records of one push, by place and by id."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}  # the 422s, by place below `changes`
        self.beside: dict[str, Any] = {}  # those of the body's other fields, by place
        self.conflicts: dict[str, dict[str, None]] = {}  # the 409s, by table and id
        self.rejected: dict[str, dict[str, Kind]] = {}  # both, by table and id; the gravest of each
        self._soft_places: dict[str, Any] = {}  # what is no 422, by place below `changes`
        self._kinds: set[Kind] = set()

    def __bool__(self) -> bool:
        return bool(self.errors or self.rejected or self.beside)

    def copy(self) -> Problems:
        """What was found without the database; the start of every try of the transaction."""
        return deepcopy(self) if self else Problems()

    def add_beside(self, errors: Mapping[str, Any]) -> None:
        """Of what is no record: the push is refused with it, a partial one too."""
        self._kinds.add(ValidationFailed)
        self.beside |= errors

    def unknown_table(self, name: str, ids: list[str]) -> None:
        self._kinds.add(UnknownTable)
        self.errors[name] = ["There is no such table."]
        self.rejected[name] = dict.fromkeys(ids, UnknownTable)

    def invalid_table(self, name: str, messages: Messages) -> None:
        """What is there instead of lists holds no records that could be named."""
        self._kinds.add(ValidationFailed)
        self.errors[name] = messages

    def invalid(self, place: Place, messages: Messages) -> None:
        self._kinds.add(ValidationFailed)
        self._reject(place, ValidationFailed)
        _note(self.errors, place, messages)

    def refuse(self, place: Place, messages: Messages) -> None:
        """By a rule of the app."""
        self._kinds.add(Refused)
        self._reject(place, Refused)
        _note(self.errors, place, messages)

    def unknown_parent(self, place: Place, column: str, message: str) -> None:
        self._kinds.add(UnknownParent)
        self.orphan(place)
        _note(self.errors, place, {column: [message]})

    def unknown_space(self, place: Place, column: str, space_id: str) -> None:
        self._kinds.add(UnknownSpace)
        self._reject(place, UnknownSpace)
        _note(self.errors, place, {column: [f"You are in no space {space_id!r}."]})

    def withhold(self, place: Place, kind: Kind) -> None:
        """Not stored, and told again, which is no error (WITHHELD)."""
        self.rejected.setdefault(place.table, {}).setdefault(place.id, kind)
        _note(self._soft_places, place, [WITHHELD[kind]])

    def take_over(self, place: Place, other: Problems) -> None:
        """What another try has found at a place."""
        kind = other.rejected[place.table][place.id]
        if kind is SyncConflict:
            self.conflict(place)
            return
        self._kinds.add(kind)
        self._reject(place, kind)
        lists = other.errors.get(place.table, {})
        if messages := lists.get(place.list, {}).get(str(place.index)):
            _note(self.errors, place, messages)

    def conflict(self, place: Place) -> None:
        self._reject(place, SyncConflict)
        self.conflicts.setdefault(place.table, {})[place.id] = None
        _note(self._soft_places, place, CONFLICT)

    def orphan(self, place: Place) -> None:
        """Refused with its parent, and accused of nothing itself."""
        self._reject(place, UnknownParent)

    def _reject(self, place: Place, kind: Kind) -> None:
        if place.id:
            of_table = self.rejected.setdefault(place.table, {})
            known = of_table.get(place.id, kind)
            of_table[place.id] = min(known, kind, key=_gravity)

    def codes(self) -> dict[str, dict[str, str]]:
        """{table: {id: code}} of the refused (contract push 6)."""
        return {
            table: {record_id: kind.code for record_id, kind in kinds.items()}
            for table, kinds in self.rejected.items()
        }

    def counts(self) -> dict[str, int]:
        """{code: how many} of the refused."""
        kinds = (kind for of_table in self.rejected.values() for kind in of_table.values())
        return dict(Counter(kind.code for kind in kinds))

    def is_rejected(self, table: str, record_id: str) -> bool:
        return record_id in self.rejected.get(table, ())

    def raise_gravest(self) -> None:
        """One error for all of them, the gravest 422; where there is none, the 409."""
        for kind in GRAVITY[:-1]:
            if kind in self._kinds:
                changes = {"changes": self.errors} if self.errors else {}
                raise _raised(kind, changes | self.beside)
        if self.conflicts:
            conflicts = {table: list(ids) for table, ids in self.conflicts.items()}
            raise SyncConflict(errors=conflicts)

    def by_place(self) -> dict[str, Any]:
        """All of them, for the answer of a partial push."""
        places = deepcopy(self._soft_places)
        for table, lists in self.errors.items():
            if isinstance(lists, dict):
                for key, found in lists.items():
                    into = places.setdefault(table, {}).setdefault(key, {})
                    into |= found if isinstance(found, dict) else {"": found}
            else:
                places[table] = lists
        return {"changes": places} if places else {}


def _gravity(kind: Kind) -> int:
    return GRAVITY.index(kind) if kind in GRAVITY else len(GRAVITY)


def _note(errors: dict[str, Any], place: Place, messages: Messages) -> None:
    at = errors.setdefault(place.table, {}).setdefault(place.list, {})
    known = at.get(str(place.index))
    at[str(place.index)] = messages if known is None else _joined(known, messages)


def _joined(one: Messages, other: Messages) -> Messages:
    """Both of what is said of one place; of the same column, each sentence once."""
    if isinstance(one, list) and isinstance(other, list):
        return [*dict.fromkeys([*one, *other])]
    whole, more = ({"": said} if isinstance(said, list) else said for said in (one, other))
    shared = {name: _joined(whole[name], more[name]) for name in whole.keys() & more.keys()}
    return whole | more | shared


def _raised(kind: Kind, errors: dict[str, Any]) -> DomainError:
    if kind is ValidationFailed and "changes" in errors:
        return ValidationFailed(errors, "Some records cannot be kept whole; nothing was stored.")
    return ValidationFailed(errors) if kind is ValidationFailed else kind(errors=errors)
