"""Two branches of migrations: Melon's own (`melon`) in `migrations/`, and the app's (`app`) in its
own room. `flask db upgrade` alone brings both up to date; `flask db migrate` writes the app's."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from sqlalchemy import Connection, Table

from melon_api.models.base import db
from melon_api.models.names import on_phones

MELON, APP = "melon", "app"
EXAMPLE = "app_0001"  # no newer release makes it: whoever lacks it has deleted it

# {"table" or "table.column" in the database: its name on phones}, where it is another one.
PhoneNames = dict[str, str]


def init_app(app: Flask) -> None:
    """Have `flask db` in a `flask …`, and in a server only when it is asked for."""
    app.extensions["migrate"] = LazyMigrate(app)
    if click.get_current_context(silent=True):
        bind(app)


class LazyMigrate:
    """Flask-Migrate, bound by the first who asks for it: Alembic is 12 MB that no worker needs."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def bind(self) -> None:
        """Put the real one in our place, with `flask db`."""
        bind(self._app)

    def __getattr__(self, name: str) -> Any:
        self.bind()
        return getattr(self._app.extensions["migrate"], name)


def bind(app: Flask) -> None:
    """Give the application its `flask db`."""
    from flask_migrate import Migrate  # noqa: PLC0415 - Alembic is not for servers
    from flask_migrate.cli import db as commands  # noqa: PLC0415

    Migrate(app, db, directory=str(app.config["MIGRATIONS"])).configure(both_branches)
    for name, revision in DEFAULTS.items():
        for param in commands.commands[name].params:
            if param.name == "revision":
                param.default = revision


def both_branches(config: Any) -> Any:
    """Alembic's settings, with the folders of both."""
    root, apps = folders()
    return _locate(config, root, apps)


def folders() -> tuple[Path, Path]:
    """Alembic's own folder, where Melon's migrations are in `versions`; and that of the app's."""
    return current_app.config["MIGRATIONS"], current_app.config["APP_MIGRATIONS"]


def read(root: Path, *more: Path) -> tuple[Any, Any]:
    """Alembic's settings for these folders, and its directory of the revisions in them."""
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = _locate(Config(), root, *more)
    config.set_main_option("script_location", _escaped(str(root)))
    return config, ScriptDirectory.from_config(config)


def revisions(connection: Connection) -> tuple[Any, tuple[str, ...], set[str]]:
    """The directory of the revisions, where a database is, and what of that this release lacks."""
    from alembic.migration import MigrationContext  # noqa: PLC0415

    _, scripts = read(*folders())
    here = MigrationContext.configure(connection).get_current_heads()
    return scripts, here, set(here) - {one.revision for one in scripts.walk_revisions()}


def about_unknown(unknown: set[str]) -> str:
    """What is said of a database with these revisions, which this release lacks."""
    if EXAMPLE in unknown:
        return (
            f"The database has the example's tables, and their migration, {EXAMPLE}, is gone:"
            " put it back, and write one that drops them (docs/app.md)."
        )
    return (
        f"The database is at revision {', '.join(sorted(unknown))}, which a newer release"
        " has made: nothing to migrate."
    )


def before_last() -> str:
    """Where `flask db downgrade` alone leads: before the app's last migration, also where it was
    merged with Melon's. Raises ClickException where there is none to take back, or no last one."""
    with db.engine.connect() as connection:
        scripts, here, unknown = revisions(connection)
    if unknown:
        raise click.ClickException(about_unknown(unknown))
    ours = [
        one
        for one in scripts.iterate_revisions(here, "base")
        if APP in one.branch_labels and not one.is_merge_point
    ]
    if not ours:
        raise click.ClickException(
            f"No migration of the app's is there to take back; Melon's last: {MELON}@-1"
        )
    known = set(scripts.iterate_revisions(ours[0].revision, "base"))
    if beside := [one.revision for one in ours if one not in known]:
        names = f"{ours[0].revision} and {beside[0]}"
        raise click.ClickException(f"{names} stand beside each other: name where to go back to")
    return ours[0].down_revision or f"{APP}@base"


def upgrade() -> None:
    """Both branches to their newest revisions."""
    from flask_migrate import upgrade  # noqa: PLC0415

    upgrade(revision="heads")


def _locate(config: Any, root: Path, *more: Path) -> Any:
    places = map(str, (*more, root / "versions"))  # a merge is put into the first
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", _escaped(os.pathsep.join(places)))
    return config


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # of configparser


def phone_names_of(script: Any) -> PhoneNames:
    """What a revision says of names: the database does not keep what phones call its columns, and
    `flask sync schema` must know what they called them then."""
    return dict(getattr(script.module, "phone_names", {}))


def new_phone_names(scripts: Any, synced: Iterable[Table]) -> PhoneNames:
    """What the models say of names and no revision has said yet."""
    said: PhoneNames = {}
    for one in reversed(list(scripts.walk_revisions())):
        said |= phone_names_of(one)
    wanted: PhoneNames = {}
    for table in synced:
        wanted[table.name] = on_phones(table)
        wanted |= {f"{table.name}.{c.name}": on_phones(c) for c in table.columns}
    return {place: name for place, name in wanted.items() if said.get(place, _own(place)) != name}


def _own(place: str) -> str:
    """Its name in the database."""
    return place.rpartition(".")[2]


# What the commands of `flask db` mean where nothing is said; Alembic's own know of one branch.
DEFAULTS: dict[str, str | Callable[[], str]] = {
    "upgrade": "heads",
    "stamp": "heads",
    "show": "heads",
    "downgrade": before_last,
    "edit": f"{APP}@head",
}
