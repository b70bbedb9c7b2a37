"""docs/own-tables.md is followed to the letter, in a copy of the project, on each database."""

import os
import subprocess
import sys
from pathlib import Path

import forks
import pytest
from conftest import DATABASES, environment, fresh_database
from copies import copied, run
from own_tables_page import HEAD, REFERENCES, add, add_tables, block

HERE = Path(__file__).resolve().parent


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
            "tests/own_tables/wire_values.py",
            "tests/api/test_migrations.py",
            "-p",
            "no:xdist",
        ]
        only = ["-k", f"{database} or not sqlite and not mariadb and not mysql"]
        output = run(copy, sys.executable, "-m", "pytest", *scenario, *only, **environ)
        assert "passed" in output
        run(copy, "flask", "--app", "wsgi", "db", "downgrade", **environ)


@pytest.mark.parametrize("database", DATABASES)
def test_a_reference_outlives_what_it_names(copy: Path, tmp_path: Path, database: str) -> None:
    """Contract push 4; and push 9, of the same tables."""
    add(copy, REFERENCES)
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url, MELON_APP="app", TEST_APP="app")
        run(copy, "flask", "--app", "wsgi", "db", "upgrade", **environ)
        run(copy, "flask", "--app", "wsgi", "db", "migrate", "-m", "Labels and memos", **environ)
        stories = ["tests/own_tables/references.py", "tests/own_tables/large_rows.py"]
        only = ["-k", database]  # each backend is there once
        output = run(
            copy, sys.executable, "-m", "pytest", *stories, "-p", "no:xdist", *only, **environ
        )
        assert "passed" in output


NAMED_RULE = """
from app.models import Person
from melon_api.logic import Changes, before_push


@before_push(Person)
def nobody_makes_people(people: Changes) -> None:
    for person in people.saved:
        if person["created_by"] == "nobody":
            person.refuse("Nobody does.", "created_by")
"""


@pytest.mark.parametrize("database", DATABASES)
def test_every_name_and_every_kind_is_served(copy: Path, tmp_path: Path, database: str) -> None:
    """Every name that WatermelonDB allows; and `flask db migrate` finds nothing to do again."""
    add(copy, (HERE / "named_models.py").read_text())
    (copy / "app" / "rules.py").write_text(NAMED_RULE)
    with fresh_database(database, tmp_path) as url:
        environ = environment(database, url, MELON_APP="app", TEST_APP="app")
        run(copy, "flask", "--app", "wsgi", "db", "upgrade", **environ)
        run(copy, "flask", "--app", "wsgi", "db", "migrate", "-m", "Names", **environ)
        run(copy, "flask", "--app", "wsgi", "db", "upgrade", **environ)
        again = run(copy, "flask", "--app", "wsgi", "db", "migrate", "-m", "None", **environ)
        assert "no migration is needed" in again
        run(copy, "flask", "--app", "wsgi", "db", "check", **environ)
        names = ["tests/own_tables/names.py", "-p", "no:xdist", "-k", database]
        output = run(copy, sys.executable, "-m", "pytest", *names, **environ)
        assert "passed" in output
        assert "name: 'is_deleted'" in run(copy, "flask", "--app", "wsgi", "sync", "schema")
        run(copy, "flask", "--app", "wsgi", "db", "downgrade", **environ)


def second(name: str, on_phones: str = "") -> str:
    """Another class behind the wrong one, which has nothing wrong."""
    text = f"x: Mapped[int]\n\nclass Second(Synced, db.Model):\n    __tablename__ = {name!r}\n"
    return text + (f"    __phone_name__ = {on_phones!r}\n" if on_phones else "")


