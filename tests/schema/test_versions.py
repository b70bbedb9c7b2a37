"""The versions that years of migrations make, and phones of each of them that are updated."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import past
import pytest
from conftest import install_packages
from flask import Flask
from printed import HERE, compiled, node

from melon_api.models.names import PHONE
from tools.app_schema.history import (
    HistoryError,
    Version,
    check_beginning,
    drift,
    versions,
    versions_in,
)
from tools.app_schema.statements import Sql
from tools.app_schema.steps import AddColumns, Change, CreateTable, Past, change
from tools.app_schema.typescript import migrations_module, schema_module
from tools.app_schema.view import AppColumn, Tables

History = Callable[..., list[Version]]
ALL = range(1, 8)
NOTES_OF_5 = {"table": "notes", "columns": ["body", "text"]}


@pytest.fixture
def history(plain_app: Flask, tmp_path: Path) -> History:
    """The versions of these years."""

    def read(years: Any = past.YEARS, first: int = 1, since: str | None = None) -> list[Version]:
        name = f"since-{since}" if since else "migrations"
        folder = past.write(tmp_path / name, years)
        with plain_app.app_context():
            return versions_in(folder, first=first, since=since)

    return read


def test_only_what_an_app_sees_makes_a_version(history: History) -> None:
    found = history()
    assert [(version.number, version.origin[:4]) for version in found] == [
        (1, "0002"),
        (2, "0004"),
        (3, "0005"),
        (4, "0006"),
        (5, "0007"),
        (6, "0008"),
        (7, "0009"),
    ]
    assert set(found[0].tables) == {"notes", "labels"}
    assert set(found[0].tables["notes"]) == {"title", "body", "size", "color", "folder_id"}
    assert found[0].change.steps == []


def test_an_app_may_begin_with_a_version_of_its_own(history: History) -> None:
    found = history(first=7)
    assert [version.number for version in found] == [7, 8, 9, 10, 11, 12, 13]
    text = migrations_module(found).text()
    assert "migrationsAfter = (own: Migrations)" in text
    assert "export const migrations " not in text


def test_what_phones_have_already_is_not_made_again(history: History) -> None:
    """The app's own version 7 has all tables up to a revision."""
    found = history(first=7, since="0004")
    assert [(v.number, v.origin[:4]) for v in found][:2] == [(7, "0004"), (8, "0005")]
    assert "folders" in found[0].tables
    assert "createTable" not in migrations_module(found[:2]).text()
    whole = history(first=7, since="0009")
    assert [version.number for version in whole] == [7]
    with pytest.raises(HistoryError, match="there is no revision 4711"):
        history(first=7, since="4711")


def test_where_the_apps_version_ends_must_be_said(app: Flask) -> None:
    """`flask sync schema --first-version 7` alone would be a guess with several revisions."""
    with app.app_context():
        assert [version.number for version in versions(7)] == [7]
        several = [
            Version(7, "a_0001 x", {}, Change([], [])),
            Version(8, "a_0002 y", {}, Change([], [])),
        ]
        with pytest.raises(HistoryError, match="a_0001, a_0002; say with --since"):
            check_beginning(several, 7, None)
        check_beginning(several, 7, "a_0001")
        check_beginning(several, 1, None)


def test_each_version_adds_what_is_new(history: History) -> None:
    added = {
        version.number: [
            (step.table, list(step.columns))
            for step in version.change.steps
            if isinstance(step, CreateTable | AddColumns)
        ]
        for version in history()
    }
    assert added == {
        1: [],
        2: [("folders", ["name"]), ("notes", ["is_pinned"])],
        3: [],
        4: [("labels", ["word"]), ("notes", ["color"])],
        5: [("notes", ["size"])],
        6: [("notes", ["body"])],
        7: [("notes", ["text"])],
    }


