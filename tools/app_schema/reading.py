"""An app's own schema, read from what it has in its sources or from JSON."""

import json
from dataclasses import dataclass
from typing import Any, cast, get_args

from melon_api.sync.rules.kinds.kind import AppType
from tools.app_schema.unreadable import Unreadable
from tools.app_schema.view import AppColumn, Columns, Tables


@dataclass(frozen=True)
class AppSchema:
    version: int
    tables: Tables


def read_schema(text: str, name: str) -> AppSchema:
    """From JSON, in the form of `appSchema`'s argument or of its result; else from TypeScript or
    JavaScript, by the ending of `name`. Raises Unreadable, and never guesses."""
    if text.lstrip().startswith("{"):
        try:
            return app_schema(json.loads(text))
        except json.JSONDecodeError as error:
            raise Unreadable(f"{name} is no JSON: {error}") from None
    try:
        from tools.app_schema.script import evaluate_schema  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise Unreadable(
            f"{error.name} is not installed (pip install -r requirements-schema.txt); JSON can be"
            " read without it (docs/app-schema.md)"
        ) from None
    return app_schema(evaluate_schema(text, name))


def app_schema(value: Any) -> AppSchema:
    """From `{version, tables}`, tables and columns as a list or by name. Raises Unreadable."""
    given = _an_object(value, "the schema")
    version = given.get("version")
    if type(version) is not int or version < 1:
        raise Unreadable("version: a whole number from 1 on is needed")
    tables: Tables = {}
    for table in _listed(given.get("tables"), "tables"):
        name = _name(table, "a table")
        if name in tables:
            raise Unreadable(f"{name} is there twice")
        tables[name] = _columns(name, table.get("columns"))
    return AppSchema(version, tables)


def _columns(table: str, value: Any) -> Columns:
    columns: Columns = {}
    for one in _listed(value, f"{table}: columns"):
        name = _name(one, f"{table}: a column")
        if name in columns:
            raise Unreadable(f"{table}.{name} is there twice")
        columns[name] = _column(f"{table}.{name}", name, one)
    return columns


def _column(place: str, name: str, given: dict[str, Any]) -> AppColumn:
    kind = _type(place, given.get("type"))
    flags = [given.get(flag) for flag in ("isOptional", "isIndexed")]
    if any(flag is not None and type(flag) is not bool for flag in flags):
        raise Unreadable(f"{place}: isOptional and isIndexed are true or false")
    return AppColumn(name, kind, bool(flags[0]), bool(flags[1]))


def _type(place: str, value: Any) -> AppType:
    for kind in get_args(AppType):
        if value == kind:
            return cast(AppType, kind)
    raise Unreadable(f"{place}: its type is 'string', 'number' or 'boolean', not {value!r}")


def _listed(value: Any, place: str) -> list[dict[str, Any]]:
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise Unreadable(f"{place}: a list is needed")
    return [_an_object(item, f"each of {place}") for item in items]


def _an_object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{place}: an object is needed")
    return value


def _name(value: dict[str, Any], place: str) -> str:
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise Unreadable(f"{place} has no name")
    return name
