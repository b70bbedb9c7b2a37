"""`flask data …`, `flask catalogue …`, and `flask users load`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import DBAPIError

from melon_api.errors import Unavailable
from melon_api.loading import accounts, batches, records
from melon_api.loading import catalogue as catalogues
from melon_api.loading.report import Report
from melon_api.sentences import plainly
from melon_api.storage.transactions import is_outage

data = AppGroup("data", help="Bring records from elsewhere.")
catalogue = AppGroup("catalogue", help="Records that every account reads.")

file = click.argument("file", type=click.File("rb"))
dry_run = click.option("--dry-run", is_flag=True, help="Say what is wrong, and store nothing.")


def init_app(app: Flask, users: click.Group, changes: Callable[..., Any]) -> None:
    """`users`: `flask users`; `changes`: the door into the engine (logic/writes.py)."""
    app.extensions[batches.CHANGES] = changes
    app.cli.add_command(data)
    app.cli.add_command(catalogue)
    users.add_command(load_accounts)


@data.command("load")
@file
@dry_run
@plainly
def load_records(file: BinaryIO, dry_run: bool) -> None:
    """Store records from JSON lines, gzip too; `-` is stdin.

    {"account": "ada@example.com", "table": "tasks", "record": {"id": "…", …}}

    As the server's own changes: every phone gets them. Safe to run again.
    """
    report = Report()
    with report.following(file), _told_of_outages():
        good = records.load(file, report, dry_run=dry_run)
    report.end(f"{'Would store' if dry_run else 'Stored'} {good} records.")


@click.command("load")
@with_appcontext
@file
@dry_run
@plainly
def load_accounts(file: BinaryIO, dry_run: bool) -> None:
    """Open accounts from JSON lines, gzip too; `-` is stdin.

    {"email": "ada@example.com", "name": "Ada", "password_hash": "$2b$…", "verified": true,
    "id": "…"}

    All but the address may be left out. An account that is there stays as it is.
    """
    report = Report()
    with report.following(file), _told_of_outages():
        made, known = accounts.load(file, report, dry_run=dry_run)
    would = "Would open" if dry_run else "Opened"
    report.end(f"{would} {made} accounts; {known} were there already.")


@catalogue.command("load")
@click.argument("table")
@file
@click.option("--replace", is_flag=True, help="Delete what is not in the file.")
@dry_run
@plainly
def load_catalogue(table: str, file: BinaryIO, replace: bool, dry_run: bool) -> None:
    """Store records that every account reads, from JSON lines, gzip too; `-` is stdin.

    {"id": "…", "name": "…", …}

    Every phone gets what has changed. Safe to run again. With a bad line nothing is deleted.
    """
    report = Report()
    with report.following(file), _told_of_outages():
        good, gone = catalogues.load(file, table, report, replace=replace, dry_run=dry_run)
    would = "Would store" if dry_run else "Stored"
    deleted = f" {'Would delete' if dry_run else 'Deleted'} {gone}." if replace else ""
    report.end(f"{would} {good} records.{deleted}")


@contextmanager
def _told_of_outages() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise Unavailable("The database went away. What was stored stays: run it again.") from error