def test_what_phones_would_lose_is_said(history: History) -> None:
    cautions = {version.number: " ".join(version.change.cautions) for version in history()}
    assert cautions[1] == cautions[2] == ""
    assert "labels is gone" in cautions[3] and "notes.color is gone" in cautions[3]
    assert "labels was there before" in cautions[4]
    assert "notes.size was a string" in cautions[5]
    for number, lost in ((3, "what was not pushed by then is lost"), (3, "edits that were not")):
        assert lost in cautions[number]
    assert "notes.body was optional" in cautions[6]
    assert "Was notes.body renamed to text?" in cautions[7]


REQUIRED = (
    "A folder is needed",
    'alter("notes", "folder_id", nullable=False, existing_type=sa.String(36))',
)
ADDED = (
    "An author is needed",
    """
    add("notes", sa.Column("author_id", sa.String(36), nullable=False, server_default=""))
    op.create_index("idx_notes_author_id", "notes", ["user_id", "author_id"])
    add("notes", sa.Column("word", sa.String(36), nullable=False, server_default=""))
    """,
)


def test_a_parent_that_becomes_required_is_asked_for_again(history: History) -> None:
    """Else the phone's next push of the record names none, and is refused for ever."""
    found = history([*past.YEARS[:4], REQUIRED, ADDED])
    required, added = (version.change for version in found[-2:])
    assert [list(one.columns) for one in required.steps if isinstance(one, AddColumns)] == [
        ["folder_id"]
    ]
    for done, name in ((required, "folder_id"), (added, "author_id")):
        (caution,) = [one for one in done.cautions if "apps of before" in one]
        assert caution.startswith(f"notes.{name} is a parent that each record needs")
    assert not any("apps of before" in one for v in found[:-2] for one in v.change.cautions)


@pytest.mark.parametrize("version", range(1, 6))
def test_what_becomes_required_keeps_what_people_wrote(
    phones: dict[str, Any], version: int
) -> None:
    """A null is pulled anew instead of pushed as '' over what the server filled in."""
    insert = "INSERT INTO notes (id, _status, _changed, body) VALUES"
    phone = updated(
        phones,
        version,
        f"{insert} ('a', 'updated', 'body,title', NULL)",
        f"{insert} ('b', 'updated', 'body', 'B')",
        f"{insert} ('c', 'created', '', 'C')",
    )
    rows = phone.execute("SELECT id, _status, _changed, body FROM notes ORDER BY id").fetchall()
    assert rows == [
        ("a", "updated", "title", ""),
        ("b", "updated", "body", "B"),
        ("c", "created", "", "C"),
    ]
    left = phone.execute("SELECT name FROM sqlite_master WHERE name LIKE '\\_%' ESCAPE '\\'")
    assert left.fetchall() == []


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What WatermelonDB itself makes of the history, by version; `versions.js` says how."""
    install_packages(HERE)
    folder = tmp_path_factory.mktemp("phones")
    (folder / "app").mkdir()
    app = Flask(__name__)
    with app.app_context():
        found = versions_in(past.write(folder / "migrations"))
    for version in found:
        text = schema_module(version.number, version.tables).text()
        (folder / "app" / f"schema{version.number}.ts").write_text(text)
    (folder / "app" / "migrations.ts").write_text(migrations_module(found).text())
    with app.app_context():
        later = versions_in(folder / "migrations", first=7)
    (folder / "app" / "after.ts").write_text(migrations_module(later).text())
    told = node("versions.js", APP=compiled(folder, "app") / "app")
    return {key: {int(n): v for n, v in of.items()} for key, of in json.loads(told).items()}


def columns(phone: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in phone.execute(f'PRAGMA table_info("{table}")')}


def indices(phone: sqlite3.Connection) -> set[str]:
    rows = phone.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {row[0].replace("if not exists ", "") for row in rows}


class Phone(sqlite3.Connection):
    """A phone's database, closed when nobody has it any more, by whichever thread notices."""

    def __del__(self) -> None:
        self.close()


def updated(phones: dict[str, Any], version: int, *statements: str) -> sqlite3.Connection:
    """A phone of this version, on which these statements were run before it was updated."""
    phone = Phone(":memory:", check_same_thread=False)
    phone.executescript(phones["setup"][version])
    for statement in statements:
        phone.execute(statement)
    phone.executescript(phones["migrate"][version])
    return phone


