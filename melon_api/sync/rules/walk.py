"""A pull and how far it has come."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Migration:
    """What the app's own database has just added (contract pull 5)."""

    tables: frozenset[str] = frozenset()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        return bool(self.tables or self.columns)


@dataclass(frozen=True)
class Walk:
    """A pull and how far it has come: next is the record behind `after` in `table`.

    `since` and `timestamp` are clocks in ms, the latter that of the first page's snapshot.
    """

    since: int
    timestamp: int
    is_replacement: bool = False
    migration: Migration = field(default_factory=Migration)
    table: str | None = None
    after: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing can have changed, so that no table need be read."""
        asks_more = self.is_replacement or self.migration.is_any
        return self.since == self.timestamp and not asks_more


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
