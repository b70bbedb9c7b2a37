"""What `flask sync schema` prints compiles under strict TypeScript, and works in the client."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import install_packages
from printed import HERE, compiled, node, printed
from servers import serving

from melon_api.sync.rules.kinds.texts import Reference, String
from melon_api.sync.rules.tables import Column, Parent, SyncedTable
from tools.app_schema.classes import class_modules
from tools.app_schema.files import write
from tools.app_schema.history import Version
from tools.app_schema.steps import Change
from tools.app_schema.typescript import migrations_module, schema_module
from tools.app_schema.view import AppColumn, Tables


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(HERE)


@pytest.mark.usefixtures("packages")
def test_the_printed_app_compiles_and_syncs(tmp_path: Path) -> None:
    """As files and as the one text, with TypeScript's compiler and with Babel."""
    app = tmp_path / "app"
    printed(tmp_path, "--output", str(app))
    (tmp_path / "one.ts").write_text(printed(tmp_path, "--format", "watermelon"))
    (tmp_path / "first.ts").write_text((HERE / "first.ts").read_text())
    out = compiled(tmp_path, "first.ts")
    assert "transformed" in node("babel.js", APP=app, OUT=tmp_path / "babel")
    with serving("sqlite", tmp_path, workers=1) as server:
        for made in (out / "app", tmp_path / "babel"):
            said = node("first.js", MELON_URL=server.url, APP=made)
            assert "two phones hold the same" in said


def synced(name: str, model: str, *columns: Column, parents: tuple[Parent, ...] = ()) -> Any:
    return SyncedTable(name, model, cast(Any, None), columns, parents)


# {column: its property}: Model's own, JavaScript's, and two that would be the same.
AWKWARD = {
    "table": "tableColumn",
    "observe": "observeColumn",
    "sync_status": "syncStatusColumn",
    "to_string": "toStringColumn",
    "has_own_property": "hasOwnPropertyColumn",
    "delete": "delete",
    "foo_bar": "fooBar",
    "fooBar": "fooBarColumn",
    "Line__2": "line2",
}
REFERENCES = ("date_id", "other_id", "above_id")


@pytest.mark.usefixtures("packages")
def test_names_that_are_taken_are_told_apart(tmp_path: Path) -> None:
    refers = [Column(n, Reference(36), optional=n != "date_id") for n in REFERENCES]
    parents = tuple(
        Parent(n, "models" if n == "above_id" else "dates", required=n == "date_id")
        for n in REFERENCES
    )
    texts = [Column(name, String(9), optional=False) for name in AWKWARD]
    tables = {
        "dates": synced("dates", "Date", Column("name", String(9), optional=False)),
        "models": synced("models", "Model", *texts, *refers, parents=parents),
    }
    view: Tables = {
        name: {c.name: AppColumn(c.name, "string", c.optional) for c in table.columns}
        for name, table in tables.items()
    }
    first = Version(1, "0001", view, Change([], []))
    modules = [schema_module(1, view), migrations_module([first]), *class_modules(tables)]
    write(modules, tmp_path / "app")
    out = compiled(tmp_path, "app")
    said = node("awkward.js", APP=out / "app", NAMES=json.dumps(AWKWARD))
    assert "every column is reached" in said
    models = {path.stem for path in (tmp_path / "app" / "models").iterdir()}
    assert models == {"DateRecord", "ModelRecord", "OptionalRelation", "index"}
