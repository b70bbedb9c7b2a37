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
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from melon_api.errors import OutcomeUnknown
from melon_api.extensions import db

log = logging.getLogger(__name__)
T = TypeVar("T")

IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
# MySQL: deadlock (also a failed Galera certification), lock wait timeout, a snapshot that is too
# old to write on (MariaDB 11.6+)
TRANSIENT = {1213, 1205, 1020}
ATTEMPTS = 5
BACKOFF_SECONDS = 0.02


def init_app(app: Flask) -> None:
    """Take control of BEGIN where the driver does not leave it to us."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction whose statements all see the state at its first one."""
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any exception.

    Raises OutcomeUnknown when the connection breaks while it commits.
    """
    with engine.connect().execution_options(**IMMEDIATE) as connection:
        transaction = connection.begin()
        try:
            yield connection
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise OutcomeUnknown("The connection broke while committing; repeat.") from error
            raise


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """The ORM's session in a transaction that writes, from a clean state."""
    db.session.rollback()
    with db.session.begin():
        db.session.connection(execution_options=IMMEDIATE)
        yield db.session()


def retrying(work: Callable[[], T]) -> T:
    """Run a whole transaction, again when another one was in its way. Raises the last error."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except DBAPIError as error:
            if attempt == ATTEMPTS or not _is_transient(error):
                raise
            log.info("transaction is tried again after %s", error.orig)
            time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - jitter
    raise AssertionError("unreachable")


def _is_transient(error: DBAPIError) -> bool:
    reason = error.orig.args[0] if error.orig and error.orig.args else None
    return reason in TRANSIENT
