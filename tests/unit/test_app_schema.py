"""An app's schema beside the server's: what differs is weighed by what is lost; the commands."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import APP
from flask import Flask

import config as settings
from melon_api import create_app
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.sanitize import sanitize
from tools.app_schema.differences import ERROR, HINT, WARNING, differences
from tools.app_schema.modules import Module, one_text
from tools.app_schema.reading import app_schema, read_schema
from tools.app_schema.view import from_models

ROOT = Path(__file__).parents[2]


def columns(**changed: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The app's tasks; a column with other words, with None left out."""
    own: dict[str, dict[str, Any]] = {
        "title": {"type": "string"},
        "description": {"type": "string", "isOptional": True},
        "is_completed": {"type": "boolean"},
        "project_id": {"type": "string", "isIndexed": True},
        "created_at": {"type": "number"},
        "updated_at": {"type": "number"},
    }
    wanted: dict[str, dict[str, Any] | None] = {**own, **changed}
    return [{"name": name, **words} for name, words in wanted.items() if words is not None]


def found(tables: dict[str, Any]) -> list[tuple[str, str]]:
    app = app_schema(
        {"version": 1, "tables": {n: {"name": n, "columns": c} for n, c in tables.items()}}
    )
    return [(one.gravity, one.place) for one in differences(app, from_models())]


PROJECTS = [
    {"name": "name", "type": "string"},
    {"name": "description", "type": "string", "isOptional": True},
]
STRING, NUMBER, BOOLEAN = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
OPTIONAL = {"isOptional": True}
WEIGHED: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, []),
    "no times": ({"created_at": None, "updated_at": None}, []),
    "unknown": ({"due": NUMBER}, [(ERROR, "tasks.due")]),
    "the engine's": ({"is_deleted": BOOLEAN}, [(ERROR, "tasks.is_deleted")]),
    "missing": ({"description": None}, [(WARNING, "tasks.description")]),
    "no parent": ({"project_id": None}, [(ERROR, "tasks.project_id")]),
    "type": ({"is_completed": NUMBER}, [(ERROR, "tasks.is_completed")]),
    "optional text": ({"title": STRING | OPTIONAL}, [(WARNING, "tasks.title")]),
    "required text": ({"description": STRING}, [(WARNING, "tasks.description")]),
    "optional flag": ({"is_completed": BOOLEAN | OPTIONAL}, [(ERROR, "tasks.is_completed")]),
    "optional parent": (
        {"project_id": STRING | OPTIONAL | {"isIndexed": True}},
        [(ERROR, "tasks.project_id")],
    ),
    "no index": ({"project_id": STRING}, [(HINT, "tasks.project_id")]),
    "more index": ({"title": STRING | {"isIndexed": True}}, []),
    "the gravest first": (
        {"due": NUMBER, "description": STRING, "project_id": STRING},
        [(ERROR, "tasks.due"), (WARNING, "tasks.description"), (HINT, "tasks.project_id")],
    ),
}


@pytest.mark.parametrize("case", WEIGHED)
def test_differences_are_weighed_by_what_is_lost(case: str) -> None:
    changed, expected = WEIGHED[case]
    assert found({"projects": PROJECTS, "tasks": columns(**changed)}) == expected


def test_tables_are_missed_on_either_side() -> None:
    assert found({"projects": PROJECTS, "tags": []}) == [(ERROR, "tags"), (WARNING, "tasks")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", 5),
        ("title", True),
        ("is_completed", "x"),
        ("is_completed", 7),
        ("created_at", "5"),
        ("created_at", True),
    ],
)
def test_a_wrong_type_is_an_error_because_the_server_empties_it(column: str, value: Any) -> None:
    """Contract push 5."""
    tasks = synced_tables()["tasks"]
    values, _misfits, _repairs = sanitize(tasks, {"id": "a", column: value})
    assert values[column] == next(c.empty for c in tasks.columns if c.name == column)


# --- the commands


def invoke(app: Flask, *arguments: str, **more: Any) -> Any:
    return app.test_cli_runner().invoke(args=["sync", *arguments], **more)


def printed_schema() -> str:
    page = (ROOT / "docs" / "stock-client.md").read_text()
    (text,) = re.findall(r"```js schema\n(.*?)```", page, flags=re.DOTALL)
    return str(text)


