"""`flask events …`: tell what was committed, show what waits, and tell again what was set aside."""

import signal
from types import FrameType

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from melon_api.events import shelf
from melon_api.events.registry import targets
from melon_api.events.turns import Turns
from melon_api.events.worker import Worker
from melon_api.models.base import db
from melon_api.sentences import plainly

STOP_SECONDS = 25  # a platform kills after 30

events = AppGroup("events", help="Tell jobs and webhooks what was committed.")


@events.command("work")
@click.option("--once", is_flag=True, help="Until nothing is due.")
@plainly
def work_command(once: bool) -> None:
    """Run the jobs and tell the webhooks, until SIGTERM.

    WEB_THREADS accounts at once. What was begun is finished first, for 25 s at most.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    names = ", ".join(target.name for target in targets()) or "nobody listens"
    click.echo(f"Telling: {names}", err=True)
    worker = Worker(Turns(app), app.config["WEB_THREADS"], once=once)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker.start()
    worker.join(STOP_SECONDS)


@events.command("list")
@plainly
def list_command() -> None:
    """Show who waits, and what was set aside.

    A line for each account and target that has something to be told: since when, how many failed
    attempts, the next one, the last error. Then a line for each event that was set aside.
    """
    known = {target.name for target in targets()}
    for line in shelf.waiting(db.engine, known):
        click.echo(line)
    for line in shelf.set_aside(db.engine):
        click.echo(line)


@events.command("retry")
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="All that was set aside, and all that pauses.")
@plainly
def retry_command(event_ids: tuple[str, ...], all_: bool) -> None:
    """Tell again what was set aside, now."""
    if bool(event_ids) == all_:
        raise click.UsageError("Say which events, or --all.")
    count = shelf.retry(db.engine, None if all_ else event_ids)
    click.echo(f"{count} events are told again.")


@events.command("drop")
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--target", help="All of this one, waiting and set aside: of a job that is no more.")
@click.confirmation_option(prompt="They will never be told. Go on?")
@plainly
def drop_command(event_ids: tuple[str, ...], target: str | None) -> None:
    """Forget events that were set aside, or a target."""
    if bool(event_ids) == bool(target):
        raise click.UsageError("Say which events, or a --target.")
    count = shelf.drop(db.engine, event_ids, target)
    click.echo(f"Dropped {count}.")
