"""`flask …` commands."""

from typing import Any

import click
from flask import Flask

from melon_api.ops import migrations
from melon_api.ops.release import release
from melon_api.seed import seed
from melon_api.sync.cli import sync
from melon_api.users.cli import users


def init_app(app: Flask) -> None:
    """Add them to `flask`; `flask db` is Flask-Migrate's."""
    for command in (release, seed, sync, users):
        app.cli.add_command(command)
    app.extensions["migrate"] = LazyMigrate(app)
    if click.get_current_context(silent=True):  # this is a `flask …`, not a server
        app.extensions["migrate"].bind()


class LazyMigrate:
    """Flask-Migrate, bound by the first who asks for it: Alembic is 12 MB that no worker needs."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def bind(self) -> None:
        """Put the real one in our place, with `flask db`."""
        migrations.bind(self._app)

    def __getattr__(self, name: str) -> Any:
        self.bind()
        return getattr(self._app.extensions["migrate"], name)
