"""An app's schema is read as people write it, or refused with the line."""

import json
import sys

import pytest

from tools.app_schema.reading import AppSchema, read_schema
from tools.app_schema.unreadable import Unreadable
from tools.app_schema.view import AppColumn, Tables

IMPORT = "import { appSchema, tableSchema, columnName } from '@nozbe/watermelondb'\n"
TIMES = "const times = [{ name: 'created_at', type: 'number' }]\n"
NOTES = {"notes": {"title": AppColumn("title", "string")}}
TIMED = {"notes": NOTES["notes"] | {"created_at": AppColumn("created_at", "number")}}


def script(tables: str, before: str = "", after: str = "") -> str:
    return (
        f"{IMPORT}{before}export default appSchema({{ version: 3, tables: [{tables}] }})\n{after}"
    )


def notes(columns: str) -> str:
    return f"tableSchema({{ name: 'notes', columns: [{columns}] }})"


TITLE = "{ name: 'title', type: 'string' }"
PLAIN = {"name": "title", "type": "string"}
BY_NAME = {"title": PLAIN}  # as `appSchema` answers it
READABLE: dict[str, tuple[str, Tables]] = {
    "table": (script("notes", f"const notes = {notes(TITLE)}\n"), NOTES),
    "literal": (script(notes(TITLE)), NOTES),
    "quotes": (script(notes("{ 'name': \"title\", type: `string`, }")), NOTES),
    "spread": (script(notes(f"{TITLE}, ...times"), TIMES), TIMED),
    "frozen": (
        script(
            notes(f"{TITLE}, ...times"), TIMES.replace("[", "Object.freeze([", 1).strip() + ")\n"
        ),
        TIMED,
    ),
    "whole list": (
        script("tableSchema({ name: 'notes', columns })", f"const columns = [{TITLE}]\n"),
        NOTES,
    ),
    "base": (
        script(notes("{ ...base, name: 'title' }"), "const base = { type: 'string' } as const\n"),
        NOTES,
    ),
    "names": (
        script(
            "tableSchema({ name: Tables.NOTES, columns: [" + TITLE + "] })",
            "export const Tables = { NOTES: 'notes' } as const\n",
            "class N { static table = Tables.NOTES }\n",
        ),
        NOTES,
    ),
    "typed name": (script(notes("{ name: columnName('title'), type: 'string' }")), NOTES),
    "comments": (script(notes(f"/* one */ {TITLE}, // two\n")), NOTES),
    "sql": (
        script(
            "tableSchema({ name: 'notes', columns: ["
            + TITLE
            + "], unsafeSql: (sql) => sql + ';' })"
        ),
        NOTES,
    ),
    "twice": (
        script(
            notes(f"{TITLE}, ...all") + ", tableSchema({ name: 'more', columns: all })",
            TIMES + "const all = [...times]\n",
        ),
        TIMED | {"more": {"created_at": AppColumn("created_at", "number")}},
    ),
    "migrations beside": (
        script(
            notes(f"{TITLE}, ...times"),
            "import { createTable } from '@nozbe/watermelondb/Schema/migrations'\n" + TIMES,
            "createTable({ name: 'x', columns: [...times] })\nexport { times }\n",
        ),
        TIMED,
    ),
    "used after": (
        script(notes(TITLE)).replace("export default", "const schema =")
        + "new Database({ adapter: new Adapter({ schema }) })\n"
        "schema.tables.notes.columnArray.map((one) => one.name)\n"
        "export default schema",
        NOTES,
    ),
    "require": (
        "const { appSchema, tableSchema: t } = require('@nozbe/watermelondb')\n"
        "const notes = t({ name: 'notes', columns: [" + TITLE + "] })\n"
        "module.exports = { schema: appSchema({ version: 3, tables: [notes] }) }",
        NOTES,
    ),
    "json": (json.dumps({"version": 3, "tables": [{"name": "notes", "columns": [PLAIN]}]}), NOTES),
    "json of the result": (
        json.dumps({"version": 3, "tables": {"notes": {"name": "notes", "columns": BY_NAME}}}),
        NOTES,
    ),
}


@pytest.mark.parametrize("ending", ["ts", "js"])
@pytest.mark.parametrize("form", READABLE)
def test_a_schema_is_read_as_people_write_it(form: str, ending: str) -> None:
    text, tables = READABLE[form]
    if ending == "js":
        text = text.replace(" as const", "")
    assert read_schema(text, f"schema.{ending}") == AppSchema(3, tables)


def test_flags_are_read() -> None:
    text = script(notes("{ name: 'a_id', type: 'string', isOptional: true, isIndexed: true }"))
    column = read_schema(text, "schema.ts").tables["notes"]["a_id"]
    assert column == AppColumn("a_id", "string", optional=True, indexed=True)


