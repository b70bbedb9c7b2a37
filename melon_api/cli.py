"""`flask …` commands."""

from flask import Flask

from melon_api.seed import seed
from melon_api.sync.cli import sync
from melon_api.users.cli import users


def init_app(app: Flask) -> None:
    """Add them to `flask`; `flask db` is Flask-Migrate's."""
    for command in (seed, sync, users):
        app.cli.add_command(command)
