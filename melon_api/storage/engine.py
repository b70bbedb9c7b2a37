"""How a transaction begins on each database, and what is tried again.

SQLite's driver begins transactions late and by itself, which breaks both promises the sync engine
makes: that a pull is one snapshot, and that a push holds the account from its first statement. So
here we say BEGIN.
"""

import logging
import select
import sys
import time
from typing import Any, cast

import pymysql
from flask import Flask, current_app
from pymysql.constants import SERVER_STATUS
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState, QueuePool

from melon_api import measures
from melon_api.models.base import db
from melon_api.storage.database_settings import POOL_RECYCLE_SECONDS
from melon_api.storage.driver import QuickConnection
from melon_api.storage.prepared import Literals

log = logging.getLogger(__name__)


REST_SECONDS = 15  # a network may drop a silent connection and tell nobody
SMALL_SECONDS = 1
PROBE_SECONDS = 3  # for each step of a probe; a balancer has little patience
# A migration that waits for its table makes every request for it wait in turn: it lets them pass
# and comes again, for ten minutes, as half a migration is worse than a late one.
TABLE_WAIT_SECONDS, TABLE_ATTEMPTS = 5, 60
TABLE_IS_HELD = 1205

RESTS_SINCE, IS_COMMITTED = "rests_since", "is_committed"  # in a pooled connection's `info`
PACKET, BESIDE_BYTES = "packet", 1 << 14  # bytes, and those of a statement beside its values
WORKS = "works"  # in its record's, which outlives the connection


def init_app(app: Flask) -> None:
    """Take control of BEGIN where the driver does not leave it to us."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)
        else:
            event.listen(db.engine, "do_connect", _connect)
            event.listen(db.engine, "connect", _teach_literals)
            event.listen(db.engine, "connect", _note_packet)
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
    with probe_engine().connect() as connection:
        connection.exec_driver_sql("SELECT 1")


def probe_engine() -> Engine:
    """What looks in from outside asks by: apart from the requests' pool, with little patience."""
    return cast(Engine, current_app.extensions["database_probe"])


def separate_engine(app: Flask) -> Engine:
    """For the few small statements that no request makes: a connection of its own, which gives up
    after SMALL_SECONDS and, like the requests', waits until its node has caught up."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            return create_engine(db.engine.url, poolclass=NullPool)
        limits = dict.fromkeys(("read_timeout", "write_timeout"), SMALL_SECONDS)
        engine = _separate_engine(
            app, limits, pool_size=1, pool_pre_ping=True, pool_recycle=POOL_RECYCLE_SECONDS
        )
    event.listen(engine, "connect", _wait_for_other_nodes)
    return engine


def patient_engine() -> Engine:
    """For migrations: changing a large table takes longer than any request may."""
    if db.engine.dialect.name == "sqlite":
        engine = create_engine(db.engine.url)
        event.listen(engine, "connect", _write_ahead)
        return engine
    wait = f"SET SESSION lock_wait_timeout = {TABLE_WAIT_SECONDS}"
    engine = _separate_engine(current_app, {"init_command": wait}, poolclass=NullPool)
    event.listen(engine, "do_execute", _in_turns)
    return engine


def _in_turns(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
    """A statement, again where a long transaction has held its table: it has done nothing then.
    Whether it was executed, as SQLAlchemy asks."""
    for _ in range(TABLE_ATTEMPTS - 1):
        try:
            cursor.execute(statement, parameters)
        except pymysql.OperationalError as error:
            if error.args[0] != TABLE_IS_HELD:
                raise
            begun = " ".join(statement.split()[:3])
            log.warning("a long transaction holds the table; tried again soon: %s", begun)
            time.sleep(TABLE_WAIT_SECONDS)
        else:
            return True
    return False


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


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    return QuickConnection(*arguments, **options)


def _teach_literals(connection: Any, _record: Any) -> None:
    connection.encoders[Literals] = lambda literals, _encoders: literals.sql


def _note_packet(connection: Any, record: ConnectionPoolEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        record.info[PACKET] = cursor.fetchone()[0]


def statement_bytes(connection: Connection) -> int:
    """How long a statement may be; more breaks the connection, as an outage does (push 9)."""
    packet: int = connection.info.get(PACKET, sys.maxsize)  # SQLite's is above any body's
    return max(packet - BESIDE_BYTES, packet // 2)


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


def _write_ahead(connection: Any, _record: Any) -> None:
    """The file stays so. A new one is changed by the migration, alone: of two workers that connect
    to it at once SQLite would refuse one, and let neither wait."""
    connection.execute("PRAGMA journal_mode = WAL")


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    _write_ahead(connection, record)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
