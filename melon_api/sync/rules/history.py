"""The pushes to an account, as one device sees them."""

from dataclasses import dataclass

from melon_api.sync.rules.walk import Scope

RecordKey = tuple[str, str]  # table, id


@dataclass(frozen=True)
class History:
    """The pushes to an account after `since`, as seen by `device`; `session`: who pushes, by it."""

    device: int
    since: int
    adopted: frozenset[RecordKey] = frozenset()
    up_to_date: bool = True  # nobody else pushed, and all of this session's was stored as sent
    session: int = 0  # 0: of a pull

    def has_had(self, table: str, record_id: str, created_at: int, created_by: int) -> bool:
        """Whether this device had a record made then by that device (contract pull 3)."""
        return (
            created_at <= self.since
            or created_by == self.device
            or (table, record_id) in self.adopted
        )

    def list_of(self, scope: Scope, record_id: str, created_at: int, created_by: int) -> str:
        """Where in its pull a living record stands; of a table that is new to the device, what is
        old is new to it (contract pull 3 and 5)."""
        if scope.is_first or (scope.is_new and created_at <= self.since):
            return "created"
        had = self.has_had(scope.table, record_id, created_at, created_by)
        return "updated" if had else "created"
