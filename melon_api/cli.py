"""`flask …` commands."""

from flask import Flask

from melon_api.seed import seed


def init_app(app: Flask) -> None:
    app.cli.add_command(seed)
