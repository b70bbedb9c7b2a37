"""Backup and restore with the databases' own tools, and what becomes of phones that know more than
the restored server (docs/operations.md)."""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forks
import pytest
from conftest import DATABASES, NO_ENV_FILE, environment, fresh_database, make_app
from devices import NOTHING, Account, bare, created, edited, new_id, project, task, updated
from flask import Flask
from sqlalchemy import make_url, text

from config import ROOT
from melon_api.models.base import db

TRICKY = "Ünï 📷 \\ ' \" \0 \r\n -- ;"


@dataclass
class Host:
    """A server whose database is dumped, lost and restored."""

    app: Flask
    url: str
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "melon.sql.gz"

    def run(self, what: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": os.environ["PATH"], "DATABASE_URL": self.url, **NO_ENV_FILE, **environ}
        return forks.run("deploy.backup", what, str(self.file), cwd=ROOT, environ=environ)

    def dump(self) -> None:
        done = self.run("dump")
        assert (done.returncode, done.stderr) == (0, "")

    def lose(self) -> None:
        """The database is gone, and everything in it; a new one is empty."""
        with self.app.app_context():
            db.engine.dispose()
            if self.url.startswith("sqlite"):
                for path in self.folder.glob("*.db*"):
                    path.unlink()
                return
            name = make_url(self.url).database
            with db.engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name}"))
                connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET latin1"))
            db.engine.dispose()

    def restore(self) -> None:
        done = self.run("restore")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(params=DATABASES)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    with fresh_database(request.param, tmp_path) as url:
        app = make_app(environment(request.param, url), tmp_path)
        yield Host(app, url, tmp_path)
        with app.app_context():
            db.engine.dispose()


def everything(host: Host) -> dict[str, list[Any]]:
    with host.app.app_context(), db.engine.connect() as connection:
        tables = [*sorted(db.metadata.tables), "alembic_version"]
        return {
            name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}"))))
            for name in tables
        }


def test_a_restored_database_is_the_same(host: Host) -> None:
    """In every byte of every table, whatever people wrote."""
    account = Account(host.app)
    phone, tablet = account.first, account.device()
    home = project(name=TRICKY, created_at=1e300, description=None)
    phone.push(projects=created(home), tasks=created(task(home["id"], title=TRICKY)))
    tablet.push(projects=created(home))  # which it had of its own
    before = everything(host)
    assert all(before[name] for name in ("users", "sessions", "projects", "tasks", "sync_pushes"))
    host.dump()
    assert stat.S_IMODE(host.file.stat().st_mode) == 0o600
    host.lose()
    host.restore()
    assert everything(host) == before
    assert phone.records("projects")[home["id"]]["name"] == TRICKY


def test_phones_that_know_more_than_the_server_lose_and_double_nothing(host: Host) -> None:
    """Contract pull 1: what they push later reaches everybody, and what they had not pushed yet."""
    account = Account(host.app)
    phone, tablet = account.first, account.device()
    old, late = project(name="Old"), project(name="After the backup")
    phone.push(projects=created(old))
    phone.pull()
    tablet.pull()
    host.dump()
    phone.push(projects=created(late))
    phone.pull()
    assert tablet.pull()["projects"] == created(bare(late))
    ahead = tablet.pulled_at
    host.lose()
    host.restore()

    offline = project(name="Made while it was away")
    assert tablet.pull()["projects"] == NOTHING
    assert tablet.pulled_at == ahead
    # To ask again finds out: the tablet holds two projects, the server one.
    held = {"projects": {"columns": [], "count": 2, "checksum": 0}}
    body = {"lastPulledAt": ahead, "tables": held}
    answer = tablet.call("POST", "/sync/verify", json=body).json
    assert (answer["identical"], answer["tables"]["projects"]["count"]) == (False, 1)
    tablet.pulled_at = tablet.push(projects=created(offline))
    assert phone.pull()["projects"] == created(bare(offline))
    # What was pushed after the backup is on the phones alone, until one of them pushes it again.
    assert set(account.device().records("projects")) == {old["id"], offline["id"]}
    phone.push(projects=updated(edited(late, name="Edited")))
    assert phone.pull()["projects"] == updated(bare(late) | {"name": "Edited"})
    assert tablet.pull()["projects"] == created(bare(late) | {"name": "Edited"})
    assert set(phone.records("projects")) == {old["id"], offline["id"], late["id"]}
    assert phone.pull()["projects"] == tablet.pull()["projects"] == NOTHING


def test_a_phone_that_refreshed_since_signs_in_again(host: Host) -> None:
    """Its token is newer than what the server knows; it is no theft, and its session lives on."""
    account = Account(host.app)
    phone, idle = account.first, account.device()
    host.dump()
    newer = phone.call("POST", "/auth/refresh", phone.refresh_token).json["refresh_token"]
    newest = phone.call("POST", "/auth/refresh", newer).json["refresh_token"]
    since = account.device()
    host.lose()
    host.restore()
    codes = [
        phone.call("POST", "/auth/refresh", newest).json["code"],
        since.call("POST", "/auth/refresh", since.refresh_token).json["code"],
    ]
    assert codes == ["token_invalid", "token_revoked"]
    assert idle.call("POST", "/auth/refresh", idle.refresh_token).status_code == 200
    assert account.device().ask_pull(None).status_code == 200


def test_only_an_empty_database_is_restored_into(host: Host) -> None:
    phone = Account(host.app).first
    host.dump()
    phone.push(projects=created(project(name="Newer than the dump")))
    before = everything(host)
    done = host.run("restore")
    assert done.returncode == 1
    assert "must be empty" in done.stderr or "is there already" in done.stderr
    assert everything(host) == before


def test_a_dump_that_failed_is_none(host: Host) -> None:
    """A dump from before is still there, whole."""
    host.file.write_text("the last good one")
    host.lose()
    if host.url.startswith("sqlite"):
        done = host.run("dump")
    else:
        done = host.run("dump", DATABASE_URL=f"{host.url}_of_somebody_else")
    assert done.returncode == 1, done.stdout
    assert done.stderr.splitlines()[-1].startswith("backup: ")
    assert host.file.read_text() == "the last good one"
    assert not list(host.folder.glob("*.partial"))


@pytest.mark.parametrize("host", ["mariadb", "mysql"], indirect=True)
def test_a_password_may_hold_anything(host: Host) -> None:
    """It goes to the tools in a file, and is not in their command line."""
    user = {"name": f"melon_{new_id()[:8]}", "password": "a\"b\\n#c;'d é%"}
    url = make_url(host.url).set(username=user["name"], password=user["password"])
    with host.app.app_context(), db.engine.connect() as connection:
        connection.execute(text("CREATE USER :name@'%' IDENTIFIED BY :password"), user)
        try:
            done = host.run("dump", DATABASE_URL=url.render_as_string(hide_password=False))
        finally:
            connection.execute(text("DROP USER :name@'%'"), user)
    # It was let in; that it may not read this database is another number (a wrong password: 1045).
    assert "1044" in done.stderr
