"""`flask seed`: a demo account with realistic data, through the same push as a phone's."""

import random
from collections.abc import Iterator
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from melon_api.auth import service as auth
from melon_api.auth.callers import Caller, device_number
from melon_api.auth.sessions import Device, device_key
from melon_api.mail.outbox import outbox
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.sync import push as pushes
from melon_api.sync.rules.pushed import PushRequest

EMAIL = "demo@example.com"
PASSWORD = "melon-demo-2026"  # noqa: S105 - meant to be known, and refused in production
DEVICE = Device(key="seed", name="flask seed")
RECORDS_PER_PUSH = 10_000
FIRST_MS = 1_767_225_600_000  # 2026-01-01: fixed, so that a second run pushes the same records
DAY_MS = 86_400_000

PROJECTS = ("Kitchen renovation", "Trip to Lisbon", "Website relaunch", "Garden", "Tax return 2025")
VERBS = ("Call", "Order", "Compare", "Draft", "Book", "Measure", "Pay", "Fix", "Plan", "Send")
THINGS = ("the tiles", "two quotes", "the invoice", "train tickets", "a new lamp", "the contract")
NOTES = (
    "",
    "Ask Müller first.",
    "Before Friday, or it gets expensive. 📅",
    "See the e-mail of Monday.",
)


@click.command()
@click.option("--projects", default=5, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--tasks", default=100, show_default=True, type=click.IntRange(0, 1_000_000))
@click.option("--email", default=EMAIL, show_default=True)
@click.option("--password", default=None, help=f"Default outside of production: {PASSWORD}")
@with_appcontext
def seed(projects: int, tasks: int, email: str, password: str | None) -> None:
    """Make a demo account with projects and tasks. Safe to run twice."""
    if password is None and current_app.config["NEEDS_SERVERS"]:
        raise click.UsageError("In staging and production choose a --password of your own.")
    caller = _account(email.lower(), password or PASSWORD)
    for changes in _pushes(projects, tasks):
        pushes.push(
            db.engine, caller, PushRequest(changes, _clock(caller), False), "last_write_wins"
        )
    outbox().settle()  # what is logged of a mail comes before what is to be read
    click.echo(f"Seeded {projects} projects and {tasks} tasks. Sign in with:")
    click.echo(f"  e-mail:   {email}\n  password: {password or PASSWORD}")


def _account(email: str, password: str) -> Caller:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        user = auth.register(email, password, "Demo", DEVICE).user
    else:
        auth.login(email, password, DEVICE)  # so that the password printed is the right one
    return Caller(user.id, "", device_number(device_key(DEVICE.key, "")))


def _clock(caller: Caller) -> int:
    query = select(User.sync_clock).where(User.id == caller.user_id)
    clock = db.session.scalar(query)
    db.session.rollback()
    return clock or 0


def _pushes(projects: int, tasks: int) -> Iterator[dict[str, Any]]:
    dice = random.Random(2026)  # noqa: S311 - the same demo every time
    yield {"projects": {"created": [_project(i, dice) for i in range(projects)]}}
    for start in range(0, tasks, RECORDS_PER_PUSH):
        indices = range(start, min(start + RECORDS_PER_PUSH, tasks))
        yield {"tasks": {"created": [_task(i, projects, dice) for i in indices]}}


def _project(index: int, dice: random.Random) -> dict[str, Any]:
    name = PROJECTS[index % len(PROJECTS)]
    round_ = index // len(PROJECTS)
    record = {"id": f"seed-project-{index}", "name": f"{name} {round_ + 1}" if round_ else name}
    return record | {"description": dice.choice(NOTES)} | _times(index, dice)


def _task(index: int, projects: int, dice: random.Random) -> dict[str, Any]:
    return {
        "id": f"seed-task-{index}",
        "title": f"{dice.choice(VERBS)} {dice.choice(THINGS)}",
        "description": dice.choice(NOTES),
        "is_completed": dice.random() < 0.3,
        "project_id": f"seed-project-{dice.randrange(projects)}",
    } | _times(index, dice)


def _times(index: int, dice: random.Random) -> dict[str, int]:
    created = FIRST_MS + index * 60_000
    return {"created_at": created, "updated_at": created + dice.randrange(30 * DAY_MS)}
