"""A server that keeps a history, and the commands of who helps people there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import environment, fresh_database, make_app
from flask import Flask

from melon_api.history.run import EXTENSION
from melon_api.models.base import db

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
ID = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b")


@contextmanager
def keeping(kind: str, folder: Path, **settings: str) -> Iterator[Flask]:
    """An application on a database of this kind. What is to be kept is written when `flush` says
    so: a test sets `PAUSE_SECONDS`."""
    with fresh_database(kind, folder) as url:
        wanted = {"SYNC_HISTORY_DAYS": "30"} | settings
        app = make_app(environment(kind, url, **wanted), folder)
        yield app
        flush(app)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def flush(app: Flask) -> None:
    if keeper := app.extensions.get(EXTENSION):
        keeper.flush()


def flask(app: Flask, *words: str, code: int = 0) -> str:
    """Run `flask …`, when all is written that has happened, and give what it prints."""
    flush(app)
    result = app.test_cli_runner().invoke(args=words)
    assert result.exit_code == code, result.output
    return result.output


def masked(text: str) -> str:
    """Without what is another one each time."""
    return ID.sub("ID", TIME.sub("TIME", text))


def calls(app: Flask, email: str, *words: str) -> list[str]:
    """The lines of `flask sync history` that tell of calls, masked and without the request's id."""
    lines = masked(flask(app, "sync", "history", email, *words)).splitlines()
    return [line.partition("  request_id=")[0] for line in lines if line.startswith("TIME")]
