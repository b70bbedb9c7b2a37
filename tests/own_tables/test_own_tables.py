"""docs/own-tables.md is followed to the letter, in a copy of the project, on each database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATABASES, environment, fresh_database
from copies import copied, run
from own_tables_page import add_tables, block

HEAD = """
from typing import Any
from sqlalchemy import *
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column
from melon_api.models import Synced, belongs_to, db
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout of the project to which an app developer adds."""
    return copied(tmp_path / "copy")


@pytest.mark.parametrize("database", DATABASES)
def test_the_walk_through_works_as_printed(copy: Path, tmp_path: Path, database: str) -> None:
    add_tables(copy)
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url, MELON_APP="app", TEST_APP="app")
        run(copy, "flask", "--app", "wsgi", "db", "upgrade", **environ)
        run(copy, "bash", "-euc", block("migrate"), **environ)
        run(copy, "flask", "--app", "wsgi", "db", "check", **environ)
        scenario = [
            "tests/own_tables/scenario.py",
            "tests/api/test_migrations.py",
            "-p",
            "no:xdist",
        ]
        only = ["-k", f"{database} and not redis or not sqlite and not mariadb and not mysql"]
        output = run(copy, sys.executable, "-m", "pytest", *scenario, *only, **environ)
        assert "passed" in output
        run(copy, "flask", "--app", "wsgi", "db", "downgrade", **environ)


REFERENCES = f"""{HEAD}
class Label(Synced, db.Model):
    __tablename__ = "labels"
    text: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[str | None] = belongs_to("projects", on_delete="clear")
    like_id: Mapped[str | None] = belongs_to("labels", on_delete="clear")
    under_id: Mapped[str | None] = belongs_to("labels")


class Memo(Synced, db.Model):
    __tablename__ = "memos"
    text: Mapped[str] = mapped_column(String(40))
    task_id: Mapped[str | None] = belongs_to("tasks", on_delete="clear")
    label_id: Mapped[str | None] = belongs_to("labels")
    project_id: Mapped[str] = belongs_to("projects", on_delete="keep")
"""


@pytest.mark.parametrize("database", DATABASES)
def test_a_reference_outlives_what_it_names(copy: Path, tmp_path: Path, database: str) -> None:
    """Contract push 4."""
    add(copy, REFERENCES)
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url, MELON_APP="app", TEST_APP="app")
        run(copy, "flask", "--app", "wsgi", "db", "upgrade", **environ)
        run(copy, "flask", "--app", "wsgi", "db", "migrate", "-m", "Labels and memos", **environ)
        story = ["tests/own_tables/references.py", "-p", "no:xdist"]
        only = ["-k", database]  # each backend is there once
        output = run(copy, sys.executable, "-m", "pytest", *story, *only, **environ)
        assert "passed" in output


WRONG = {
    "own_key": ("id: Mapped[int] = mapped_column(primary_key=True)", "'id' belongs to the sync"),
    "reserved": ("is_deleted: Mapped[bool]", "'is_deleted' belongs to the sync engine"),
    "reserved_name": ('_status: Mapped[str] = mapped_column("_status", String(9))', "'_status'"),
    "sqlite_name": ("rowid: Mapped[int]", "'rowid' is reserved"),
    "javascript_name": ("valueOf: Mapped[int]", "'valueOf' is reserved"),
    "unsafe_name": ('x: Mapped[str] = mapped_column("a b", String(9))', "'a b' is reserved"),
    "leaves": (
        'task_id: Mapped[str] = mapped_column(String(36), ForeignKey("tasks.id"))',
        'belongs_to("tasks")',
    ),
    "unsynced_parent": ('session_id: Mapped[str] = belongs_to("sessions")', "does not sync"),
    "no_parent": ('x_id: Mapped[str] = belongs_to("nowhere")', "there is no table"),
    "float": ("x: Mapped[float] = mapped_column(Float)", "use String(n), Text"),
    "date": ("x: Mapped[Any] = mapped_column(DateTime)", "does not sync"),
    "enum": ('x: Mapped[str] = mapped_column(Enum("low", "high"))', "does not sync"),
    "narrow": ("x: Mapped[int] = mapped_column(mysql.TINYINT())", "does not sync"),
    "ascii": ('x: Mapped[str] = mapped_column(mysql.VARCHAR(9, charset="ascii"))', "not sync"),
    "long": ("x: Mapped[str] = mapped_column(String(16384))", "16383 at most"),
    "last_modified": ("last_modified: Mapped[str] = mapped_column(String(9))", "wants a number"),
    "unbounded": ("x: Mapped[str] = mapped_column(String)", "does not sync"),
    "unique": ("x: Mapped[str] = mapped_column(String(9), unique=True)", "unique"),
    "clears_required": (
        'task_id: Mapped[str] = belongs_to("tasks", on_delete="clear")',
        'task_id is required, so on_delete="clear" cannot make it null',
    ),
    "on_delete": (
        'task_id: Mapped[str | None] = belongs_to("tasks", on_delete="restrict")',
        "on_delete is one of ('cascade', 'clear', 'keep'), not 'restrict'",
    ),
    "rootless": ('wrong_id: Mapped[str] = belongs_to("wrongs")', "no record could be first"),
    "circle": ('x_id: Mapped[str | None] = belongs_to("others")', "in a circle"),
}


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which it was tried to start with each of the wrong models."""
    copy = copied(tmp_path_factory.mktemp("wrong") / "copy")
    texts = {kind: wrong_model(column) for kind, (column, _) in WRONG.items()}
    (copy / "texts.json").write_text(json.dumps({"none": ""} | texts))
    run(copy, sys.executable, "tests/own_tables/starts.py", "texts.json", APP_ENV="testing")
    return copy


