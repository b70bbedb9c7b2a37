"""Databases that were made before the app had migrations of its own: upgraded where they stand."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import DATABASES, NO_ENV_FILE, unmigrated
from copies import copied
from flask import Flask
from flask_migrate import downgrade
from own_tables_page import named_block
from sqlalchemy import MetaData, inspect, select, text

import config
from melon_api.models import db
from melon_api.ops.migrations import upgrade
from tests.example.models import Project

HERE = Path(__file__).parent
ROOT = config.ROOT
OWN = '''"""Due dates"""

import sqlalchemy as sa
from alembic import op

revision = '3f2a91c0b7d4'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("tasks", sa.Column("due_at", sa.BigInteger()))


def downgrade():
    op.drop_column("tasks", "due_at")
'''


@pytest.fixture(params=DATABASES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """On an empty database."""
    with unmigrated(request.param, tmp_path) as app:
        yield app


def as_before(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch, own: str = "") -> Path:
    """The migrations of then, and one of the developer's after them, run; where they are."""
    melons = folder / "migrations"
    shutil.copytree(ROOT / "migrations", melons, ignore=shutil.ignore_patterns("versions"))
    shutil.copytree(HERE / "before" / "versions", melons / "versions")
    strangers = folder / "strangers"
    strangers.mkdir()
    if own:
        (strangers / "3f2a91c0b7d4_due_dates.py").write_text(own)
    with monkeypatch.context() as patch:
        patch.setitem(app.config, "MIGRATIONS", melons)
        patch.setitem(app.config, "APP_MIGRATIONS", strangers)
        upgrade_in(app, melons)
    return melons


def upgrade_in(app: Flask, folder: Path) -> None:
    from flask_migrate import upgrade as upgrade_to  # noqa: PLC0415

    upgrade_to(directory=str(folder), revision="heads")


def revisions() -> set[str]:
    with db.engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads())


def names() -> list[str]:
    return sorted(db.session.scalars(select(Project.name)))


def drift() -> list[Any]:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, db.metadata))


def some_records() -> None:
    """A row in each table of these, whatever columns they have at the time; a project "Home"."""
    tables = MetaData()
    tables.reflect(db.engine)
    with db.engine.begin() as connection:
        for name in ("users", "projects", "tasks"):
            columns = {column.name: _sample(column) for column in tables.tables[name].columns}
            named = columns | ({"name": "Home"} if "name" in columns else {})
            connection.execute(tables.tables[name].insert(), named)


def _sample(column: Any) -> Any:
    kind = column.type.python_type
    return datetime(2026, 1, 1, tzinfo=UTC) if kind is datetime else kind(1)


def test_the_tables_that_are_there_are_taken_as_they_are(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is in them; and both branches run back and forth from then on."""
    as_before(app, tmp_path, monkeypatch)
    assert revisions() == {"0002"}
    upgrade()
    assert drift() == []
    some_records()
    upgrade()
    assert names() == ["Home"]
    db.session.rollback()
    downgrade(revision="app@base")
    assert not {"projects", "tasks"} & set(inspect(db.engine).get_table_names())
    upgrade()
    assert drift() == [] and names() == []


def test_records_of_before_stay(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_before(app, tmp_path, monkeypatch)
    some_records()
    upgrade()
    assert names() == ["Home"]


def test_it_runs_back_without_ever_having_been_upgraded(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_before(app, tmp_path, monkeypatch)
    some_records()
    downgrade(revision="base")
    assert inspect(db.engine).get_table_names() == ["alembic_version"]


def test_a_migration_of_ones_own_after_melons_moves_into_the_apps_room(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As docs/upgrading.md prints it; the database has it already, and keeps what is in it."""
    melons = as_before(app, tmp_path, monkeypatch, OWN)
    some_records()
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE tasks SET due_at = 5"))
    apps = tmp_path / "app" / "migrations" / "versions"
    shutil.copytree(ROOT / "tests" / "example" / "migrations" / "versions", apps)
    for path in apps.glob("example_*.py"):
        path.write_text(path.read_text().replace("example_0", "app_0"))
        path.rename(apps / path.name.replace("example_0", "app_0"))
    shutil.rmtree(melons / "versions")
    shutil.copytree(ROOT / "migrations" / "versions", melons / "versions")
    shutil.copy(tmp_path / "strangers" / "3f2a91c0b7d4_due_dates.py", melons / "versions")
    monkeypatch.setitem(app.config, "MIGRATIONS", melons)
    monkeypatch.setitem(app.config, "APP_MIGRATIONS", apps)
    with pytest.raises(SystemExit):
        upgrade_in(app, melons)
    assert "3f2a91c0b7d4 is none of Melon's migrations" in caplog.text

    move = named_block("upgrading.md", "move").replace("git mv", "mv")
    subprocess.run(["bash", "-euc", move], cwd=tmp_path, check=True)
    assert {path.name for path in apps.glob("*.py")} == {
        "app_0001_projects_and_tasks.py",
        "app_0002_spaces.py",
        "3f2a91c0b7d4_due_dates.py",
    }
    upgrade_in(app, melons)
    assert due_dates() == [5]
    assert {"app_0002"} <= revisions()
    downgrade(directory=str(melons), revision="app@-2")
    assert "due_at" not in columns("tasks")
    upgrade_in(app, melons)
    assert due_dates() == [None]
    downgrade(directory=str(melons), revision="base")
    upgrade_in(app, melons)
    assert "due_at" in columns("tasks")


def due_dates() -> list[Any]:
    with db.engine.connect() as connection:
        return list(connection.scalars(text("SELECT due_at FROM tasks")))


def columns(table: str) -> set[str]:
    return {column["name"] for column in inspect(db.engine).get_columns(table)}


TAG = """
from sqlalchemy.orm import Mapped
from melon_api.{base} import db
from melon_api.models.synced import Synced

class Tag(Synced, db.Model):
    __tablename__ = "tags"
    is_mine: Mapped[bool]
"""


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("extensions", "tag.py, line 3: ModuleNotFoundError: "),
        ("models.base", "Tag: it stands in "),
    ],
)
def test_a_table_that_stands_where_it_stood_then_is_named(
    tmp_path: Path, base: str, said: str
) -> None:
    """And where it belongs; in one line."""
    copy = copied(tmp_path / "copy")
    (copy / "melon_api" / "models" / "tag.py").write_text(TAG.format(base=base))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"],
        cwd=copy,
        env={"PATH": os.environ["PATH"], **NO_ENV_FILE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and said in done.stderr
    (line,) = done.stderr.splitlines()
    assert "stand in app/ now (docs/upgrading.md)" in line
