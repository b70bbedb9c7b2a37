"""The release phase: it waits, migrates once, and blocks no rollback."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest
from certificates import Authority
from conftest import fresh_database
from mariadb_server import PrivateMariaDB
from paas import release, settings, start_release
from servers import free_port

NEWER = "9999"


@pytest.fixture(params=["mariadb", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_database(request.param, tmp_path) as url:
        yield url


def ask(url: str, *statements: str) -> list[str]:
    """The first column of the last statement's rows."""
    parts = urlsplit(url)
    who = {"user": parts.username, "password": parts.password, "database": parts.path[1:]}
    connection = pymysql.connect(host=parts.hostname, port=parts.port, autocommit=True, **who)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


def test_several_releases_at_once_migrate_once(database: str) -> None:
    """MySQL's DDL knows no transaction: two that create a table would both fail half-way."""
    releases = [start_release(settings(database)) for _ in range(3)]
    ended = [(process.communicate()[0], process.returncode) for process in releases]
    assert [code for _, code in ended] == [0, 0, 0], ended
    assert {"users", "sessions", "tasks"} <= set(ask(database, "SHOW TABLES"))
    assert release(settings(database))[0] == 0


def test_an_older_release_leaves_a_newer_database_alone(database: str) -> None:
    """A rollback, or a setting changed after one."""
    assert release(settings(database))[0] == 0
    melons = "version_num REGEXP '^[0-9]{4}$'"
    ask(database, f"UPDATE alembic_version SET version_num = '{NEWER}' WHERE {melons}")
    stored = ask(database, "SELECT version_num FROM alembic_version")
    assert NEWER in stored
    code, output = release(settings(database))
    assert code == 0
    assert f"The database is at revision {NEWER}, which a newer release has made" in output
    assert ask(database, "SELECT version_num FROM alembic_version") == stored


def test_an_example_that_was_deleted_is_no_newer_release(database: str) -> None:
    """Else nothing would be migrated ever again, in silence."""
    assert release(settings(database))[0] == 0
    apps = "version_num NOT REGEXP '^[0-9]{4}$'"
    ask(database, f"UPDATE alembic_version SET version_num = 'app_0001' WHERE {apps}")
    code, output = release(settings(database))
    assert code == 1
    assert "their migration, app_0001, is gone" in output


def test_a_failed_migration_stops_the_deploy(database: str) -> None:
    ask(database, "CREATE TABLE users (id INTEGER)")
    code, output = release(settings(database))
    assert code == 1
    assert "already exists" in output
    ask(database, "DROP TABLE users")
    assert release(settings(database))[0] == 0


def test_a_database_that_is_not_there_is_named() -> None:
    port = free_port()
    url = f"mysql://melon:hunter2@127.0.0.1:{port}/melon"
    code, output = release(settings(url), "--wait 1")
    assert code == 1
    assert (
        f"Error: The database 127.0.0.1:{port} did not answer as it should within 1 s: " in output
    )
    assert "Traceback" not in output and "hunter2" not in output


def test_a_database_that_says_nothing_is_not_waited_for_for_ever() -> None:
    """It takes connections and hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, output = release(settings(f"mysql://melon:x@127.0.0.1:{port}/melon"), "--wait 1")
    assert code == 1
    assert f"127.0.0.1:{port} did not answer as it should within 1 s" in output


def test_a_database_that_refuses_us_says_why(database: str) -> None:
    code, output = release(settings(database.replace(":melon@", ":hunter2@")), "--wait 0")
    assert code == 1
    assert "(1045, " in output
    assert "Traceback" not in output and "hunter2" not in output


def test_a_database_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    """A platform starts it together with us."""
    authority = Authority(tmp_path)
    authority.certificate("127.0.0.1")
    with PrivateMariaDB(tmp_path, tmp_path / "127.0.0.1.pem") as server:
        waiting = start_release(settings(server.url, DATABASE_CA=str(authority.pem)), "--wait 60")
        time.sleep(1.5)
        assert waiting.poll() is None
        server.start()
        output, _ = waiting.communicate()
        assert waiting.returncode == 0, output
        encrypted = server.connect(ssl={"ca": str(authority.pem)})
        with encrypted, encrypted.cursor() as cursor:
            assert cursor.execute("SHOW TABLES LIKE 'users'") == 1