@pytest.mark.parametrize("version", ALL)
def test_a_phone_of_any_version_gets_all_tables(phones: dict[str, Any], version: int) -> None:
    """In SQLite, as on a device: what a new one has, the updated one has, too."""
    old, fresh = updated(phones, version), updated(phones, ALL[-1])
    for table in ("notes", "labels", "folders"):
        assert columns(old, table) >= columns(fresh, table)
    assert indices(old) >= indices(fresh)
    assert columns(fresh, "notes") >= {"title", "text", "size", "color", "folder_id", "is_pinned"}


@pytest.mark.parametrize("version", ALL)
def test_what_a_phone_holds_stays(phones: dict[str, Any], version: int) -> None:
    """The edit that waits to be pushed, too; but of no column whose values it has given up."""
    body = "text" if version == ALL[-1] else "body"
    phone = updated(
        phones,
        version,
        f"INSERT INTO notes (id, _changed, _status, title, {body}, size, folder_id)"
        " VALUES ('a', 'size,title', 'updated', 'T', NULL, '3', 'f')",
    )
    columns = "_changed, _status, title, folder_id, size"
    (row,) = phone.execute(f"SELECT {columns} FROM notes WHERE id = 'a'")
    given_up = version < 5
    changed, size = ("title", None) if given_up else ("size,title", "3")
    assert row == (changed, "updated", "T", "f", size)


def test_a_table_in_between_is_called_as_no_model_can_be() -> None:
    """`tasks_next` and `_next_tasks` may be synced tables themselves."""
    size = AppColumn("size", "string")
    before: Tables = {name: {"size": size} for name in ("tasks", "tasks_next", "_next_tasks")}
    after: Tables = {**before, "tasks": {"size": AppColumn("size", "number")}}
    past_names = Past()
    past_names.note(before)
    made = [one.text for one in change(before, after, past_names).steps if isinstance(one, Sql)]
    names = {text.split('"')[1] for text in made if text.startswith("create table")}
    assert names and not any(PHONE.match(name) for name in names)
    phone = Phone(":memory:", check_same_thread=False)
    for name in before:
        phone.execute(f'create table "{name}" (id primary key, _changed, _status, size)')
    phone.executescript("".join(made))
    assert columns(phone, "tasks") == {"id", "_changed", "_status"}
    assert columns(phone, "tasks_next") == {"id", "_changed", "_status", "size"}


def test_no_old_row_comes_back(phones: dict[str, Any]) -> None:
    """Of a table, and of a column, that went and came again."""
    phone = updated(
        phones,
        1,
        "INSERT INTO labels (id, name) VALUES ('old', 'x')",
        "INSERT INTO notes (id, _changed, color) VALUES ('a', 'color', 'red')",
    )
    assert phone.execute("SELECT * FROM labels").fetchall() == []
    assert phone.execute("SELECT color, _changed FROM notes").fetchall() == [(None, "")]


def test_the_server_is_asked_for_what_is_new(phones: dict[str, Any]) -> None:
    """By migration sync, with which given-up values come back from the server."""
    asked = phones["asked"]
    assert asked[1] == {
        "from": 1,
        "tables": ["folders", "labels"],
        "columns": [{"table": "notes", "columns": ["is_pinned", "color", "size", "body", "text"]}],
    }
    assert asked[4]["columns"] == [{"table": "notes", "columns": ["size", "body", "text"]}]
    assert asked[5] == {**asked[4], "from": 5, "columns": [NOTES_OF_5]}


def test_migrations_that_branch_have_no_order(plain_app: Flask, tmp_path: Path) -> None:
    folder = past.write(tmp_path / "migrations", past.YEARS[:2])
    past.write_one(folder, "0002b", "0001", "Another one", "pass")
    with plain_app.app_context(), pytest.raises(HistoryError, match="branch at 0001"):
        versions_in(folder)


def test_a_column_that_no_app_could_hold_is_named(history: History) -> None:
    years = [past.YEARS[0], ("Due", 'synced("x", sa.Column("due", sa.Date()))')]
    with pytest.raises(HistoryError, match=r"after revision 0002, x\.due is a DATE"):
        history(years)


