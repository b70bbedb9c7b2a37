"""A connection comes from the pool and goes back without a round trip, and is never a dead one."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pymysql
import pytest
from conftest import environment, fresh_database, make_app
from devices import Account, created, project, task
from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from melon_api.models.base import db
from melon_api.storage import engine as engines
from melon_api.storage import engine as storage_engine
from melon_api.storage.database_settings import (
    ABANDONED_SECONDS,
    LOCK_SECONDS,
    STATEMENT_SECONDS,
)
from melon_api.storage.transactions import is_outage, snapshot, writing

STATUS = (
    "SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Com_rollback', 'Com_admin_commands')"
)

FASTER = {  # than STATEMENT_SECONDS; by `is_mariadb`
    True: "SET SESSION max_statement_time = 0.2",
    False: "SET SESSION max_execution_time = 200",
}


@pytest.fixture(params=["mariadb", "mysql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with fresh_database(request.param, tmp_path) as url:
        served = make_app(environment(f"{request.param}+redis", url), tmp_path)
        yield served
        with served.app_context():
            db.engine.dispose()


def end_connections(app: Flask) -> None:
    """The server ends all of them, as at its restart."""
    with app.app_context():
        other = create_engine(db.engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        resting = others(connection)
        assert resting
        for number in resting:
            connection.exec_driver_sql(f"KILL {number}")
        while others(connection):
            time.sleep(0.01)


def others(connection: Connection) -> list[int]:
    """The other connections to this database. MySQL 9 cannot make a table of the list (error 3854)
    while anybody's statement, in whichever database, holds an emoji."""
    own, name = connection.exec_driver_sql("SELECT CONNECTION_ID(), DATABASE()").one()
    rows = connection.exec_driver_sql("SHOW PROCESSLIST").mappings()
    return [row["Id"] for row in rows if row["db"] == name and row["Id"] != own]


def status(app: Flask) -> dict[str, int]:
    """What the server counted on the connection that is in the pool."""
    with app.app_context(), snapshot(db.engine) as connection:
        return {name: int(count) for name, count in connection.exec_driver_sql(STATUS)}


def spent(app: Flask, work: Any) -> dict[str, int]:
    """What the server was asked by `work`."""
    idle = [status(app), status(app)]
    work()
    after = status(app)
    return {name: after[name] - 2 * idle[1][name] + idle[0][name] for name in after}


def test_a_connection_that_the_server_ended_is_replaced(app: Flask) -> None:
    """For a snapshot, a transaction that writes, and the ORM's session alike."""
    phone, home = Account(app).first, project()
    phone.push(projects=created(home))
    for name in ("Ada", "Grace"):
        end_connections(app)
        assert list(phone.records("projects")) == [home["id"]]
        end_connections(app)
        phone.push(tasks=created(task(home["id"])))
        end_connections(app)
        assert phone.call("PATCH", "/users/me", json={"name": name}).status_code == 200
    assert len(phone.records("tasks")) == 2


