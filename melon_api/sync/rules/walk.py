"""A pull and how far it has come."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import NamedTuple

LAST_PART = 3  # of spaces/parts.py


@dataclass(frozen=True)
class Migration:
    """What the app's own database has just added (contract pull 5)."""

    tables: frozenset[str] = frozenset()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        return bool(self.tables or self.columns)


class Scope(NamedTuple):
    """What a pull includes of a table: all that lives (`is_first`), or what changed and beside it
    `adds`: the records that hold something in these columns, or all that live where it is empty.

    `is_new`: the app has just added the table, and the device has only its own (contract pull 5).
    """

    table: str
    is_first: bool = False
    adds: frozenset[str] | None = None
    is_new: bool = False


@dataclass(frozen=True)
class Walk:
    """A pull and how far it has come: next is the record behind `after` in `table`, and of an
    account with more spaces than its own, in this `part` (spaces/parts.py); `is_short`: a space was
    left out, as the account had left it between the pages.

    `since` and `timestamp` are clocks in ms, the latter that of the first page's snapshot.
    """

    since: int
    timestamp: int
    is_replacement: bool = False
    migration: Migration = field(default_factory=Migration)
    table: str | None = None
    after: str = ""
    part: tuple[int, str] = (0, "")
    is_short: bool = False

    @property
    def is_delta(self) -> bool:
        """Whether it includes nothing but what came after `since`."""
        return not (self.is_replacement or self.migration.is_any)

    @property
    def is_idle(self) -> bool:
        """Whether nothing can have changed, so that no table need be read."""
        return self.since == self.timestamp and self.is_delta

    def scope(self, table: str, columns: Set[str]) -> Scope:
        """Of a table that has these columns (contract pull 2, 5 and 7)."""
        is_new = table in self.migration.tables
        if not self.since:
            return Scope(table, is_first=True)
        if self.is_replacement or is_new:
            return Scope(table, adds=frozenset(), is_new=is_new)
        added = columns & set(self.migration.columns.get(table, ()))
        return Scope(table, adds=frozenset(added) or None)


@dataclass(frozen=True)
class PullRequest:
    """`since`: lastPulledAt in ms, 0 on a first sync. `limit` is of records and deletions, None
    without paging; `walk` is what a cursor stands for; `replacement` asks for the full set."""

    since: int
    migration: Migration = field(default_factory=Migration)
    limit: int | None = None
    walk: Walk | None = None
    replacement: bool = False

    @property
    def is_paged(self) -> bool:
        return self.limit is not None or self.walk is not None
