"""TLS to the database: demanded, verified, and refused where it should be."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import forks
import pymysql
import pytest
from certificates import Authority
from conftest import NO_ENV_FILE, fresh_database
from mariadb_server import PrivateMariaDB
from paas import release, settings
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

import config
from melon_api import create_app
from melon_api.models.base import db
from melon_api.storage.engine import probe

VERIFY_FAILED = "CERTIFICATE_VERIFY_FAILED"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateMariaDB]:
    authority.certificate("127.0.0.1")
    certificate = authority.pem.with_name("127.0.0.1.pem")
    with PrivateMariaDB(tmp_path_factory.mktemp("mariadb"), certificate) as server:
        server.start()
        server.await_answer()
        yield server


def cipher(url: str, folder: Path, **more: str) -> str:
    """What a production server's connections are encrypted with. Raises OperationalError."""
    app = create_app(config.load(settings(url, **more), folder))
    with app.app_context():
        try:
            probe()
            return _cipher(db.engine)
        finally:
            db.engine.dispose()


def _cipher(engine: Engine) -> str:
    with engine.connect() as connection:
        row = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
        connection.rollback()
    return str(row[1])


def test_the_server_demands_it(server: PrivateMariaDB) -> None:
    """Otherwise the tests below show nothing."""
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        server.connect(ssl_disabled=True)
    server.connect(ssl={"check_hostname": False}).close()


@pytest.mark.parametrize("form", ["path", "text", "one-line", "url"])
def test_a_certificate_of_our_authority_is_taken(
    server: PrivateMariaDB, authority: Authority, tmp_path: Path, form: str
) -> None:
    pem = authority.pem.read_text()
    values = {"path": str(authority.pem), "text": pem, "one-line": pem.replace("\n", "\\n")}
    if form == "url":
        url = f"{server.url}?ssl_ca={authority.pem}"
        assert cipher(url, tmp_path, DATABASE_TLS="verify")
    else:
        assert cipher(server.url, tmp_path, DATABASE_CA=values[form])


def test_a_certificate_of_another_authority_is_refused(
    server: PrivateMariaDB, tmp_path: Path
) -> None:
    with pytest.raises(OperationalError, match=VERIFY_FAILED):
        cipher(server.url, tmp_path, DATABASE_CA=str(Authority(tmp_path).pem))
    with pytest.raises(OperationalError, match=VERIFY_FAILED):  # the system's do not know it
        cipher(server.url, tmp_path, DATABASE_TLS="verify")


def test_a_certificate_for_another_host_is_refused(
    server: PrivateMariaDB, authority: Authority, tmp_path: Path
) -> None:
    url = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(OperationalError, match="Hostname mismatch"):
        cipher(url, tmp_path, DATABASE_CA=str(authority.pem))
    assert cipher(url, tmp_path, DATABASE_TLS="unverified")


def test_a_release_migrates_over_tls(
    server: PrivateMariaDB, authority: Authority, tmp_path: Path
) -> None:
    code, output = release(settings(server.url, DATABASE_CA=str(authority.pem)))
    assert code == 0, output
    wrong = str(Authority(tmp_path).pem)
    code, output = release(settings(server.url, DATABASE_CA=wrong), "--wait 0")
    assert code == 1
    assert VERIFY_FAILED in output


def test_a_certificate_that_mysql_made_for_itself(tmp_path: Path) -> None:
    """Nobody vouches for it: it encrypts, when that is asked for."""
    with fresh_database("mysql", tmp_path) as url:
        with pytest.raises(OperationalError, match=VERIFY_FAILED):
            cipher(url, tmp_path, DATABASE_TLS="verify")
        assert cipher(url, tmp_path, DATABASE_TLS="unverified")


@pytest.mark.parametrize("mode", ["verify", "unverified"])
def test_a_server_without_tls_is_refused(tmp_path: Path, plain_server: str, mode: str) -> None:
    with pytest.raises(OperationalError, match="SSL is required"):
        cipher(plain_server, tmp_path, DATABASE_TLS=mode)
    assert cipher(plain_server, tmp_path, DATABASE_TLS="off") == ""


@pytest.fixture
def plain_server(tmp_path: Path) -> Iterator[str]:
    """A database on a server that does not speak TLS."""
    with fresh_database("mariadb", tmp_path) as url:
        yield url


@pytest.mark.parametrize("form", ["path", "text", "url"])
def test_a_dump_is_encrypted_and_verified_like_the_servers_connections(
    server: PrivateMariaDB, authority: Authority, tmp_path: Path, form: str
) -> None:
    environ = {"path": str(authority.pem), "text": authority.pem.read_text()}
    if form == "url":
        done = dump(f"{server.url}?ssl_ca={authority.pem}", tmp_path)
    else:
        done = dump(server.url, tmp_path, DATABASE_CA=environ[form])
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "dump.gz").exists()


def test_nothing_is_dumped_from_who_cannot_be_verified(
    server: PrivateMariaDB, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    done = dump(server.url, tmp_path, DATABASE_CA=str(other.pem))
    assert done.returncode == 1
    assert "backup: " in done.stderr
    assert not (tmp_path / "dump.gz").exists()
    assert dump(server.url, tmp_path, DATABASE_TLS="unverified").returncode == 0


def dump(url: str, folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": url, **NO_ENV_FILE, **more}
    file = str(folder / "dump.gz")
    return forks.run("deploy.backup", "dump", file, cwd=config.ROOT, environ=environ)
