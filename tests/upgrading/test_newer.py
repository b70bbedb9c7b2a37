"""docs/upgrading.md with git: a clone with a table, a rule and a migration of its own takes in a
newer Melon that brings a migration; on each database, with data in all tables."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import DATABASES, NO_ENV_FILE, environment, fresh_database
from copies import copied, run
from own_tables_page import add_tables, block, named_block

from config import ROOT
from melon_api.models.base import db

PAGE = "upgrading.md"
ME = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
RULE = '''"""The app's rules."""

LONGEST_TAG = 40
'''
NEWER = '''"""Sessions have a nickname."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{after}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("{column}", sa.String(9), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "{column}")
'''
HEAD = max(path.name for path in (ROOT / "migrations" / "versions").glob("0*.py"))[:4]
EXAMPLES = len(list((ROOT / "tests" / "example" / "migrations" / "versions").glob("*.py")))
# Fills every table, or tells how many rows each has: python rows.py [fill]
ROWS = """
import json, os, sys
from datetime import datetime
from sqlalchemy import MetaData, create_engine, func, select
from melon_api.storage.database_settings import sqlalchemy_url
engine = create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))
tables = MetaData()
tables.reflect(engine)
mine = [table for table in tables.sorted_tables if table.name != "alembic_version"]
def sample(column):
    kind = column.type.python_type
    return datetime(2026, 1, 1) if kind is datetime else kind(1)
with engine.begin() as connection:
    for table in mine if "fill" in sys.argv else ():
        connection.execute(table.insert(), {c.name: sample(c) for c in table.columns})
    made = {"spaces": 1}  # the catalogue, by its migration
    counts = {t.name: select(func.count() - made.get(t.name, 0)).select_from(t) for t in mine}
    print(json.dumps({name: connection.scalar(query) for name, query in counts.items()}))
