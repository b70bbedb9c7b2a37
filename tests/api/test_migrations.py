"""Migrations: forward, back, and never apart from the models; on every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import DATABASES, environment, fresh_database
from devices import Account, created, project
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect

import config as settings
from melon_api import create_app
from melon_api.extensions import db


@pytest.fixture(params=DATABASES)
def empty_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with fresh_database(request.param, tmp_path) as url:
        app = create_app(settings.load(environment(request.param, url), tmp_path))
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()


def test_models_and_migrations_do_not_drift(empty_app: Flask) -> None:
    upgrade()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_migrations_run_forward_and_back(empty_app: Flask) -> None:
    for _ in range(2):
        upgrade()
        assert {"users", "sessions", "projects", "tasks"} <= set(
            inspect(db.engine).get_table_names()
        )
        Account(empty_app).first.push(projects=created(project()))
        downgrade(revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]


def test_synced_tables_are_clustered_by_account(empty_app: Flask) -> None:
    upgrade()
    inspector = inspect(db.engine)
    for table in ("projects", "tasks"):
        key = inspector.get_pk_constraint(table)
        assert key["constrained_columns"] == ["user_id", "id"]
        indices = {i["name"]: i["column_names"] for i in inspector.get_indexes(table)}
        assert indices[f"idx_{table}_updated_at_ms"] == ["user_id", "updated_at_ms"]
        assert all(columns[0] == "user_id" for columns in indices.values())
    assert indices["idx_tasks_project_id"] == ["user_id", "project_id"]
