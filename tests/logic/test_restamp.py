"""What SQL has changed past the engine is told to phones (contract, The server's own changes)."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import DATABASES, environment, fresh_database, make_app
from devices import PASSWORD, Account, bare, created, deleted, edited, project, task, updated
from flask import Flask
from test_docs import block

from melon_api.logic import restamping
from melon_api.logic.restamping import restamp
from melon_api.models.base import db
from melon_api.ops.migrations import upgrade
from tests.example.models import Project, Task

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_the_app(request: pytest.FixtureRequest) -> Iterator[None]:
    if "app" not in request.fixturenames:
        yield
        return
    with request.getfixturevalue("app").app_context():
        yield


def rename(*accounts: Account, **values: Any) -> None:
    """As a migration does."""
    own = Project.user_id.in_([one.user["id"] for one in accounts])
    with db.engine.begin() as connection:
        connection.execute(sa.update(Project).where(own).values(**values))


def test_two_phones_pull_the_rows_as_changed_by_the_server(account: Account) -> None:
    """Contract pull 1 and 3: those alone, at a new clock; and nothing twice."""
    phone, tablet = account.first, account.device()
    home, other, gone = project(name="A"), project(name="B"), project(name="A")
    phone.push(projects=created(home, other, gone), tasks=created(task(home["id"])))
    phone.push(projects=deleted(gone["id"]))
    phone.pull(), tablet.pull()
    rename(account, description="new")
    assert phone.pull()["projects"]["updated"] == []
    mine = Project.user_id == account.user["id"]
    assert restamp(Project, sa.and_(mine, Project.name == "A")) == 1
    for device in (phone, tablet):
        told = device.pull()
        assert told["projects"]["updated"] == [bare(home) | {"description": "new"}]
        assert told["projects"]["created"] == told["projects"]["deleted"] == []
        assert told["tasks"]["updated"] == []
        assert device.pull()["projects"]["updated"] == []


@pytest.mark.parametrize("policy", ["last_write_wins", "reject"])
def test_who_edits_the_row_meanwhile_has_a_conflict(
    account: Account, settings_of: Any, policy: str
) -> None:
    """Contract push 3: as with any other device, so that no phone undoes the migration."""
    settings_of(SYNC_CONFLICT_POLICY=policy)
    phone, home = account.first, project(name="A", description="old")
    phone.push(projects=created(home))
    phone.pull()
    rename(account, description="new")
    restamp(Project, Project.user_id == account.user["id"])
    answer = phone.ask_push({"projects": updated(edited(home, name="B"))})
    if policy == "reject":
        assert answer.json["code"] == "sync_conflict"
    else:
        assert answer.json["timestamp"] is None
        stored = phone.records("projects")[home["id"]]
        assert (stored["name"], stored["description"]) == ("B", "new")


def test_many_accounts_and_many_rows_go_in_batches(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restamping, "ROWS_PER_TRANSACTION", 4)
    monkeypatch.setattr(restamping, "ACCOUNTS_PER_QUERY", 2)
    accounts = sorted((Account(app) for _ in range(5)), key=lambda one: str(one.user["id"]))
    for one in accounts:
        one.first.push(projects=created(*(project(name="many") for _ in range(9))))
        one.first.pull()
    Account(app)  # which has none
    mine = Project.user_id.in_([one.user["id"] for one in accounts])
    where = sa.and_(Project.name == "many", mine)
    caplog.set_level(logging.INFO, "melon_api.logic.restamping")
    assert restamp(Project, where) == 45
    for one in accounts:
        assert len(one.first.pull()["projects"]["updated"]) == 9
    last = accounts[2].user["id"]
    assert restamp(Project, where, after=last) == 18
    assert [len(one.first.pull()["projects"]["updated"]) for one in accounts] == [0, 0, 0, 9, 9]
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("restamped 45 of projects, up to the account ") for line in said)


def test_the_table_may_be_named_in_any_way(account: Account) -> None:
    """By a migration, which knows of its columns but some, too."""
    home, own = project(name="A"), account.user["id"]
    account.first.push(projects=created(home), tasks=created(task(home["id"])))
    account.first.pull()
    light: Any = sa.table("projects", sa.column("name"), sa.column("user_id"))
    whole = Project.__table__
    for table, where in (
        (Project, Project.user_id == own),
        (whole, whole.c.user_id == own),
        (light, sa.and_(light.c.name == "A", light.c.user_id == own)),
        ("projects", sa.text(f"user_id = '{own}'")),
        (Project, Project.id.in_(sa.select(Task.project_id).where(Task.user_id == own))),
    ):
        assert restamp(table, where) == 1
        assert [one["id"] for one in account.first.pull()["projects"]["updated"]] == [home["id"]]
    for wrong in ("users", sa.table("sessions"), 5):
        with pytest.raises(ValueError, match="no table that syncs"):
            restamp(wrong)


def test_an_account_that_goes_meanwhile_is_passed_over(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.first.push(projects=created(project()))
    original = restamping._restamp_account

    def gone(asked: Any, account_id: str) -> int:
        account.first.call("DELETE", "/users/me", json={"password": PASSWORD})
        return original(asked, account_id)

    monkeypatch.setattr(restamping, "_restamp_account", gone)
    assert restamp(Project, Project.user_id == account.user["id"]) == 0


@pytest.mark.parametrize("database", DATABASES)
def test_the_migration_of_the_page_reaches_phones(tmp_path: Path, database: str) -> None:
    with fresh_database(database, tmp_path) as url:
        app = make_app(environment(database, url), tmp_path)
        phone, home = Account(app).first, project()
        done, other = task(home["id"], title="Paint"), task(home["id"], title="Sand")
        phone.push(projects=created(home), tasks=created(done, other))
        phone.pull()
        shutil.copytree(ROOT / "example/migrations/versions", tmp_path / "versions")
        head = 'import sqlalchemy as sa\nfrom alembic import op\n\nrevision = "page"\n'
        head += 'down_revision = "example_0001"\nbranch_labels = depends_on = None\n'
        body = block("restamp", "docs/migrations.md")
        (tmp_path / "versions" / "page.py").write_text(f"{head}\n\n{body}")
        app.config["APP_MIGRATIONS"] = tmp_path / "versions"
        with app.app_context():
            upgrade()
        assert phone.pull()["tasks"]["updated"] == [bare(done) | {"title": "Painting"}]
        assert phone.records("tasks")[other["id"]]["title"] == "Sand"
        with app.app_context():
            db.engine.dispose()
