"""How an app's schema differs from the server's, and what that does to people's data. Pure.

Judged by what both sides do with a value that does not fit: the client's `sanitizedRaw` on a pull,
the server's `sanitize` on a push (contract push 5). A record is pushed whole, so what the phone
could not hold of a pulled record goes back to the server with its next edit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from melon_api.models.synced import COMMON, INTERNAL
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from tools.app_schema.reading import AppSchema
from tools.app_schema.view import AppColumn, Columns, Tables

ERROR, WARNING, HINT = "error", "warning", "hint"
ORDER = (ERROR, WARNING, HINT)
EMPTY = {"string": "''", "number": "0", "boolean": "false"}


@dataclass(frozen=True)
class Difference:
    """An error loses data or makes pushes fail, a warning does not, a hint is about speed."""

    gravity: str
    place: str
    sentence: str


def differences(app: AppSchema, server: Tables) -> list[Difference]:
    """The gravest first."""
    found = [*_tables(app.tables, server)]
    for name in app.tables.keys() & server.keys():
        found += _columns(synced_tables()[name], app.tables[name], server[name])
    return sorted(found, key=lambda one: (ORDER.index(one.gravity), one.place))


def _tables(app: Tables, server: Tables) -> Iterator[Difference]:
    for name in app.keys() - server.keys():
        yield Difference(
            ERROR, name, "the server has no such table; a push with records of it is refused"
        )
    for name in server.keys() - app.keys():
        yield Difference(WARNING, name, "the app has no such table; its records stay away")


def _columns(table: SyncedTable, app: Columns, server: Columns) -> Iterator[Difference]:
    required = {parent.column for parent in table.parents if parent.required}
    for name in app.keys() - server.keys():
        yield Difference(ERROR, f"{table.name}.{name}", _unknown(name))
    for name in server.keys() - app.keys():
        if name in required:
            sentence = "the app has no such column; the server takes no record without this parent"
            yield Difference(ERROR, f"{table.name}.{name}", sentence)
        elif name not in COMMON:
            sentence = "the app has no such column; the server keeps what it has"
            yield Difference(WARNING, f"{table.name}.{name}", sentence)
    for name in app.keys() & server.keys():
        for gravity, sentence in _column(app[name], server[name], name in required):
            yield Difference(gravity, f"{table.name}.{name}", sentence)


def _unknown(name: str) -> str:
    if name in INTERNAL:
        return (
            "the server has a column of this name for itself; give the model one that phones call "
            f'so: info=phone_name("{name}") (docs/own-tables.md)'
        )
    return "the server has no such column; a push drops its values, the next pull empties them"


def _column(app: AppColumn, server: AppColumn, is_required: bool) -> Iterator[tuple[str, str]]:
    if app.type != server.type:
        yield (
            ERROR,
            (
                f"{app.type} in the app, {server.type} on the server; each side empties what the"
                " other wrote"
            ),
        )
    elif app.optional != server.optional:
        yield _optional(app, is_required)
    if server.indexed and not app.indexed:
        yield HINT, "not indexed in the app (isIndexed); children are looked up by it"


def _optional(app: AppColumn, is_required: bool) -> tuple[str, str]:
    empty = EMPTY[app.type]
    if app.optional and is_required:
        return ERROR, "optional in the app; the server takes no record without this parent"
    gravity = WARNING if app.type == "string" else ERROR
    if app.optional:
        return gravity, f"optional in the app, not on the server; a null becomes {empty}"
    return gravity, (
        f"optional on the server, not in the app; a null is {empty} on this phone, and is pushed so"
        " with the record's next edit"
    )
