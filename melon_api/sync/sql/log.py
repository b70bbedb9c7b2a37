"""The log of pushes, as one device needs it, and the number of a session's newest.

The log answers two questions: is the pushing device up to date (contract push 7), and which records
that another one had created did this device have of its own (pull 3).
"""

import orjson
from sqlalchemy import Connection, bindparam, insert, select, update

from melon_api.errors import PushOutdated, TokenRevoked
from melon_api.models.session import Session
from melon_api.models.synced import SyncPush
from melon_api.storage.prepared import Prepared
from melon_api.sync.rules.history import History, RecordKey

_log = SyncPush.__table__.c
_read = Prepared(
    select(_log.device, _log.session, _log.as_sent, _log.adopted).where(
        _log.user_id == bindparam("user_id"), _log.clock > bindparam("since")
    )
)
_append = Prepared(insert(SyncPush.__table__))
_session = Session.id == bindparam("session_id")
_raise_number = Prepared(
    update(Session)
    .where(_session, Session.push_number < bindparam("number"))
    .values(push_number=bindparam("number"))
)
_number = Prepared(select(Session.push_number).where(_session))


def read(
    connection: Connection, user_id: str, device: int, since: int, session: int = 0
) -> History:
    """One statement, over the pushes after `since` alone; `session`: of the push that asks."""
    adopted, up_to_date = set[RecordKey](), True
    for who, by, as_sent, places in _read.execute(connection, user_id=user_id, since=since):
        up_to_date = up_to_date and by == session and bool(as_sent)
        if places and who == device:
            adopted.update((table, i) for table, ids in orjson.loads(places).items() for i in ids)
    return History(device, since, frozenset(adopted), up_to_date, session)


def is_logged(connection: Connection, user_id: str, clock: int, session: int) -> bool:
    """Whether this session's push of that clock is in the log."""
    query = select(_log.session).where(_log.user_id == user_id, _log.clock == clock)
    return connection.scalar(query) == session


def raise_number(connection: Connection, session_id: str, number: int) -> None:
    """Note the number of a session's push, in its transaction, which holds the account; the newest
    one again is the same push again. Raises PushOutdated for an older one (contract push 8)."""
    raised = _raise_number.execute(connection, session_id=session_id, number=number)
    if raised.rowcount:
        return
    newest = newest_number(connection, session_id)
    if newest > number:
        raise PushOutdated(errors={"pushNumber": newest})


def newest_number(connection: Connection, session_id: str) -> int:
    """Of the pushes that are stored, or 0. Raises TokenRevoked when the session is gone."""
    newest = _number.execute(connection, session_id=session_id).scalar_one_or_none()
    if newest is None:
        raise TokenRevoked
    return int(newest)


def append(
    connection: Connection,
    user_id: str,
    clock: int,
    history: History,
    as_sent: bool,
    new: set[RecordKey],
) -> None:
    """Log a push that moved the clock; `new`: what its device had although another one made it."""
    places: dict[str, list[str]] = {}
    for table, record_id in sorted(new):
        places.setdefault(table, []).append(record_id)
    _append.execute(
        connection,
        user_id=user_id,
        clock=clock,
        device=history.device,
        session=history.session,
        as_sent=as_sent,
        adopted=orjson.dumps(places).decode() if places else None,
    )
