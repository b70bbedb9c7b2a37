"""Which records that another device had made a device had of its own (contract pull 3); and which
have come back to a space where they were before, so that who never missed them has them still
(contract, Spaces 4)."""

import itertools
from collections.abc import Collection, Iterator, Mapping

import orjson
from sqlalchemy import Connection, bindparam, insert, literal_column, or_, select

from melon_api.models.synced import Adoption
from melon_api.storage.prepared import Prepared
from melon_api.sync.rules.history import NOBODY, Former, History, RecordKey

IDS_PER_ROW = 10_000  # of 36 characters, half of the smallest packet, 1 MB
RETURNS_PER_ROW = 4_000  # with three numbers each
_c = Adoption.__table__.c
_read = Prepared(
    select(_c.device, _c.adopted).where(
        _c.user_id == bindparam("user_id"),
        _c.clock > bindparam("since"),
        or_(_c.device == bindparam("device"), _c.device == literal_column(str(NOBODY))),
        _c.adopted.is_not(None),
    )
)
_append = Prepared(insert(Adoption.__table__))


def read(connection: Connection, user_id: str, device: int, since: int) -> frozenset[RecordKey]:
    """Those of the device's pushes after `since` (a clock in ms), and what has come back since to
    where the device had it."""
    rows = _read.rows(connection, user_id=user_id, since=since, device=device)
    return frozenset(
        (table, record_id)
        for whose, text in rows
        for table, ids in orjson.loads(text).items()
        for record_id in ids
        if whose != NOBODY or Former(*ids[record_id]).was_left_with(device, since)
    )


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
    connection: Connection,
    user_id: str,
    clock: int,
    device: int,
    adopted: set[RecordKey],
    returned: Mapping[RecordKey, Former],
) -> None:
    """Those of a push at this clock; `returned` concern every device.

    More of them than a packet may take go to rows of the clocks just before, which `next_tick` has
    left free: no device has seen one of them as a `timestamp`.
    """
    of_device = ((device, text) for text in _texts(adopted))
    of_all = ((NOBODY, text) for text in _return_texts(returned))
    for earlier, (whose, text) in enumerate(itertools.chain(of_device, of_all)):
        _append.change(
            connection,
            user_id=user_id,
            clock=clock - earlier,
            device=whose,
            session=None,
            as_sent=False,
            adopted=text,
        )


def rows_of(records: int, arrivals: int = 0) -> int:
    """How many rows a push of so many records takes at most, so many of which come from elsewhere
    (and are among what is pushed, or hang under it)."""
    returns = 1 + arrivals // RETURNS_PER_ROW if arrivals else 0
    return 1 + records // IDS_PER_ROW + returns


def _texts(adopted: Collection[RecordKey]) -> Iterator[str]:
    for places in _by_table(adopted, IDS_PER_ROW):
        yield orjson.dumps(places).decode()


def _return_texts(returned: Mapping[RecordKey, Former]) -> Iterator[str]:
    for places in _by_table(returned, RETURNS_PER_ROW):
        with_former = {t: {i: list(returned[t, i]) for i in ids} for t, ids in places.items()}
        yield orjson.dumps(with_former).decode()


def _by_table(keys: Collection[RecordKey], most: int) -> Iterator[dict[str, list[str]]]:
    """The ids of a row each, by table, in order."""
    ordered = sorted(keys)
    for start in range(0, len(ordered), most):
        places: dict[str, list[str]] = {}
        for table, record_id in ordered[start : start + most]:
            places.setdefault(table, []).append(record_id)
        yield places