def wrong_model(column: str) -> str:
    text = f'{HEAD}\nclass Wrong(Synced, db.Model):\n    __tablename__ = "wrongs"\n    {column}\n'
    text += "\nclass Other(Synced, db.Model):\n    __tablename__ = 'others'\n"
    return text + '    wrong_id: Mapped[str | None] = belongs_to("wrongs")\n'


@pytest.mark.parametrize("kind", WRONG)
def test_a_model_that_cannot_work_stops_the_start(starts: Path, kind: str) -> None:
    told = (starts / f"{kind}.stderr").read_text()
    assert (starts / f"{kind}.code").read_text() == "1", told
    assert WRONG[kind][1] in told and "Traceback" not in told


def test_without_a_wrong_model_it_starts(starts: Path) -> None:
    assert (starts / "none.code").read_text() == "0", (starts / "none.stderr").read_text()


def test_an_attribute_may_have_another_name_than_its_column(copy: Path) -> None:
    """The only way to a column that is called `metadata`."""
    text = f'{HEAD}\nclass Note(Synced, db.Model):\n    __tablename__ = "notes"\n'
    text += '    meta: Mapped[str | None] = mapped_column("metadata", Text)\n'
    add(copy, text)
    run(copy, "flask", "--app", "wsgi", "db", "upgrade")
    run(copy, "flask", "--app", "wsgi", "db", "migrate", "-m", "Notes")
    assert "name: 'metadata'" in run(copy, "flask", "--app", "wsgi", "sync", "schema")


def test_a_model_without_an_account_key_stops_the_start(copy: Path) -> None:
    text = f'{HEAD}\nclass Wrong(db.Model):\n    __tablename__ = "wrongs"\n'
    text += "    id: Mapped[str] = mapped_column(String(36), primary_key=True)\n"
    text += '    task_id: Mapped[str] = belongs_to("tasks")\n'
    add(copy, text)
    assert "inherit Synced first" in start(copy)


def add(copy: Path, text: str) -> None:
    models = copy / "app" / "models.py"
    models.write_text(models.read_text() + text)


def start(copy: Path) -> str:
    """What is said by a start that fails: sentences, no traceback."""
    environ = os.environ | {"INSTANCE_PATH": str(copy / "instance"), "APP_ENV": "testing"}
    command = [sys.executable, "-c", "import wsgi"]
    done = subprocess.run(
        command, cwd=copy, env=environ, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1, "it started"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr
