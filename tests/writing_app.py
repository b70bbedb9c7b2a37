"""The application with rules (ruled_app), a job that writes back, and a command of the server that
writes at random: nothing of it may keep phones from holding the same in the end."""

import os
import random
import time
from pathlib import Path

from sqlalchemy import func, select

from melon_api.events import Event, after
from melon_api.logic import account_ids, changes
from melon_api.logic.account import Account
from melon_api.models.base import db, new_id
from melon_api.models.outbox import OutboxEvent
from melon_api.storage.transactions import retrying
from tests.example.models import Project, Task
from tests.ruled_app import app

__all__ = ["app"]

PAUSE_SECONDS = 0.05


@after(Task)
def look_after(event: Event) -> None:
    """Of whoever's records: the job's own change of one, and a record of its own."""

    def work() -> None:
        with changes(event.account_id) as account:
            for task in account.get(Task, event.created + event.updated).values():
                task["is_completed"] = not task["is_completed"]
            account.save(Project, {"id": "of-the-job", "description": str(event.clock)})

    retrying(work)


@app.get("/api/v1/waiting")
def waiting() -> str:
    """How many events nobody was told yet."""
    return str(db.session.scalar(select(func.count()).select_from(OutboxEvent)))


@app.cli.command("scribble")
def scribble() -> None:
    """Write into every account at random; not while the file is there that MELON_PAUSE names."""
    pause = Path(os.environ["MELON_PAUSE"])
    while True:
        for account_id in [] if pause.exists() else list(account_ids()):
            retrying(lambda: _write(account_id))
        time.sleep(PAUSE_SECONDS)


def _write(account_id: str) -> None:
    with changes(account_id) as account:
        tasks, projects = account.select(Task), account.select(Project)
        random.choice([_toggle, _remove, _make])(account, tasks, projects)


def _toggle(_account: Account, tasks: list, _projects: list) -> None:
    for task in random.sample(tasks, min(2, len(tasks))):
        task["is_completed"] = not task["is_completed"]


def _remove(_account: Account, tasks: list, _projects: list) -> None:
    """No phone's."""
    own = [task for task in tasks if task["title"] in ("", "of the server")]
    for task in random.sample(own, min(1, len(own))):
        task.delete()


def _make(account: Account, _tasks: list, projects: list) -> None:
    if projects:
        home = random.choice(projects).id
        account.save(Task, {"id": new_id(), "project_id": home, "title": "of the server"})
