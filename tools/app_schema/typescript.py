"""The app's `appSchema` and `schemaMigrations` as TypeScript."""

import textwrap
from collections.abc import Iterable

from tools.app_schema.history import Version
from tools.app_schema.modules import Module
from tools.app_schema.steps import AddColumns, CreateTable, Step
from tools.app_schema.view import AppColumn, Columns, Tables

SCHEMA, MIGRATIONS = "@nozbe/watermelondb", "@nozbe/watermelondb/Schema/migrations"


def schema_module(version: int, tables: Tables) -> Module:
    """`schema`, with the tables and columns in this order."""
    lines = ["export const schema = appSchema({", f"  version: {version},", "  tables: ["]
    for name, columns in tables.items():
        lines += [f"    {line}" for line in _table("tableSchema", name, columns)]
    return Module("schema", [*lines, "  ],", "})"], {SCHEMA: {"appSchema", "tableSchema"}})


def migrations_module(versions: list[Version]) -> Module:
    """`serverMigrations`, and `migrations` made of them; where the first version is not 1, the app
    puts those to its own versions before it (`migrationsAfter`)."""
    first, *later = versions
    used = {type(step) for version in later for step in version.change.steps}
    wanted = {"createTable": CreateTable, "addColumns": AddColumns}
    names = {name for name, step in wanted.items() if step in used} | {"schemaMigrations"}
    if used - set(wanted.values()):
        names.add("unsafeExecuteSql")
    lines = ["type Migrations = Parameters<typeof schemaMigrations>[0]['migrations']", ""]
    listed = [f"  {line}" for version in later for line in _migration(version)]
    head = "export const serverMigrations: Migrations = ["
    lines += [head, *listed, "]"] if listed else [f"{head}]"]
    lines += ["", *_migrations(first.number)]
    return Module("migrations", lines, {MIGRATIONS: names})


def _migrations(first: int) -> list[str]:
    if first == 1:
        return ["export const migrations = schemaMigrations({ migrations: serverMigrations })"]
    return [
        f"/** With the app's own migrations, to versions 2 to {first}. */",
        "export const migrationsAfter = (own: Migrations) =>",
        "  schemaMigrations({ migrations: [...own, ...serverMigrations] })",
    ]


def _migration(version: Version) -> Iterable[str]:
    yield from _comment(version.origin)
    for caution in version.change.cautions:
        yield from _comment(f"CAUTION: {caution}")
    steps = [f"    {line}" for step in version.change.steps for line in _step(step)]
    listed = ["  steps: [", *steps, "  ],"] if steps else ["  steps: [],"]
    yield from ("{", f"  toVersion: {version.number},", *listed, "},")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 98, initial_indent="// ", subsequent_indent="// ")


def _step(step: Step) -> list[str]:
    if isinstance(step, CreateTable):
        return _table("createTable", step.table, step.columns)
    if isinstance(step, AddColumns):
        return _table("addColumns", step.table, step.columns, key="table")
    return [f"unsafeExecuteSql(`{step.text}`),"]


def _table(call: str, name: str, columns: Columns, key: str = "name") -> list[str]:
    lines = [f"{call}({{", f"  {key}: '{name}',", "  columns: ["]
    return [*lines, *(f"    {_column(c)}," for c in columns.values()), "  ],", "}),"]


def _column(column: AppColumn) -> str:
    flags = ", isOptional: true" * column.optional + ", isIndexed: true" * column.indexed
    return f"{{ name: '{column.name}', type: '{column.type}'{flags} }}"
