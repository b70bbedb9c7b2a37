"""The app's migrations make its tables, and unmake them."""

from flask import Flask
from flask_migrate import downgrade
from sqlalchemy import inspect

from melon_api.models import db
from melon_api.ops.migrations import upgrade


def test_models_and_migrations_agree(app: Flask) -> None:
    """Else: flask db migrate -m "…" """
    done = app.test_cli_runner().invoke(args=["db", "check"])
    assert done.exit_code == 0, done.output


def test_they_run_back(app: Flask) -> None:
    with app.app_context():
        before = inspect(db.engine).get_table_names()
        downgrade(revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        upgrade()
        assert inspect(db.engine).get_table_names() == before
