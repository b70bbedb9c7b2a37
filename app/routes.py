"""The app's own calls, below /api/v1, and its commands (docs/app.md). One of each for example."""

import time
from contextlib import suppress

import click
from flask import Blueprint
from marshmallow import Schema, fields, validate

from app.models import Project, Task
from melon_api.auth.guard import caller, signed_in
from melon_api.errors import NotFound
from melon_api.logic import account_ids, changes
from melon_api.web.calls import accepts, answers
from melon_api.web.limits import limiter

DAY_MS = 86_400_000

blueprint = Blueprint("tasks", __name__)


class CopySchema(Schema):
    name = fields.String(required=True, validate=validate.Length(1, 255))


class CopiedSchema(Schema):
    id = fields.String()


@blueprint.post("/projects/<project_id>/copy")
@signed_in()
@accepts(CopySchema)
@limiter.limit("10/minute", key_func=lambda: caller().user_id)
@answers(201, CopiedSchema)
def copy_project(body: dict[str, str], project_id: str) -> dict[str, str]:
    """Copy a project with its tasks

    Phones get the copy at their next pull.
    """
    with changes(caller().user_id) as account:
        if not account.get(Project, [project_id]):
            raise NotFound("There is no such project of yours.")
        (copy,) = account.save(Project, body)
        tasks = account.select(Task, Task.project_id == project_id)
        account.save(Task, *({"title": one["title"], "project_id": copy.id} for one in tasks))
    return {"id": copy.id}


@blueprint.cli.command("clear-done")
@click.option("--days", default=30, help="since when they are done")
@click.option("--after", default="", help="go on behind this account: the last one printed")
def clear_done(days: int, after: str) -> None:
    """Delete tasks that have been done for long, of every account; to be run each night."""
    since = time.time() * 1000 - days * DAY_MS
    for account_id in account_ids(after):
        # who deletes the account meanwhile wants nothing cleared
        with suppress(NotFound), changes(account_id) as account:
            for task in account.select(Task, Task.is_completed, Task.updated_at < since):
                task.delete()
        click.echo(account_id)
