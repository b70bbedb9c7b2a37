"""The pushes to an account, as one device sees them. Pure."""

from dataclasses import dataclass

RecordKey = tuple[str, str]  # table, id


@dataclass(frozen=True)
class History:
    """The pushes to an account after `since`, as seen by `device`."""

    device: int
    since: int
    adopted: frozenset[RecordKey] = frozenset()
    up_to_date: bool = True  # nobody else pushed, and all of this device's was stored as sent

    def has_had(self, table: str, record_id: str, created_at: int, created_by: int) -> bool:
        """Whether this device had a record made then by that device (contract pull 3)."""
        return (
            created_at <= self.since
            or created_by == self.device
            or (table, record_id) in self.adopted
        )
