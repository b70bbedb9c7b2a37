"""`flask sync …`"""

import click
from flask import current_app
from flask.cli import AppGroup

from melon_api.models.base import db, now_ms
from melon_api.ops.durations import Duration
from melon_api.sync.spaces.forgetting import forget
from melon_api.sync.sql.purge import purge

PURGES = "purges"  # what others have the purge do, whether or not it only counts: what they say


class SyncGroup(AppGroup):
    """With the commands of `tools/app_schema`, which no server need hold."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_app_schema()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _app_schema().get(cmd_name)


def _app_schema() -> dict[str, click.Command]:
    from tools.app_schema.cli import COMMANDS  # noqa: PLC0415

    return COMMANDS


sync = SyncGroup("sync", help="Look after the synced data, and print the app's side of it.")


@sync.command("purge")
@click.option("--older-than", type=Duration(), required=True, help="90d, 12h or 30m")
@click.option("--dry-run", is_flag=True, help="Count only.")
def purge_command(older_than: int, dry_run: bool) -> None:
    """Forget old deletions and notes about pushes; remove silent guests.

    In small steps, while people sync. A device that has not pulled for longer gets the full set
    at its next pull. Guests are silent after GUEST_LIFETIME_DAYS.
    """
    before = now_ms() - older_than
    done = purge(db.engine, before, dry_run=dry_run)
    notes = done.notes + forget(db.engine, before, dry_run=dry_run)
    would = "Would forget" if dry_run else "Forgot"
    for more in current_app.extensions.get(PURGES, []):
        click.echo(more(dry_run))
    click.echo(f"{would} {done.tombstones} deletions and {notes} notes about pushes.")