REFUSED = {
    "no schema": ("export const x = 1", "one appSchema"),
    "another's appSchema": (
        script(notes(TITLE)).replace("@nozbe/watermelondb", "./mine"),
        "lines: none",
    ),
    "two": (script(notes(TITLE), after="appSchema({ version: 1, tables: [] })"), "lines: 2, 3"),
    "imported columns": (
        script(notes("...times"), "import { times } from './times'\n"),
        "line 3: `times` is no constant",
    ),
    "let": (script(notes("...times"), TIMES.replace("const", "let")), "`times` is no constant"),
    "computed": (script(notes("...times.map((x) => x)"), TIMES), "only known to a running app"),
    "conditional": (script(notes(f"...(__DEV__ ? [] : [{TITLE}])")), "only known to a running app"),
    "called": (
        f"{IMPORT}export const make = () => appSchema({{ version: 1, tables: [] }})",
        "when the file is loaded",
    ),
    "if": (
        f"{IMPORT}if (x) {{ appSchema({{ version: 1, tables: [] }}) }}",
        "when the file is loaded",
    ),
    "pushed": (
        script(notes("...times"), TIMES, "times.push({})"),
        "line 4: `times` might be changed",
    ),
    "pushed before": (script(notes("...times"), TIMES + "times.push({})\n"), "might be changed"),
    "given away": (script(notes("...times"), TIMES, "mutate(times)"), "might be changed"),
    "given away in parts": (
        script(notes("...times"), TIMES, "mutate(...times)"),
        "might be changed",
    ),
    "assigned": (script(notes("...times"), TIMES, "times[0].name = 'x'"), "might be changed"),
    "alias": (script(notes("...times"), TIMES, "const a = times"), "might be changed"),
    "renamed": (
        script("tableSchema({ name: T.N, columns: [] })", "const T = { N: 'n' }\n", "T.N = 'm'"),
        "might be changed",
    ),
    "changed after": (
        script(notes(TITLE), after="").replace("export default", "const schema =")
        + "schema.tables.notes = tableSchema({ name: 'notes', columns: [] })",
        "line 3: `schema` might be changed",
    ),
    "assigned to": (
        script(notes(TITLE), after="").replace("export default", "const schema =")
        + "Object.assign(schema.tables, {})",
        "line 3: `schema` might be changed",
    ),
    "changed in an object": (
        script(
            notes("...times"),
            TIMES,
            "const step = addColumns({ table: 'x', columns: times })\nstep.columns.push({})",
        ).replace("columnName }", "columnName, addColumns }"),
        "line 5: `step` might be changed",
    ),
    "taken apart into": (
        script(
            "tableSchema({ name: T.N, columns: [] })", "const T = { N: 'n' }\n", ";[T.N] = ['m']"
        ),
        "line 4: `T` might be changed",
    ),
    "taken apart by name": (
        script(
            "tableSchema({ name: T.N, columns: [] })", "const T = { N: 'n' }\n", ";({ a: T.N } = x)"
        ),
        "line 4: `T` might be changed",
    ),
    "prototype": (
        script(notes("{ name: 'a', type: 'string', __proto__: { isOptional: true } }")),
        "line 2: `__proto__`",
    ),
    "circle": (script(notes("...a"), "const a = [...b]\nconst b = [...a]\n"), "is made of itself"),
    "broken": (script(notes("{ name: ")), "line 2"),
    "computed key": (
        script(notes("{ ['name']: 'x', type: 'string' }")),
        "only known to a running app",
    ),
    "escape": (script(notes("{ name: 'a\\x62', type: 'string' }")), "no plain text"),
    "template": (script(notes("{ name: `a${b}`, type: 'string' }")), "no plain text"),
    "type": (script(notes("{ name: 'a', type: 'date' }")), "notes.a: its type is"),
    "twice": (script(notes(f"{TITLE}, {TITLE}")), "notes.title is there twice"),
    "no name": (script(notes("{ type: 'string' }")), "notes: a column has no name"),
    "flag": (script(notes("{ name: 'a', type: 'string', isOptional: 'yes' }")), "true or false"),
    "json": ('{"version": ', "is no JSON"),
    "no version": ('{"tables": []}', "version: a whole number"),
    "no tables": ('{"version": 1}', "tables: a list is needed"),
    "table": ('{"version": 1, "tables": [3]}', "an object is needed"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_known_is_refused(form: str) -> None:
    text, sentence = REFUSED[form]
    with pytest.raises(Unreadable) as raised:
        read_schema(text, "schema.js")
    assert sentence in str(raised.value)


def test_json_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tree_sitter")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("script", "syntax"):
        monkeypatch.delitem(sys.modules, f"tools.app_schema.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    text, tables = READABLE["json"]
    assert read_schema(text, "schema.json").tables == tables
    with pytest.raises(Unreadable, match=r"pip install -r requirements-schema\.txt"):
        read_schema(READABLE["literal"][0], "schema.ts")