def test_a_push_whose_connection_is_lost_stores_nothing(app: Flask) -> None:
    """Contract push 1 and Errors 6: 503, nothing was applied; and the pool is whole."""
    phone, home = Account(app).first, project()
    with app.app_context():
        engine = db.engine

    def cut(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE users"):
            end_connections(app)

    event.listen(engine, "before_cursor_execute", cut)
    answer = phone.ask_push({"projects": created(home)})
    event.remove(engine, "before_cursor_execute", cut)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert phone.records("projects") == {}
    phone.push(projects=created(home))
    assert list(phone.records("projects")) == [home["id"]]


def test_connections_that_work_are_counted_through_an_outage(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooled one that is dead, and cannot be replaced, has never worked."""
    phone = Account(app).first

    def stay_away(*_: Any, **_options: Any) -> None:
        raise pymysql.OperationalError(2003, "Can't connect")

    before = REGISTRY.get_sample_value("melon_database_connections")
    for _ in range(2):
        assert phone.ask_pull(None).status_code == 200
        end_connections(app)
        with monkeypatch.context() as patch:
            patch.setattr(storage_engine, "QuickConnection", stay_away)
            assert phone.ask_pull(None).status_code == 503
    assert REGISTRY.get_sample_value("melon_database_connections") == before


def test_a_push_that_may_be_stored_is_not_said_to_be_lost(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Errors 6: a 503 says that nothing was applied. The database goes away at the
    COMMIT, and is still away when it is asked what became of it."""
    phone, home = Account(app).first, project()
    with app.app_context():
        engine = db.engine

    def stay_away(*_: Any, **_options: Any) -> None:
        raise pymysql.OperationalError(2003, "Can't connect")

    def go_away(_connection: Any) -> None:
        end_connections(app)
        monkeypatch.setattr(storage_engine, "QuickConnection", stay_away)

    event.listen(engine, "commit", go_away)
    answer = phone.ask_push({"projects": created(home)})
    event.remove(engine, "commit", go_away)
    monkeypatch.undo()
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    phone.push(projects=created(home))
    assert list(phone.records("projects")) == [home["id"]]


def test_a_commit_that_is_still_under_way_is_waited_for(app: Flask) -> None:
    """Contract push 1: the server may finish what it was sent, although it cannot tell us. Here
    another connection stands in for the one that the server has not let go of yet."""
    phone, home = Account(app).first, project()
    with app.app_context():
        engine = db.engine
    other = create_engine(engine.url, poolclass=NullPool)
    raised: list[tuple[str, Any]] = []
    ends: list[threading.Timer] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("UPDATE users"):
            raised.append((statement, parameters))

    def lose(_connection: Any) -> None:
        if ends:  # the one that asks
            return
        end_connections(app)
        server_side = late.enter_context(other.connect())
        server_side.exec_driver_sql("SELECT id FROM users FOR UPDATE")
        server_side.exec_driver_sql(*raised[0])
        ends.append(threading.Timer(0.5, server_side.commit))
        ends[0].start()

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", lose)
    with ExitStack() as late:
        answer = phone.ask_push({"projects": created(home)})
        ends[0].join()
    event.remove(engine, "commit", lose)
    assert answer.status_code == 200


def test_a_small_push_asks_the_database_no_more_than_it_must(app: Flask) -> None:
    """The lock, the stored rows, the new ones, the log, the clock, COMMIT; no ping, no ROLLBACK."""
    phone, home = Account(app).first, project()
    phone.push(projects=created(home))
    phone.pull()
    phone.pull()
    with app.app_context():
        db.engine.dispose()
    asked = spent(app, lambda: phone.push(tasks=created(task(home["id"]))))
    assert asked == {"Questions": 5, "Com_rollback": 0, "Com_admin_commands": 0}


def test_a_connection_that_rested_is_asked_whether_it_lives(app: Flask, monkeypatch: Any) -> None:
    """A network may have dropped it without a word."""
    monkeypatch.setattr(engines, "REST_SECONDS", 0)
    assert spent(app, lambda: status(app))["Com_admin_commands"] == 1


def test_what_was_not_committed_is_rolled_back_with_its_connection(app: Flask) -> None:
    """Whoever lost it: the next one must not go on with a stranger's transaction."""
    phone = Account(app).first
    with app.app_context():
        engine = db.engine
    lost = engine.raw_connection()
    with lost.cursor() as cursor:
        cursor.execute("UPDATE users SET name = 'nobody'")
    lost.close()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "Ada"
        connection.commit()
    assert phone.call("GET", "/users/me").json["name"] == "Ada"


def test_a_transaction_that_failed_to_commit_is_rolled_back(app: Flask) -> None:
    """SQLAlchemy takes it for one that was."""
    phone = Account(app).first
    phone.push(projects=created(project()))
    with app.app_context():
        engine = db.engine

    def fail(_connection: Any) -> None:
        raise RuntimeError("before the COMMIT")

    event.listen(engine, "commit", fail)
    with pytest.raises(RuntimeError, match="COMMIT"), writing(engine) as connection:
        connection.exec_driver_sql("UPDATE users SET name = 'nobody'")
    event.remove(engine, "commit", fail)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "Ada"


def test_no_statement_takes_for_ever(engine: Engine) -> None:
    """Contract, Errors 6: 503; MariaDB and MySQL stop it themselves, and the connection lives."""
    collations = ", ".join(f"information_schema.collations AS c{number}" for number in range(4))
    slow = f"SELECT COUNT(*) FROM {collations}"  # thousands of millions of rows
    with engine.connect() as connection:
        connection.exec_driver_sql(FASTER[connection.dialect.is_mariadb])
        with pytest.raises(DBAPIError) as failed:
            connection.exec_driver_sql(slow)
        assert is_outage(failed.value)
        assert not failed.value.connection_invalidated
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1
        connection.rollback()


def test_every_connection_has_its_limits(engine: Engine) -> None:
    """In the database's own words: MariaDB counts seconds, MySQL milliseconds."""
    with engine.connect() as connection:
        is_mariadb = connection.dialect.is_mariadb
        statement = "max_statement_time" if is_mariadb else "max_execution_time"
        wanted = {
            statement: STATEMENT_SECONDS if is_mariadb else STATEMENT_SECONDS * 1000,
            "innodb_lock_wait_timeout": LOCK_SECONDS,
            "lock_wait_timeout": LOCK_SECONDS,
            "wait_timeout": ABANDONED_SECONDS,
        }
        for name, value in wanted.items():
            assert float(connection.scalar(text(f"SELECT @@SESSION.{name}"))) == value, name
        connection.rollback()


def test_who_gets_no_connection_is_told_so(app: Flask, engine: Engine) -> None:
    """Contract, Errors 6: 503 with Retry-After; `/readyz` does not ask the pool."""
    phone, home = Account(app).first, project()
    engine.pool._timeout = 0.1
    with ExitStack() as others:
        pool = engine.pool
        for _ in range(pool.size() + pool._max_overflow):
            others.enter_context(engine.connect())
        answer = phone.ask_push({"projects": created(home)})
        assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert app.test_client().get("/readyz").status_code == 200
    phone.push(projects=created(home))
    assert list(phone.records("projects")) == [home["id"]]


@pytest.fixture
def engine(app: Flask) -> Engine:
    """What requests use."""
    with app.app_context():
        return db.engine
