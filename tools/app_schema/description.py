"""The app's schema and its migrations as JSON, for other tools."""

import json
from typing import Any

from tools.app_schema.history import Version
from tools.app_schema.steps import AddColumns, CreateTable, Step
from tools.app_schema.view import Columns, Tables


def describe(versions: list[Version], tables: Tables) -> str:
    """`{version, tables, migrations}` in the words of `appSchema` and `schemaMigrations`."""
    migrations = [
        {"toVersion": version.number, "steps": [_step(step) for step in version.change.steps]}
        for version in versions[1:]
    ]
    listed = [{"name": name, "columns": _columns(columns)} for name, columns in tables.items()]
    answer = {"version": versions[-1].number, "tables": listed, "migrations": migrations}
    return json.dumps(answer, indent=2)


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, CreateTable):
        return {"type": "create_table", "name": step.table, "columns": _columns(step.columns)}
    if isinstance(step, AddColumns):
        return {"type": "add_columns", "table": step.table, "columns": _columns(step.columns)}
    return {"type": "sql", "sql": step.text}


def _columns(columns: Columns) -> list[dict[str, Any]]:
    return [
        {"name": column.name, "type": column.type}
        | ({"isOptional": True} if column.optional else {})
        | ({"isIndexed": True} if column.indexed else {})
        for column in columns.values()
    ]
