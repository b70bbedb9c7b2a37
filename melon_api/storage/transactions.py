"""Transactions: to read in one snapshot, to write, what is tried again, and what is an outage."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, orm
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from melon_api import measures
from melon_api.errors import OutcomeUnknown, Unavailable
from melon_api.models.base import db
from melon_api.storage import pokes
from melon_api.storage.cache import Untold

log = logging.getLogger(__name__)
T = TypeVar("T")
Unit = orm.Session  # SQLAlchemy's unit of work; a session here is a sign-in
IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
# MySQL: deadlock (a failed Galera certification, too, or a migration that takes a table); a
# snapshot to write on that is too old (MariaDB 11.6+); one to read a table that was changed since.
# And a lock wait timeout, which has taken its seconds already.
TRANSIENT, LOCK_WAIT = {1213, 1020, 1412}, 1205
# Nodes of a Galera cluster do not see each other's locks: the second to commit begins again.
ATTEMPTS, LOCK_WAIT_ATTEMPTS = 12, 2
BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 0.02, 0.3
# MySQL: too many connections, shutdown, cannot connect, gone away, lost, lock wait, read-only,
# deadlock, node not ready (Galera), a statement that took too long (1969 MariaDB, 3024 MySQL), a
# table that was changed meanwhile
OUTAGES = {1020, 1040, 1047, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1836, 1927}
OUTAGES |= {0, 1226, 1317, 1412, 1969, 2002, 2003, 2006, 2013, 2055, 3024}  # 0: it is closed
# What is full: disk, file, table, locks, temporary file; 1030 is any of a storage engine
OUTAGES |= {1021, 1026, 1030, 1114, 1206, 1878}
SQLITE_OUTAGES = ("database is locked", "unable to open", "disk i/o error", "disk is full")


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction to read in, whose statements all see the state at its first one."""
    with engine.connect() as connection:
        connection.begin()  # to close it rolls back, and the pool need not do so again
        yield connection


def reading(engine: Engine, work: Callable[[Connection], T]) -> T:
    """What `work` reads in a snapshot, again when a migration was in its way."""

    def attempt() -> T:
        with snapshot(engine) as connection:
            return work(connection)

    return retrying(attempt)


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """A transaction that locks in order to read, and writes nothing: rolled back at its end, so
    that nothing is in doubt about it."""
    with _connected(engine) as connection:
        connection.begin()
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any exception.

    Raises OutcomeUnknown when the connection breaks while it commits.
    """
    with _connected(engine) as connection:
        connection.begin()
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        _commit(connection)


def _connected(engine: Engine) -> Connection:
    connection = engine.connect()
    is_sqlite = engine.dialect.name == "sqlite"
    return connection.execution_options(**IMMEDIATE) if is_sqlite else connection


def unit_of_work(work: Callable[[Unit], T]) -> T:
    """Run `work` with the ORM's session in a transaction that writes, again if another one was in
    its way. Raises OutcomeUnknown when the connection breaks while it commits."""

    def attempt() -> T:
        db.session.rollback()
        db.session.connection(execution_options=IMMEDIATE)
        try:
            result = work(db.session())
            db.session.flush()
        except BaseException:
            db.session.rollback()
            raise
        _commit(db.session)
        return result

    return retrying(attempt)


def _commit(transaction: Connection | orm.scoped_session[Any]) -> None:
    is_plain = isinstance(transaction, Connection)
    connection: Any = transaction if is_plain else transaction.connection()  # type: ignore[operator]
    try:
        transaction.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            pokes.committed(connection, is_certain=False)
            raise OutcomeUnknown("The connection broke while committing; repeat.") from error
        raise
    pokes.committed(connection)


def retrying(work: Callable[[], T]) -> T:
    """Run a whole transaction, again when another one was in its way, or when Redis could not be
    told of it. Raises the last error, Unavailable."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except Untold as untold:
            if attempt == ATTEMPTS:
                raise Unavailable("Redis comes and goes at the moment.") from untold
            untold.warn()
        except DBAPIError as error:
            if attempt >= _attempts(error):
                raise
            measures.tried_again(error_number(error))
            log.info(
                "transaction is tried again after %s", error.orig.args[:1] if error.orig else ""
            )
            pause = min(BACKOFF_SECONDS * 2**attempt, MOST_BACKOFF_SECONDS)
            time.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
    raise AssertionError("unreachable")


def _attempts(error: DBAPIError) -> int:
    reason = error_number(error)
    if reason == LOCK_WAIT:
        return LOCK_WAIT_ATTEMPTS
    return ATTEMPTS if reason in TRANSIENT else 1


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
