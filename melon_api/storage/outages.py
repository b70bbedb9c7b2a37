"""Whether the database is away or busy, by the number that its driver gives."""

from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# MySQL: too many connections, shutdown, cannot connect, gone away, lost, lock wait, read-only,
# deadlock, node not ready (Galera), a statement that took too long (1969 MariaDB, 3024 MySQL)
OUTAGES = {1020, 1040, 1047, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1836, 1927}
OUTAGES |= {0, 1226, 1317, 1969, 2002, 2003, 2006, 2013, 2055, 3024}  # 0: the connection is closed
SQLITE_OUTAGES = ("database is locked", "unable to open", "disk i/o error", "database is full")


def is_outage(error: Exception) -> bool:
    """Whether the database is away or busy, rather than our statement wrong."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    reason = error_number(error)
    if isinstance(reason, int):
        return reason in OUTAGES
    return any(text in str(reason).lower() for text in SQLITE_OUTAGES)


def error_number(error: DBAPIError) -> Any:
    """The driver's number (MySQL), or its sentence (SQLite)."""
    return error.orig.args[0] if error.orig and error.orig.args else None
