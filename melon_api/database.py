"""How a transaction begins on each database, and what is tried again.

SQLite's driver begins transactions late and by itself, which breaks both promises the sync engine
makes: that a pull is one snapshot, and that a push holds the account from its first statement. So
here we say BEGIN.
"""

import logging
import random
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pymysql
from flask import Flask, current_app
from pymysql.constants import SERVER_STATUS
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState, QueuePool

from config import POOL_RECYCLE_SECONDS
from melon_api import measures
from melon_api.errors import OutcomeUnknown, error_number
from melon_api.extensions import db

log = logging.getLogger(__name__)
T = TypeVar("T")

IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
# MySQL: deadlock (also a failed Galera certification), a snapshot that is too old to write on
# (MariaDB 11.6+); and a lock wait timeout, which has taken its seconds already.
TRANSIENT, LOCK_WAIT = {1213, 1020}, 1205
# Nodes of a Galera cluster do not see each other's locks: the second to commit begins again.
ATTEMPTS, LOCK_WAIT_ATTEMPTS = 12, 2
BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 0.02, 0.3

REST_SECONDS = 15  # a network may drop a silent connection and tell nobody
PROBE_SECONDS = 3  # for each step of a probe; a balancer has little patience
# A migration that waits for its table makes every request for it wait in turn.
TABLE_WAIT_SECONDS = 15

RESTS_SINCE, IS_COMMITTED = "rests_since", "is_committed"  # in a pooled connection's `info`
WORKS = "works"  # in its record's, which outlives the connection


def init_app(app: Flask) -> None:
    """Take control of BEGIN where the driver does not leave it to us."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)
        else:
            event.listen(db.engine, "connect", _teach_literals)
            event.listen(db.engine, "connect", _wait_for_other_nodes)
            event.listen(db.engine, "checkout", _check_alive)
            event.listen(db.engine, "commit", _note_commit)
            event.listen(db.engine, "reset", _end_transaction)
        if isinstance(pool := db.engine.pool, QueuePool):
            measures.most_connections(pool.size() + pool._max_overflow)
        event.listen(db.engine, "checkout", _note_work)
        event.listen(db.engine, "checkin", _note_rest)
        app.extensions["database_probe"] = _probe_engine(app)


def probe() -> None:
    """Ask the database for an answer, apart from the pool that requests may have emptied.

    Raises DBAPIError after PROBE_SECONDS for each step: to connect, to sign in, to answer.
    """
    with cast(Engine, current_app.extensions["database_probe"]).connect() as connection:
        connection.exec_driver_sql("SELECT 1")


def patient_engine() -> Engine:
    """For migrations: changing a large table takes longer than any request may."""
    if db.engine.dialect.name == "sqlite":
        return create_engine(db.engine.url)
    wait = f"SET SESSION lock_wait_timeout = {TABLE_WAIT_SECONDS}"
    return _separate_engine(current_app, {"init_command": wait}, poolclass=NullPool)


def _probe_engine(app: Flask) -> Engine:
    if db.engine.dialect.name == "sqlite":
        return db.engine
    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), PROBE_SECONDS)
    # Kept: to connect costs forty times as much as to ask.
    return _separate_engine(
        app, limits, pool_size=1, pool_pre_ping=True, pool_recycle=POOL_RECYCLE_SECONDS
    )


def _separate_engine(app: Flask, connect_args: dict[str, Any], **options: Any) -> Engine:
    """To the same server with the same certificates, apart from the requests' limits and pool."""
    served = app.config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]
    kept = {name: served[name] for name in ("connect_timeout", "ssl") if name in served}
    connect_args = kept | connect_args
    return create_engine(db.engine.url, hide_parameters=True, connect_args=connect_args, **options)


@dataclass(frozen=True, slots=True)
class Literals:
    """SQL text as a parameter: values that were escaped already, which the driver's own way of
    writing many rows does at several times the cost. For MySQL and MariaDB."""

    sql: str


def _teach_literals(connection: Any, _record: Any) -> None:
    connection.encoders[Literals] = lambda literals, _encoders: literals.sql


def _wait_for_other_nodes(connection: Any, _record: Any) -> None:
    """A node of a Galera cluster shows what another one has acknowledged some moments later: a
    session that has ended would live on there, a device not see its own push. So a transaction's
    first read waits until the node has caught up. Other servers know no such variable, or say OFF.
    """
    with connection.cursor() as cursor:
        if cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'") and cursor.fetchone()[1] == "ON":
            cursor.execute("SET SESSION wsrep_sync_wait = 1")  # before reads


def _check_alive(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Replace a connection that the server has ended while it was in the pool.

    As Go's driver does: a server that ends a connection says so on the socket, so one that has
    nothing to be read and has not rested for long needs no round trip. Raises InvalidatePoolError.
    """
    now = time.monotonic()
    since = record.info.get(RESTS_SINCE, now)  # a new one has not rested yet
    if now - since < REST_SECONDS and not _has_news(connection):
        return
    try:
        connection.ping()
    except pymysql.Error as error:
        raise InvalidatePoolError from error


def _has_news(connection: Any) -> bool:
    """Whether something came unasked: an end, or an error before it."""
    if not connection.open:
        return True
    poll = select.poll()
    poll.register(connection._sock, select.POLLIN)
    return bool(poll.poll(0))


def _note_work(_connection: Any, record: Any, _proxy: Any) -> None:
    record.record_info[WORKS] = True
    measures.connections(+1)


def _note_rest(_connection: Any, record: Any) -> None:
    """A dead one that could not be replaced comes back, too, and has never worked."""
    if record.record_info.pop(WORKS, False):
        measures.connections(-1)


def _note_commit(connection: Connection) -> None:
    """It is about to be sent; whether it succeeds is the server's to say."""
    connection.info[IS_COMMITTED] = True


def _end_transaction(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
    """Roll back what may be open when a connection goes back to the pool. What has just been
    committed or rolled back is over: another ROLLBACK would be one more round trip. A COMMIT may
    have failed, though: the server's own word is asked, too."""
    is_over = record.info.pop(IS_COMMITTED, False) or state.transaction_was_reset
    is_open = connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    if is_open or not is_over:
        connection.rollback()
    record.info[RESTS_SINCE] = time.monotonic()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction to read in, whose statements all see the state at its first one."""
    with engine.connect() as connection:
        connection.begin()  # to close it rolls back, and the pool need not do so again
        yield connection


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """A transaction that locks in order to read, and writes nothing: rolled back at its end, so
    that nothing is in doubt about it."""
    with engine.connect().execution_options(**IMMEDIATE) as connection:
        connection.begin()
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any exception.

    Raises OutcomeUnknown when the connection breaks while it commits.
    """
    with engine.connect().execution_options(**IMMEDIATE) as connection:
        connection.begin()
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        _commit(connection)


def unit_of_work(work: Callable[[Session], T]) -> T:
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


def _commit(transaction: Connection | scoped_session[Any]) -> None:
    try:
        transaction.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise OutcomeUnknown("The connection broke while committing; repeat.") from error
        raise


def retrying(work: Callable[[], T]) -> T:
    """Run a whole transaction, again when another one was in its way. Raises the last error."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
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
