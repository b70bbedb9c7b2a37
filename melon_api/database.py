"""How a transaction begins on each database, and what is tried again.

SQLite's driver begins transactions late and by itself, which breaks both promises the sync engine
makes: that a pull is one snapshot, and that a push holds the account from its first statement. So
here we say BEGIN.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session

from melon_api.errors import OutcomeUnknown, error_number
from melon_api.extensions import db

log = logging.getLogger(__name__)
T = TypeVar("T")

IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
# MySQL: deadlock (also a failed Galera certification), a snapshot that is too old to write on
# (MariaDB 11.6+); and a lock wait timeout, which has taken its seconds already.
TRANSIENT, LOCK_WAIT = {1213, 1020}, 1205
ATTEMPTS, LOCK_WAIT_ATTEMPTS = 5, 2
BACKOFF_SECONDS = 0.02


def init_app(app: Flask) -> None:
    """Take control of BEGIN where the driver does not leave it to us."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)
        else:
            event.listen(db.engine, "connect", _teach_literals)


@dataclass(frozen=True, slots=True)
class Literals:
    """SQL text as a parameter: values that were escaped already, which the driver's own way of
    writing many rows does at several times the cost. For MySQL and MariaDB."""

    sql: str


def _teach_literals(connection: Any, _record: Any) -> None:
    connection.encoders[Literals] = lambda literals, _encoders: literals.sql


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction to read in, whose statements all see the state at its first one."""
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


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
            log.info(
                "transaction is tried again after %s", error.orig.args[:1] if error.orig else ""
            )
            time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - jitter
    raise AssertionError("unreachable")


def _attempts(error: DBAPIError) -> int:
    reason = error_number(error)
    if reason == LOCK_WAIT:
        return LOCK_WAIT_ATTEMPTS
    return ATTEMPTS if reason in TRANSIENT else 1
