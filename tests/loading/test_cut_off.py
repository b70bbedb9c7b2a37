"""A loading process that is killed: what it has stored stays, and the next run stores the rest."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DATABASES, environment, fresh_database, make_app
from flask import Flask
from sqlalchemy import func, select

from config import ROOT
from melon_api.models.base import db
from melon_api.models.synced import Synced
from melon_api.models.user import User
from tests.example.models import Project, Task

ACCOUNTS, TASKS = 400, 3


def count(app: Flask, model: type[Synced]) -> int:
    with app.app_context(), db.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(model)) or 0


def clocks(app: Flask) -> dict[str, int]:
    """Of the accounts that hold something."""
    query = select(User.id, User.sync_clock).where(User.id.in_(select(Project.user_id)))
    with app.app_context(), db.engine.connect() as connection:
        return dict(connection.execute(query).all())


@pytest.mark.parametrize("database", DATABASES)
def test_who_is_killed_runs_it_again(tmp_path: Path, database: str) -> None:
    """Contract push 1: no account's clock moves a second time."""
    people = [{"email": f"ada{at}@example.com", "id": f"a{at}"} for at in range(ACCOUNTS)]
    records = [
        {"account": one["id"], "table": table, "record": record}
        for one in people
        for table, record in [
            *(("tasks", {"id": f"t{at}", "project_id": "p"}) for at in range(TASKS)),
            ("projects", {"id": "p", "name": "Home"}),
        ]
    ]
    for name, lines in (("people", people), ("records", records)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url)
        app = make_app(environ, tmp_path)
        runner = app.test_cli_runner()
        assert runner.invoke(args=["users", "load", str(tmp_path / "people")]).exit_code == 0
        words = ["data", "load", str(tmp_path / "records")]
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ | environ) as process:
            while process.poll() is None and count(app, Project) < 5:
                time.sleep(0.01)
            process.kill()
        before = clocks(app)
        assert 5 <= len(before) < ACCOUNTS
        assert runner.invoke(args=words).stdout == f"Stored {len(records)} records.\n"
        assert len(after := clocks(app)) == ACCOUNTS
        assert before.items() <= after.items()
        assert count(app, Task) == ACCOUNTS * TASKS
        with app.app_context():
            db.engine.dispose()
