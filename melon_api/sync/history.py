"""The log of pushes, as one device needs it.

It answers three questions: did this device create a record itself (contract pull 3), did another
device change it (push 3), is the pushing device up to date (push 7).
"""

from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, insert, select

from melon_api.models.synced import SyncPush

Place = tuple[str, str]  # table, id

_log = SyncPush.__table__.c


@dataclass(frozen=True)
class History:
    """The pushes to an account after `since`, as seen by `device`."""

    device: str
    since: int
    devices: dict[int, str] = field(default_factory=dict)  # clock -> who
    adopted: frozenset[Place] = frozenset()
    up_to_date: bool = True  # nobody else pushed, and all of this device's was stored as sent

    def is_own(self, clock: int) -> bool:
        """Whether this device moved the clock there (after `since`)."""
        return self.devices.get(clock) == self.device

    def has_had(self, table: str, record_id: str, created_at: int) -> bool:
        """Whether this device had a record that is there since `created_at` (contract pull 3)."""
        return (
            created_at <= self.since
            or self.is_own(created_at)
            or (table, record_id) in self.adopted
        )


def read(connection: Connection, user_id: str, device: str, since: int) -> History:
    """One statement, over the pushes after `since` alone."""
    query = select(_log.clock, _log.device, _log.as_sent, _log.adopted).where(
        _log.user_id == user_id, _log.clock > since
    )
    devices, adopted, up_to_date = {}, set[Place](), True
    for clock, who, as_sent, places in connection.execute(query):
        devices[clock] = who
        up_to_date = up_to_date and who == device and bool(as_sent)
        if places and who == device:
            adopted.update((table, i) for table, ids in orjson.loads(places).items() for i in ids)
    return History(device, since, devices, frozenset(adopted), up_to_date)


def append(
    connection: Connection, user_id: str, clock: int, device: str, as_sent: bool, new: set[Place]
) -> None:
    """Log a push that moved the clock; `new`: what its device had although another one made it."""
    places: dict[str, list[str]] = {}
    for table, record_id in sorted(new):
        places.setdefault(table, []).append(record_id)
    entry = {
        "user_id": user_id,
        "clock": clock,
        "device": device,
        "as_sent": as_sent,
        "adopted": orjson.dumps(places).decode() if places else None,
    }
    connection.execute(insert(SyncPush.__table__), entry)
