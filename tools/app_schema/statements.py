"""The SQL that changes a table on a phone where WatermelonDB has no step for it. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from melon_api.sync.rules.kinds.kind import AppType
from tools.app_schema.view import Columns

STANDARD = ("id", "_changed", "_status")  # of every table on a phone
EMPTY: dict[AppType, str] = {"string": "''", "number": "0", "boolean": "0"}  # `nullValue` in SQLite
# Tables of the time between: no synced table's name begins so (WatermelonDB's rules for names).
NEXT, HELD = "__next_", "__held_"


@dataclass(frozen=True)
class Sql:
    """One statement, with its semicolon."""

    text: str


def rebuild(table: str, kept: Columns, cleared: Collection[str], held: Columns) -> Iterator[Sql]:
    """Without the cleared columns, which only some phones have. An edit of them that waits to be
    pushed is forgotten, or the push would write the emptied value over the server's; but one that
    gave a value to a column of `held`, whose values `put_back` brings again, waits on."""
    if held:
        yield from _hold(table, held)
    names = [*STANDARD, *kept]
    changed = _still_changed(cleared, held)
    values = [changed if n == "_changed" else f'"{n}"' for n in names]
    quoted = ['"id" primary key', *(f'"{n}"' for n in names[1:])]
    future = f'"{NEXT}{table}"'
    yield Sql(f"create table {future} ({', '.join(quoted)});")
    yield Sql(
        f'insert into {future} ({_listed(names)}) select {", ".join(values)} from "{table}";'  # noqa: S608
    )
    yield Sql(f'drop table "{table}";')
    yield Sql(f'alter table {future} rename to "{table}";')
    yield _create_index(table, "_status")
    yield from (_create_index(table, column.name) for column in kept.values() if column.indexed)


def _hold(table: str, held: Columns) -> Iterator[Sql]:
    names = ["id", *held]
    past = f'"{HELD}{table}"'
    yield Sql(f'create table {past} ("id" primary key, {_listed(list(held))});')
    yield Sql(
        f'insert into {past} ({_listed(names)}) select {_listed(names)} from "{table}";'  # noqa: S608
    )


def put_back(table: str, held: Columns) -> Iterator[Sql]:
    """What `rebuild` held, once the columns are there again; a null is the empty value."""
    past = f'"{HELD}{table}"'
    for name, column in held.items():
        value = f'select "{name}" from {past} where {past}."id" = "{table}"."id"'  # noqa: S608
        empty = EMPTY[column.type]
        yield Sql(f'update "{table}" set "{name}" = coalesce(({value}), {empty});')  # noqa: S608
    yield Sql(f"drop table {past};")


def _still_changed(cleared: Collection[str], held: Columns) -> str:
    changed = "',' || \"_changed\" || ','"
    for column in cleared:
        gone = f"',{column},'"
        if column in held:  # nothing is replaced where the text looked for is empty
            gone = f"case when \"{column}\" is null then {gone} else '' end"
        changed = f"replace({changed}, {gone}, ',')"
    return f"trim({changed}, ',')"


def change_indices(table: str, before: Columns, kept: Columns) -> Iterator[Sql]:
    for name, column in kept.items():
        if column.indexed and not before[name].indexed:
            yield _create_index(table, name)
        elif before[name].indexed and not column.indexed:
            yield Sql(f'drop index if exists "{table}_{name}";')


def _create_index(table: str, column: str) -> Sql:
    """Under WatermelonDB's own name for it."""
    return Sql(f'create index if not exists "{table}_{column}" on "{table}" ("{column}");')


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
