"""`flask sync …`"""

import re
from typing import Any

import click
from flask.cli import AppGroup

from melon_api.models.base import db, now_ms
from melon_api.sync.sql.purge import purge
from tools.app_schema.cli import check_schema_command, schema_command

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

sync = AppGroup("sync", help="Look after the synced data, and print the app's side of it.")
sync.add_command(schema_command)
sync.add_command(check_schema_command)


class Duration(click.ParamType[int]):
    """`90d`, `12h`, `30m`, in ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,5})([mhd])", value)
        if not match:
            self.fail(f"{value!r} is no duration; write 90d, 12h or 30m", param, ctx)
        return int(match[1]) * UNITS_MS[match[2]]


@sync.command("purge")
@click.option("--older-than", type=Duration(), required=True, help="90d, 12h or 30m")
@click.option("--dry-run", is_flag=True, help="Count only.")
def purge_command(older_than: int, dry_run: bool) -> None:
    """Forget old deletions and pushes, in small steps, while people sync.

    A device that has not pulled for longer gets the full set at its next pull.
    """
    done = purge(db.engine, now_ms() - older_than, dry_run=dry_run)
    would = "Would forget" if dry_run else "Forgot"
    click.echo(f"{would} {done.tombstones} deletions and {done.pushes} pushes.")
