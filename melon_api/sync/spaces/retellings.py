"""What an account is told again: the push of a device brought what it may not store (contract,
Spaces 2 and 5)."""

from collections.abc import Iterable

from sqlalchemy import Connection, func, insert, select

from melon_api.models.space import Retelling
from melon_api.sync.rules.history import RecordKey

IDS_PER_STATEMENT = 1_000
_c = Retelling.__table__.c


def write(connection: Connection, user_id: str, tick: int, keys: Iterable[RecordKey]) -> None:
    """At a tick of the account, which is locked."""
    fixed = {"user_id": user_id, "timestamp": tick}
    rows = [fixed | {"tablename": table, "id": record_id} for table, record_id in sorted(set(keys))]
    if rows:
        connection.execute(insert(Retelling), rows)


def since(connection: Connection, user_id: str, timestamp: int, until: int) -> list[RecordKey]:
    """What is to be told to a device that has pulled at this timestamp, in order, each once."""
    mine = (_c.user_id == user_id, _c.timestamp > timestamp, _c.timestamp <= until)
    query = select(_c.tablename, _c.id).where(*mine).group_by(_c.tablename, _c.id)
    return sorted((table, record_id) for table, record_id in connection.execute(query))


def known(connection: Connection, user_id: str, table: str, ids: Iterable[str]) -> set[str]:
    """Which of these were not stored once: to this account they are deleted."""
    wanted = sorted(set(ids))
    found: set[str] = set()
    for start in range(0, len(wanted), IDS_PER_STATEMENT):
        some = _c.id.in_(wanted[start : start + IDS_PER_STATEMENT])
        mine = (_c.user_id == user_id, _c.tablename == table, some)
        found.update(connection.scalars(select(_c.id).where(*mine).distinct()))
    return found


def forget(connection: Connection, user_id: str, before: int) -> int:
    """Those of before this tick; the newest tick among them, 0 for none."""
    mine = (_c.user_id == user_id, _c.timestamp < before)
    newest = connection.scalar(select(func.max(_c.timestamp)).where(*mine))
    if newest:
        connection.execute(Retelling.__table__.delete().where(*mine))
    return int(newest or 0)
