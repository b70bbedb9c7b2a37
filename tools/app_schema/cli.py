"""`flask sync schema` and `flask sync check-schema`: from the models and migrations alone, without
the database."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from melon_api.sync.discovery import synced_tables
from tools.app_schema import files
from tools.app_schema.classes import class_modules
from tools.app_schema.description import describe
from tools.app_schema.differences import ERROR, differences
from tools.app_schema.history import HistoryError, Version, versions
from tools.app_schema.modules import Module, one_text
from tools.app_schema.reading import read_schema
from tools.app_schema.typescript import migrations_module, schema_module
from tools.app_schema.unreadable import Unreadable
from tools.app_schema.view import from_models


@click.command("schema")
@click.option(
    "--format",
    "form",
    type=click.Choice(["watermelon", "json"]),
    default="watermelon",
    show_default=True,
    help="TypeScript, or a plain description.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write schema.ts, migrations.ts and models/*.ts into this folder.",
)
@click.option("--force", is_flag=True, help="Write over files that were changed by hand.")
@click.option(
    "--first-version",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The app's version when it began with this server.",
)
@click.option("--since", help="The last revision whose tables phones have in that version.")
@with_appcontext
def schema_command(
    form: str, output: Path | None, force: bool, first_version: int, since: str | None
) -> None:
    """Print the app's schema, migrations and model classes."""
    found = _versions(first_version, since)
    if form == "json":
        if output:
            raise click.UsageError("--output writes TypeScript; send JSON where you want it with >")
        click.echo(describe(found, from_models()))
        return
    schema = schema_module(found[-1].number, from_models())
    modules = [schema, migrations_module(found), *class_modules(synced_tables())]
    if output:
        _write(modules, output, force)
    else:
        click.echo(one_text(modules), nl=False)


@click.command("check-schema")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@with_appcontext
def check_schema_command(file: str) -> None:
    """Compare an app's schema with the server's.

    FILE is the app's own schema module, or JSON of its schema; `-` reads it from a pipe. Ends with
    1 where what people wrote would be lost or refused.
    """
    try:
        with click.open_file(file, encoding="utf-8-sig") as opened:
            app = read_schema(opened.read(), file)
    except (Unreadable, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    found = differences(app, from_models())
    for one in found:
        click.echo(f"{one.gravity}: {one.place}: {one.sentence}")
    errors = sum(one.gravity == ERROR for one in found)
    if errors:
        raise click.ClickException(f"{errors} of {len(found)} differences lose data.")
    click.echo("The app's schema fits the server's." if not found else "Nothing is lost.")


def _versions(first: int, since: str | None) -> list[Version]:
    try:
        return versions(first, since)
    except HistoryError as error:
        raise click.ClickException(str(error)) from None


def _write(modules: list[Module], folder: Path, force: bool) -> None:
    try:
        stale = files.write(modules, folder, force=force)
    except files.EditedFiles as error:
        raise click.ClickException(
            f"changed by hand since, nothing is written: {error}; keep your part elsewhere, or"
            " give --force"
        ) from None
    click.echo(f"{len(modules)} files are written to {folder}.")
    for path in stale:
        click.echo(f"{path} is of a table that is gone; remove it.")


COMMANDS = {"schema": schema_command, "check-schema": check_schema_command}
