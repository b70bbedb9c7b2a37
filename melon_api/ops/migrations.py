"""Two branches of migrations: Melon's own (`melon`) in `migrations/`, and the app's (`app`) in its
own room. `flask db upgrade` alone brings both up to date; `flask db migrate` writes the app's."""

import os
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from sqlalchemy import Engine

from melon_api.models.base import db

MELON, APP = "melon", "app"
# What the commands of `flask db` mean where nothing is said; Alembic's own know of one branch.
DEFAULTS = {
    "upgrade": "heads",
    "stamp": "heads",
    "show": "heads",
    "downgrade": f"{APP}@-1",
    "edit": f"{APP}@head",
}


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


def unknown_revisions(engine: Engine) -> set[str]:
    """Where a database is, if this release has no such migration."""
    from alembic.migration import MigrationContext  # noqa: PLC0415

    _, scripts = read(*folders())
    with engine.connect() as connection:
        here = set(MigrationContext.configure(connection).get_current_heads())
    return here - {one.revision for one in scripts.walk_revisions()}


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
