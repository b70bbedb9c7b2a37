"""Every statement of the sync path names the account, as an engine that shards by it needs."""

import re
from collections.abc import Iterator

import pytest
from conftest import DATABASES, environment, fresh_database, make_app, statements
from devices import Account, created, deleted, edited, project, task, updated
from flask import Flask

from melon_api.models.base import db
from melon_api.sync.discovery import synced_tables

NO_TABLE = re.compile(r"(SET|SHOW|BEGIN|PRAGMA|SELECT 1$)", re.IGNORECASE)
TABLE = re.compile(r"(?:FROM|JOIN|INTO|UPDATE)\s+`?(\w+)`?", re.IGNORECASE)
KEY = r"`?user_id`?"
# A row of everybody's, of which each shard has a copy.
CATALOGUE = re.compile(
    r"\(SELECT spaces\.sync_clock\s+FROM spaces\s+WHERE spaces\.id = 'catalogue'\)"
)


@pytest.fixture(scope="module", params=DATABASES)
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("shards")
    with fresh_database(request.param, folder) as url:
        app = make_app(environment(request.param, url), folder)
        yield app
        with app.app_context():
            db.engine.dispose()


def names_the_account(statement: str) -> bool:
    """Each part of a UNION by itself; an INSERT by its columns, the account's own row by its id."""
    if re.match(r"INSERT\s+INTO", statement):
        columns = statement.partition("(")[2].partition(")")[0]
        return re.search(rf"\b{KEY}\b", columns) is not None
    parts = re.split(r"\bUNION(?: ALL)?\b", CATALOGUE.sub("", statement))
    return all(_part_names_it(part) for part in parts)


def _part_names_it(part: str) -> bool:
    condition = re.split(r"\bWHERE\b", part, maxsplit=1)[-1]
    if TABLE.findall(part)[0] == "users":
        return re.search(r"\busers`?\.`?id`? = ", condition) is not None
    return re.search(rf"\b{KEY} = ", condition) is not None


def test_every_statement_of_the_sync_path_names_the_account(app: Flask) -> None:
    """Pull, push, pages, migration, verify, conflicts, deletions; and who calls."""
    account = Account(app)
    phone, tablet = account.first, account.device()
    home = project()
    tasks = [task(home["id"]) for _ in range(200)]  # a large push, and a large pull
    phone.push(projects=created(home))
    tablet.pull()
    with statements(app) as seen:
        phone.push(tasks=created(*tasks))
        phone.push(tasks=updated(edited(tasks[0], title="Sand")))
        phone.pull()
        tablet.push(tasks=updated(edited(tasks[0], description="edge")))
        tablet.ask_push({"tasks": created(tasks[0] | {"title": "other"})})  # a conflict
        tablet.pull()
        phone.pull(migration={"from": 1, "tables": ["tasks"], "columns": []})
        phone.ask_pull(None)
        page = phone.ask_pull(None, limit=50).json
        phone.ask_pull(None, limit=50, cursor=page["cursor"])
        phone.ask_pull(phone.pulled_at + 1)  # as after a restore
        mine = {"tasks": {"columns": ["title"], "count": 0, "checksum": 0}}
        body = {"tables": mine, "lastPulledAt": phone.pulled_at}
        assert phone.call("POST", "/sync/verify", json=body).status_code == 200
        phone.push(projects=deleted(home["id"]))
        tablet.pull()
        tablet.push(tasks=created(task(home["id"])))
    asked = {s for s in seen if not NO_TABLE.match(s.strip())}
    touched = {table for s in asked for table in TABLE.findall(s)}
    assert {"users", "sessions", "sync_pushes", *synced_tables()} <= touched
    assert [s for s in asked if not names_the_account(s)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM tasks WHERE id = %s",
        "SELECT user_id FROM tasks WHERE id = %s",
        "UPDATE tasks SET user_id = 1 WHERE id = %s",
        "INSERT INTO tasks (id, title) VALUES (%s, %s)",
        "SELECT 1 FROM tasks WHERE user_id = %s UNION ALL SELECT 1 FROM tasks WHERE id = %s",
        "SELECT name FROM users WHERE users.email = %s",
    ],
)
def test_a_statement_without_the_account_would_be_seen(statement: str) -> None:
    assert not names_the_account(statement)
