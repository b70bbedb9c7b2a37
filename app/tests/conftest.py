"""A server with the app's tables, on SQLite, and people who use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

import config
from melon_api import create_app
from melon_api.models import db
from melon_api.ops.migrations import upgrade


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    environ = {
        "APP_ENV": "testing",
        "MELON_APP": __name__.partition(".")[0],
        "DATABASE_URL": f"sqlite:///{tmp_path}/test.db",
        "ARGON2_MEMORY_KIB": "64",
        "ARGON2_ITERATIONS": "1",
    }
    app = create_app(config.load(environ, tmp_path))
    with app.app_context():
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()