def test_drift_is_an_error_that_names_the_places(plain_app: Flask, tmp_path: Path) -> None:
    plain_app.config["APP_MIGRATIONS"] = tmp_path / "none"
    plain_app.config["MIGRATIONS"] = past.write(tmp_path / "migrations", past.YEARS[:2])
    with plain_app.app_context(), pytest.raises(HistoryError) as raised:
        versions()
    assert "labels is only in the migrations" in str(raised.value)
    assert "projects is only in the models" in str(raised.value)
    said = plain_app.test_cli_runner().invoke(args=["sync", "schema"])
    assert said.exit_code == 1
    assert said.output == f"Error: {raised.value}\n"


def test_a_migration_that_asks_the_session_asks_no_real_database(
    plain_app: Flask, tmp_path: Path
) -> None:
    body = """
        from melon_api.models.base import db
        assert str(db.engine.url) == "sqlite://"
        assert db.session.execute(sa.text("SELECT count(*) FROM notes")).scalar() == 0
        """
    folder = past.write(tmp_path / "migrations", [*past.YEARS[:2], ("Data", body)])
    with plain_app.app_context():
        assert len(versions_in(folder)) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('op.execute("ALTER TABLE notes MODIFY title TEXT")', "OperationalError"),
        ('op.create_unique_constraint("u", "notes", ["title"])', "NotImplementedError"),
        ('op.get_bind().execute(sa.text("SELECT 1 WHERE 0")).one()', "NoResultFound"),
    ],
)
def test_a_migration_that_sqlite_cannot_run_is_named(
    plain_app: Flask, tmp_path: Path, body: str, reason: str
) -> None:
    years = [*past.YEARS[:2], ("MySQL's own", body)]
    plain_app.config["APP_MIGRATIONS"] = tmp_path / "none"
    plain_app.config["MIGRATIONS"] = past.write(tmp_path / "migrations", years)
    said = plain_app.test_cli_runner().invoke(args=["sync", "schema"])
    assert said.exit_code == 1
    assert said.output.startswith("Error: revision 0003 does not run on SQLite")
    assert reason in said.output
    assert 'if op.get_bind().dialect.name == "mysql"' in said.output


def test_a_migration_may_be_guarded_or_commit_for_itself(history: History) -> None:
    body = """
        if op.get_bind().dialect.name == "mysql":
            op.execute("ALTER TABLE notes MODIFY title TEXT")
        add("notes", sa.Column("due", sa.Integer(), nullable=True))
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX idx_y ON notes (title)")
        add("notes", sa.Column("word", sa.Integer(), nullable=True))
        """
    found = history([*past.YEARS[:2], ("Both", body), *past.YEARS[3:5]])
    assert list(found[1].tables["notes"])[-2:] == ["due", "word"]
    assert len(found) == 4


def test_a_flag_declared_in_raw_sql_is_a_boolean(history: History) -> None:
    body = """
        op.execute("ALTER TABLE notes ADD COLUMN is_raw TINYINT(1) NOT NULL DEFAULT 0")
        op.execute("ALTER TABLE notes ADD COLUMN small TINYINT(4) NOT NULL DEFAULT 0")
        add("notes", sa.Column("is_own", sa.Boolean(), nullable=False, server_default="0"))
        """
    notes = history([*past.YEARS[:2], ("Flags", body)])[-1].tables["notes"]
    types = [notes[name].type for name in ("is_raw", "is_own", "small")]
    assert types == ["boolean", "boolean", "number"]


def test_drift_names_both_sides_types() -> None:
    ours: Tables = {
        "a": {"x": AppColumn("x", "number"), "y": AppColumn("y", "string", optional=True)}
    }
    theirs: Tables = {"a": {"x": AppColumn("x", "boolean", indexed=True)}}
    assert sorted(drift(ours, theirs)) == [
        "a.x (in the migrations number, in the models boolean indexed)",
        "a.y (in the migrations string optional, in the models missing)",
    ]