"""
MELONS = {
    mapper.class_.__tablename__
    for mapper in db.Model.registry.mappers
    if mapper.class_.__module__.startswith("melon_api.")
}
ALL = MELONS | {"projects", "tasks", "tags", "comments"}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *ME, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def committed(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message)


@pytest.fixture
def melon(tmp_path: Path) -> Path:
    """Melon's own repository."""
    folder = copied(tmp_path / "melon")
    (folder / ".gitignore").write_text("__pycache__/\ninstance/\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    committed(folder, "Melon")
    return folder


@pytest.fixture
def clone(melon: Path, tmp_path: Path) -> Path:
    """A developer's, with a table, a rule and, soon, a migration."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(melon), str(folder))
    add_tables(folder)
    (folder / "app" / "rules.py").write_text(RULE)
    (folder / "rows.py").write_text(ROWS)
    return folder


def newer(melon: Path) -> None:
    nicknames = NEWER.format(revision="9001", after=HEAD, column="nick")
    (melon / "migrations" / "versions" / "9001_nicknames.py").write_text(nicknames)
    model = melon / "melon_api" / "models" / "session.py"
    model.write_text(
        model.read_text() + "    nick: Mapped[str | None] = mapped_column(String(9))\n"
    )
    committed(melon, "Nicknames")


def merge(clone: Path, melon: Path) -> None:
    """As the page prints it."""
    command = named_block(PAGE, "merge").replace(
        "https://git.example.com/melon-api.git", str(melon)
    )
    environ = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    assert "CONFLICT" not in run(clone, "bash", "-euc", command, **environ)
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("database", DATABASES)
def test_a_newer_melon_and_an_app_of_ones_own(
    clone: Path, melon: Path, tmp_path: Path, database: str
) -> None:
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url, MELON_APP="app")

        def flask(*words: str) -> str:
            return run(clone, "flask", "--app", "wsgi", *words, **environ)

        def rows(*words: str) -> dict[str, int]:
            told = run(clone, sys.executable, "-m", "rows", *words, **environ)
            found: dict[str, int] = json.loads(told.splitlines()[-1])
            return found

        flask("db", "upgrade")
        run(clone, "bash", "-euc", block("migrate"), **environ)
        committed(clone, "Tags and comments")
        assert rows("fill") == dict.fromkeys(ALL, 1)
        before = flask("sync", "schema")

        newer(melon)
        merge(clone, melon)
        run(clone, "bash", "-euc", named_block(PAGE, "upgrade"), **environ)
        assert rows() == dict.fromkeys(ALL, 1)
        flask("db", "check")
        assert flask("sync", "schema") == before

        flask("db", "downgrade", f"melon@{HEAD}")
        flask("db", "downgrade")
        assert rows() == dict.fromkeys(ALL - {"tags", "comments"}, 1)
        flask("db", "upgrade")
        assert rows() == dict.fromkeys(ALL - {"tags", "comments"}, 1) | {"tags": 0, "comments": 0}
        for _ in range(EXAMPLES + 1):
            flask("db", "downgrade")
        assert rows().keys() == ALL - {"tags", "comments", "projects", "tasks"}
        nothing = failed(clone, "downgrade", **environ)
        assert (
            nothing
            == "Error: No migration of the app's is there to take back; Melon's last: melon@-1"
        )
        flask("db", "downgrade", "base")
        assert rows() == {}
        flask("db", "upgrade")
        assert rows("fill") == dict.fromkeys(ALL, 1)


def test_branches_that_were_merged_nevertheless_have_an_order(clone: Path, melon: Path) -> None:
    """`flask db merge heads` is not needed, and does no harm; further migrations of both follow."""
    flask = ("flask", "--app", "wsgi")
    run(clone, *flask, "db", "upgrade")
    run(clone, "bash", "-euc", block("migrate"))
    before = run(clone, *flask, "sync", "schema")
    newer(clone)
    run(clone, *flask, "db", "merge", "heads", "-m", "Both")
    run(clone, *flask, "db", "upgrade")
    assert run(clone, *flask, "sync", "schema") == before
    assert list((clone / "app" / "migrations" / "versions").glob("*_both.py"))
    later = NEWER.format(revision="9002", after="9001", column="nack")
    (clone / "migrations" / "versions" / "9002_later.py").write_text(later)
    run(clone, *flask, "db", "upgrade")
    models = clone / "app" / "models.py"
    models.write_text(
        models.read_text().replace(
            "likes: Mapped[int]", "likes: Mapped[int]\n    hates: Mapped[int | None]"
        )
    )
    run(clone, "bash", "-euc", block("migrate"))
    assert "version: 3" in run(clone, *flask, "sync", "schema")

    for gone in ("hates", "tags"):  # step by step, the merge in between
        assert gone in tables_of(clone)
        run(clone, *flask, "db", "downgrade")
        assert gone not in tables_of(clone)
    for _ in range(EXAMPLES):
        assert "projects" in tables_of(clone)
        run(clone, *flask, "db", "downgrade")
    assert "projects" not in tables_of(clone)
    assert "nack" in tables_of(clone)


def tables_of(clone: Path) -> str:
    """Its SQLite's tables and columns."""
    with closing(sqlite3.connect(clone / "instance" / "melon.db")) as database:
        return str(database.execute("SELECT sql FROM sqlite_master").fetchall())


def failed(clone: Path, *words: str, **environ: str) -> str:
    """The one line of a `flask db` that has to fail."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "db", *words],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "INSTANCE_PATH": str(clone / "instance"), **NO_ENV_FILE}
        | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


def test_two_last_migrations_are_told_apart(clone: Path) -> None:
    run(clone, "flask", "--app", "wsgi", "db", "upgrade")
    for name in ("aaa", "bbb"):
        beside = ("--rev-id", name, "--head", "example_0001", "--splice")
        run(clone, "flask", "--app", "wsgi", "db", "revision", "-m", name, *beside)
    run(clone, "flask", "--app", "wsgi", "db", "upgrade")
    assert "stand beside each other: name where to go back to" in failed(clone, "downgrade")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "migrate", "current"])
def test_an_older_release_says_that_the_database_is_newer(clone: Path, command: str) -> None:
    run(clone, "flask", "--app", "wsgi", "db", "upgrade")
    newer(clone)
    run(clone, "flask", "--app", "wsgi", "db", "upgrade")
    git(clone, "checkout", "--quiet", "HEAD", "melon_api")
    (clone / "migrations" / "versions" / "9001_nicknames.py").unlink()
    assert "at revision 9001, which a newer release has made" in failed(clone, command)