WRONG = {
    "own_key": ("id: Mapped[int] = mapped_column(primary_key=True)", "'id' belongs to the sync"),
    "reserved": ("is_deleted: Mapped[bool]", "'is_deleted' belongs to the sync engine"),
    "reserved_name": ('_status: Mapped[str] = mapped_column("_status", String(9))', "'_status'"),
    "sqlite_name": ("rowid: Mapped[int]", "'rowid' is reserved"),
    "javascript_name": ("valueOf: Mapped[int]", "'valueOf' is reserved"),
    "throws_in_the_client": ("propertyIsEnumerable: Mapped[int]", "WatermelonDB could not"),
    "underlines": ('x: Mapped[int] = mapped_column(info=phone_name("__x"))', "'__x' is reserved"),
    "engine's_column": (
        'x: Mapped[str] = mapped_column("Created_By", String(9))',
        'info=phone_name("Created_By")',
    ),
    "engine's_attribute": (
        'created_by: Mapped[str] = mapped_column("x", String(9))',
        'own_created_by: … = mapped_column(…, info=phone_name("created_by"))',
    ),
    "sqlalchemy's": ("metadata: Mapped[str]", 'metadata_: … = mapped_column("metadata", …)'),
    "twice_on_phones": (
        'x: Mapped[int]\n    y: Mapped[int] = mapped_column(info=phone_name("x"))',
        "2 columns are 'x' on phones",
    ),
    "twice_in_the_database": ("x: Mapped[int]\n    X: Mapped[int]", "2 columns are 'x' in the"),
    "long_column": (f"{'x' * 65}: Mapped[int]", 'mapped_column("short", …, info=phone_name(…))'),
    "named_otherwise": ('x: Mapped[int] = mapped_column("y", key="z")', "leave `key=` out"),
    "taken_table": (second("users"), '__tablename__ = "app_users", __phone_name__ = "users"'),
    "taken_by_alembic": (second("Alembic_Version"), "there is a table 'Alembic_Version' already"),
    "taken_in_another_case": (second("TASKS"), "there is a table 'TASKS' already"),
    "long_table": (second("x" * 65), '__tablename__ = "short", __phone_name__ = …'),
    "sqlite's_table": (second("sqlite_x"), "'sqlite_x' is reserved in SQLite"),
    "two_of_one_name": (second("x", "tasks"), "Task and Second are both 'tasks' on phones"),
    "parent_by_its_phone_name": (
        'x: Mapped[str] = belongs_to("y")' + second("x", "y").removeprefix("x: Mapped[int]"),
        """'y' is what phones call it; write its __tablename__, belongs_to("x")""",
    ),
    "a_table_as_base": (
        "x: Mapped[int]\n\nclass Second(Wrong):\n    y: Mapped[int]\n",
        "Second: it inherits Wrong, which is a table itself; a class for what several tables have",
    ),
    "no_base": (
        "x: Mapped[int]\n\nclass Second(Synced):\n    __tablename__ = 'x'\n",
        "Second: it inherits in another order than class Second(Synced, db.Model)",
    ),
    "bases_turned": (
        "x: Mapped[int]\n\nclass Second(db.Model, Synced):\n    __tablename__ = 'x'\n",
        "it inherits in another order than class Second(Synced, db.Model)",
    ),
    "schema": ("x: Mapped[int]\n    __table_args__ = {'schema': 'x'}", "leave that out"),
    "not_mapped": ("x: Mapped[dict]", "Wrong: Could not locate SQLAlchemy Core type"),
    "unsafe_name": ('x: Mapped[str] = mapped_column("a b", String(9))', "'a b' is reserved"),
    "leaves": (
        'task_id: Mapped[str] = mapped_column(String(36), ForeignKey("tasks.id"))',
        'belongs_to("tasks")',
    ),
    "unsynced_parent": ('session_id: Mapped[str] = belongs_to("sessions")', "does not sync"),
    "no_parent": ('x_id: Mapped[str] = belongs_to("nowhere")', "there is no table"),
    "float": ("x: Mapped[float] = mapped_column(Float)", "use String(n), Text"),
    "date": ("x: Mapped[Any] = mapped_column(DateTime)", "does not sync"),
    "no_length": ("x: Mapped[str]", "wrongs.x: String() does not sync; use String(n)"),
    "no_mapped": ("x: int", 'Wrong: Type annotation for "Wrong.x"'),
    "enum": ('x: Mapped[str] = mapped_column(Enum("low", "high"))', "does not sync"),
    "narrow": ("x: Mapped[int] = mapped_column(mysql.TINYINT())", "does not sync"),
    "ascii": ('x: Mapped[str] = mapped_column(mysql.VARCHAR(9, charset="ascii"))', "not sync"),
    "long": ("x: Mapped[str] = mapped_column(String(16384))", "16383 at most"),
    "last_modified": ("last_modified: Mapped[str] = mapped_column(String(9))", "wants a number"),
    "blanks": ("x: Mapped[str] = mapped_column(CHAR(9))", "does not sync"),
    "collation": ('x: Mapped[str] = mapped_column(String(9, "latin1_bin"))', "does not sync"),
    "precision": ("x: Mapped[float] = mapped_column(Double(53))", "does not sync"),
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


def wrong_model(column: str) -> str:
    text = f'{HEAD}\nclass Wrong(Synced, db.Model):\n    __tablename__ = "wrongs"\n    {column}\n'
    text += "\nclass Other(Synced, db.Model):\n    __tablename__ = 'others'\n"
    return text + '    wrong_id: Mapped[str | None] = belongs_to("wrongs")\n'


def test_a_model_that_cannot_work_stops_the_start(copy: Path) -> None:
    """One after the other in the same copy, whose other modules are compiled by then."""
    models = copy / "app" / "models.py"
    whole = models.read_text()
    for fine in ("", wrong_model("x: Mapped[float]; y: Mapped[int | None]; z: Mapped[bool]")):
        models.write_text(whole + fine)
        assert started(copy).returncode == 0
    for number, (kind, (column, sentence)) in enumerate(WRONG.items()):
        models.write_text(whole + wrong_model(column))
        os.utime(models, (number, number))  # two may be of one second and one length
        told = start(copy)
        assert sentence in told, kind
        assert len(told.splitlines()) == (2 if kind == "unsafe_name" else 1), told  # each fault


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


def start(copy: Path) -> str:
    """What is said by a start that fails: sentences, no traceback."""
    done = started(copy)
    assert done.returncode == 1, "it started"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def started(copy: Path) -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {"INSTANCE_PATH": str(copy / "instance"), "APP_ENV": "testing"}
    return forks.run("wsgi", cwd=copy, environ=environ)
