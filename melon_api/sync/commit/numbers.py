"""The number of a session's newest push (contract push 8)."""

from sqlalchemy import Connection, bindparam, select, update

from melon_api.errors import PushOutdated, TokenRevoked
from melon_api.models.session import Session
from melon_api.storage.prepared import Prepared

_session = Session.id == bindparam("session_id")
_raise = Prepared(
    update(Session)
    .where(_session, Session.push_number < bindparam("number"))
    .values(push_number=bindparam("number"))
)
_newest = Prepared(select(Session.push_number).where(_session))


def raise_to(connection: Connection, session_id: str, number: int) -> None:
    """Note the number of a session's push, in its transaction, which holds the account; the newest
    one again is the same push again. Raises PushOutdated for an older one."""
    if _raise.change(connection, session_id=session_id, number=number):
        return
    known = newest(connection, session_id)
    if known > number:
        raise PushOutdated(errors={"pushNumber": known})


def newest(connection: Connection, session_id: str) -> int:
    """Of the pushes that are stored, or 0. Raises TokenRevoked when the session is gone."""
    number = _newest.value(connection, session_id=session_id)
    if number is None:
        raise TokenRevoked
    return int(number)
