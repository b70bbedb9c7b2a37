"""A database that is full is out of order, as one that is away (contract, Errors 6); one that takes
little at a time is not."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from conftest import NO_DATABASE, ON_A_SERVER, environment, make_app
from devices import Account, created, new_id, project
from flask import Flask
from mariadb_server import PrivateMariaDB
from sqlalchemy import event

from melon_api.models import db


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]


@NO_DATABASE
def test_a_full_disk_is_an_outage(app: Flask) -> None:
    phone = Account(app).first
    with app.app_context():
        engine = db.engine
    with closing(sqlite3.connect(str(engine.url.database))) as file:
        file.execute("VACUUM")  # migrations have left free pages

    def limit(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        refused(
            phone.ask_push({"projects": created(*(project(name="x" * 250) for _ in range(2000)))})
        )
    finally:
        event.remove(engine, "connect", limit)
        engine.dispose()
    assert not phone.records("projects")
    phone.push(projects=created(project()))


@ON_A_SERVER
def test_a_full_table_is_an_outage(app: Flask) -> None:
    """As the server itself says it: a trigger raises the very error."""
    phone = Account(app).first
    name = f"full_{new_id()}".lower()
    for number in (1021, 1026, 1030, 1114, 1206, 1878):
        trigger = (
            "CREATE TRIGGER is_full BEFORE INSERT ON projects FOR EACH ROW BEGIN"
            f" IF NEW.name = '{name}' THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number};"
            " END IF; END"
        )
        with app.app_context(), db.engine.connect() as connection:
            connection.exec_driver_sql(trigger)
            try:
                refused(phone.ask_push({"projects": created(project(name=name))}))
            finally:
                connection.exec_driver_sql("DROP TRIGGER is_full")
    phone.push(projects=created(project(name=name)))


@pytest.fixture
def small_packets(tmp_path: Path) -> Iterator[Flask]:
    """On a MariaDB that takes 1 MB at a time, as the older ones do."""
    Authority(tmp_path).certificate("127.0.0.1")
    certificate = tmp_path / "127.0.0.1.pem"
    with PrivateMariaDB(tmp_path, certificate, "--max-allowed-packet=1M") as server:
        server.start()
        server.await_answer()
        environ = environment("mariadb", server.url, DATABASE_TLS="unverified")
        app = make_app(environ, tmp_path)
        yield app
        with app.app_context():
            db.engine.dispose()


def test_what_two_phones_had_before_both_may_adopt(small_packets: Flask) -> None:
    """Contract pull 3, of more ids than a packet takes: an app's second phone that had another
    backend (docs/adopting.md). The log remembers each of them, for the phone that has had it."""
    account = Account(small_packets)
    phone, tablet, watch = account.first, account.device(), account.device()
    for device in (phone, tablet, watch):
        device.pull()
    records = [project(id=str(uuid.uuid4())) for _ in range(30_000)]
    phone.push(projects=created(*records))
    tablet.push(projects=created(*records))
    told = [device.pull()["projects"].values() for device in (tablet, watch)]
    assert [[*map(len, lists)] for lists in told] == [[0, 30_000, 0], [30_000, 0, 0]]
