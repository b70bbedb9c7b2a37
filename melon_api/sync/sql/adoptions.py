"""Which records that another device had made a device had of its own (contract pull 3)."""

from collections.abc import Iterator

import orjson
from sqlalchemy import Connection, bindparam, insert, select

from melon_api.models.synced import Adoption
from melon_api.storage.prepared import Prepared
from melon_api.sync.rules.history import History, RecordKey

IDS_PER_ROW = 10_000  # of 36 characters, half of the smallest packet, 1 MB
_c = Adoption.__table__.c
_read = Prepared(
    select(_c.adopted).where(
        _c.user_id == bindparam("user_id"),
        _c.clock > bindparam("since"),
        _c.device == bindparam("device"),
        _c.adopted.is_not(None),
    )
)
_append = Prepared(insert(Adoption.__table__))


def read(connection: Connection, user_id: str, device: int, since: int) -> frozenset[RecordKey]:
    """Those of the device's pushes after `since` (a clock in ms)."""
    texts = _read.values(connection, user_id=user_id, since=since, device=device)
    places = (place for text in texts for place in orjson.loads(text).items())
    return frozenset((table, record_id) for table, ids in places for record_id in ids)


def history(
    connection: Connection, user_id: str, device: int, since: int, session: int, *, has_all: bool
) -> History:
    """The pushes into a space after `since`, for who pushes; where the session `has_all` of them,
    nothing is read."""
    if has_all:
        return History(device, since, session=session)
    adopted = read(connection, user_id, device, since)
    return History(device, since, adopted, up_to_date=False, session=session)


def append(
    connection: Connection, user_id: str, clock: int, device: int, adopted: set[RecordKey]
) -> None:
    """Those of a push at this clock.

    More of them than a packet may take go to rows of the clocks just before, which `next_tick` has
    left free: no device has seen one of them as a `timestamp`.
    """
    for earlier, text in enumerate(_texts(adopted)):
        _append.change(
            connection,
            user_id=user_id,
            clock=clock - earlier,
            device=device,
            session=None,
            as_sent=False,
            adopted=text,
        )


def rows_of(records: int) -> int:
    """How many rows a push of so many records takes at most."""
    return 1 + records // IDS_PER_ROW


def _texts(keys: set[RecordKey]) -> Iterator[str]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), IDS_PER_ROW):
        places: dict[str, list[str]] = {}
        for table, record_id in ordered[start : start + IDS_PER_ROW]:
            places.setdefault(table, []).append(record_id)
        yield orjson.dumps(places).decode()
