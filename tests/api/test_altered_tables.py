"""A migration changes a table while somebody reads: between two statements of one snapshot."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import ON_A_SERVER
from devices import Account, Device, created, project, task
from flask import Flask
from sqlalchemy import event, text
from werkzeug.test import TestResponse

from melon_api.models.base import db
from melon_api.storage.engine import patient_engine

pytestmark = ON_A_SERVER


def pull_a_page(device: Device) -> TestResponse:
    return device.ask_pull(None, limit=10)


def verify(device: Device) -> TestResponse:
    columns = ["id", "title"]
    held = {"tasks": {"columns": columns, "count": 0, "checksum": 0}}
    body = {"lastPulledAt": device.pulled_at, "schemaVersion": 1, "tables": held}
    return device.call("POST", "/sync/verify", json=body)


def export(device: Device) -> TestResponse:
    return device.call("GET", "/users/me/export")


@contextmanager
def altered_between_statements(app: Flask) -> Iterator[list[str]]:
    """Behind the next statement that is all of a snapshot so far, `tasks` is built anew, once."""
    done: list[str] = []

    def alter(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        is_first = "users" in statement or "memberships" in statement
        if done or not is_first or "tasks" in statement or "sessions" in statement:
            return
        done.append(statement)
        with app.app_context(), patient_engine().connect() as connection:
            connection.execute(text("ALTER TABLE tasks FORCE"))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", alter)
    yield done
    event.remove(engine, "after_cursor_execute", alter)


@pytest.mark.parametrize("ask", [pull_a_page, verify, export])
def test_what_was_read_of_a_changed_table_is_read_again(
    app: Flask, account: Account, ask: Callable[[Device], TestResponse]
) -> None:
    """MySQL and MariaDB refuse (1412): the snapshot is older than the table."""
    device = account.first
    device.pull()
    home = project()
    device.push(projects=created(home), tasks=created(task(home["id"])))
    device.pull()
    before = ask(device)
    assert before.status_code == 200, before.text
    with altered_between_statements(app) as altered:
        answer = ask(device)
    assert altered, "nothing was read after the first statement"
    assert (answer.status_code, answer.json) == (200, before.json)
