"""`flask sync history` and `flask sync diff`: what became of an account's syncs."""

import click
from flask import current_app
from flask.cli import with_appcontext

from melon_api.history import showing, store
from melon_api.history.devices import devices_of
from melon_api.models.base import db
from melon_api.sentences import plainly
from melon_api.users.finding import find

OFF = "SYNC_HISTORY_DAYS is 0: this server keeps no history."

account = click.argument("account", metavar="EMAIL_OR_ID")
device = click.option(
    "--device", metavar="TEXT", help="One alone: its session's id, or a part of its name."
)


@click.command("history")
@with_appcontext
@account
@device
@click.option(
    "--last", type=click.IntRange(1), default=50, show_default=True, help="So many lines."
)
@plainly
def history_command(account: str, device: str | None, last: int) -> None:
    """Show an account's pushes and pulls: when, which device, how many of what, refused why.

    Nothing of what the records hold. Not the pulls that found nothing.
    """
    user_id, days = find(account), current_app.config["SYNC_HISTORY_DAYS"]
    devices = devices_of(user_id, device)
    for line in showing.heads(devices):
        click.echo(line)
    lines = showing.calls(store.read(db.engine, user_id), devices)
    if len(lines) > last:
        click.echo(f"… {len(lines) - last} older lines: --last {len(lines)}")
    for line in lines[-last:]:
        click.echo(line)
    click.echo(f"Times are UTC; kept for {days} days." if days else OFF)


@click.command("diff")
@with_appcontext
@account
@device
@plainly
def diff_command(account: str, device: str | None) -> None:
    """Show what an account's devices held when they last asked whether they hold the same.

    A device asks by itself (docs/verify.md); nobody can look into one from here.
    """
    user_id = find(account)
    devices = devices_of(user_id, device)
    for line in showing.differences(store.newest_verifications(db.engine, user_id), devices):
        click.echo(line)
    if not current_app.config["SYNC_HISTORY_DAYS"]:
        click.echo(OFF)
