"""Migrations: forward, back, and never apart from the models; on every database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import DATABASES, environment, fresh_database, unmigrated
from devices import Account, created, project
from flask import Flask
from flask_migrate import downgrade
from flask_migrate import upgrade as upgrade_to
from sqlalchemy import Column, MetaData, inspect

import config as settings
from melon_api import create_app
from melon_api.models.base import db
from melon_api.ops.migrations import folders, read, upgrade


@pytest.fixture(params=DATABASES)
def empty_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with unmigrated(request.param, tmp_path) as app:
        yield app


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


def test_a_migrated_file_of_sqlite_is_ready_for_many_workers(tmp_path: Path) -> None:
    """The first connections of two workers at once would both want to change how it is written,
    which SQLite refuses the second one at once: somebody's first call would be a 503."""
    with fresh_database("sqlite", tmp_path) as url:
        app = create_app(settings.load(environment("sqlite", url), tmp_path))
        with app.app_context():
            upgrade()
            file = Path(str(db.engine.url.database))
        written, read_by = file.read_bytes()[18:20]  # SQLite's file format 1.3.3: 2 is WAL
        assert (written, read_by) == (2, 2)


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


def test_the_release_before_can_go_on(empty_app: Flask) -> None:
    """It serves until the new one is up: after each migration it still writes and reads whole rows
    as it knows them."""
    _, scripts = read(*folders())
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert len(revisions) > 1
    for before, after in pairwise(revisions):
        upgrade_to(revision=before)
        known = MetaData()
        known.reflect(db.engine)
        upgrade_to(revision=after)
        tables = [table for table in known.sorted_tables if table.name != "alembic_version"]
        with db.engine.connect() as connection:
            for table in tables:
                connection.execute(table.insert(), {c.name: sample(c) for c in table.columns})
                assert connection.execute(table.select()).all()
            connection.rollback()


def sample(column: Column[Any]) -> Any:
    """Something that a column holds; ids and what refers to them are the same."""
    kind = column.type.python_type
    return datetime.now(UTC).replace(tzinfo=None) if kind is datetime else kind(1)