def test_they_need_neither_settings_nor_a_database(tmp_path: Path) -> None:
    """And leave the developer's alone."""
    away = {"DATABASE_URL": "mysql://nobody:x@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}
    for environ in ({}, away):
        app = create_app(settings.load(environ | {"MELON_APP": APP}, tmp_path))
        done = invoke(app, "schema")
        assert done.exit_code == 0, done.output
        assert "export const schema = appSchema({" in done.output
        fits = invoke(app, "check-schema", "-", input=printed_schema())
        assert fits.exit_code == 0, fits.output
    assert not list(tmp_path.rglob("*.db"))


def test_the_printed_schema_fits(plain_app: Flask, tmp_path: Path) -> None:
    (tmp_path / "schema.js").write_text(printed_schema())
    done = invoke(plain_app, "check-schema", str(tmp_path / "schema.js"))
    assert (done.exit_code, done.output) == (0, "The app's schema fits the server's.\n")


def test_a_difference_that_loses_data_ends_with_1(plain_app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "schema.js"
    path.write_text(printed_schema().replace("'is_completed'", "'is_done'"))
    done = invoke(plain_app, "check-schema", str(path))
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "error: tasks.is_done: the server has no such column; a push drops its values, the next"
        " pull empties them",
        "warning: tasks.is_completed: the app has no such column; the server keeps what it has",
        "Error: 1 of 2 differences lose data.",
    ]


def test_the_printed_json_and_the_printed_text_fit(plain_app: Flask) -> None:
    for form, name in (("json", "schema.json"), ("watermelon", "schema.ts")):
        printed = invoke(plain_app, "schema", "--format", form)
        assert printed.exit_code == 0, printed.output
        assert differences(read_schema(printed.output, name), from_models()) == []
    piped = invoke(
        plain_app, "check-schema", "-", input=invoke(plain_app, "schema", "--format", "json").output
    )
    assert piped.output == "The app's schema fits the server's.\n"


def test_what_people_changed_is_not_written_over(plain_app: Flask, tmp_path: Path) -> None:
    app = tmp_path / "app"
    command = ["schema", "--output", str(app)]
    assert invoke(plain_app, *command).exit_code == 0
    schema, task = app / "schema.ts", app / "models" / "Task.ts"
    printed = schema.read_text()
    task.write_text(task.read_text() + "export const mine = 1\n")
    schema.unlink()
    refused = invoke(plain_app, *command)
    assert refused.exit_code == 1
    assert str(task) in refused.output
    assert not schema.exists(), "nothing is written"
    assert invoke(plain_app, *command, "--force").exit_code == 0
    assert schema.read_text() == printed
    assert "mine" not in task.read_text()


def test_files_of_others_and_other_ends_of_lines(plain_app: Flask, tmp_path: Path) -> None:
    app = tmp_path / "app"
    command = ["schema", "--output", str(app)]
    invoke(plain_app, *command)
    schema = app / "schema.ts"
    schema.write_bytes(schema.read_bytes().replace(b"\n", b"\r\n"))
    old = app / "models" / "Tag.ts"
    old.write_text((app / "models" / "Task.ts").read_text())
    (app / "models" / "mine.ts").write_text("export const mine = 1\n")
    done = invoke(plain_app, *command)
    assert done.exit_code == 0, done.output
    assert f"{old} is of a table that is gone" in done.output
    assert "mine.ts" not in done.output
    assert old.exists() and (app / "models" / "mine.ts").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "schema.ts").write_text("mine")
    assert invoke(plain_app, "schema", "--output", str(foreign)).exit_code == 1
    assert [path.name for path in foreign.iterdir()] == ["schema.ts"]


def test_a_file_may_have_a_mark_at_its_beginning_and_must_be_text(
    plain_app: Flask, tmp_path: Path
) -> None:
    path = tmp_path / "schema.js"
    path.write_text(printed_schema(), encoding="utf-8-sig")
    assert invoke(plain_app, "check-schema", str(path)).exit_code == 0
    path.write_bytes(b"\xff\xfe")
    done = invoke(plain_app, "check-schema", str(path))
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert "can't decode" in done.output


def test_one_text_imports_each_name_once() -> None:
    """Compiled in tests/schema/test_grown.py: of two imports of one name TypeScript takes none."""
    modules = [
        Module("a", ["1"], {"p": {"Model", "type Query"}}),
        Module("b", ["2"], {"p": {"type Model", "type Relation"}}),
    ]
    text = one_text(modules)
    assert text.startswith("import { Model, type Query, type Relation } from 'p'\n")
