"""From one version of the app's schema to the next, in the steps that a phone can run. Pure.

WatermelonDB 0.28 can create tables, add columns and run SQL; on LokiJS (web) it leaves SQL out. It
cannot drop or change anything: what is gone stays on the phone, unused. So a name that comes
again, or with another type, is cleared away first, whether the phone still has it or not, and then
added anew: migration sync (contract pull 5) brings the server's values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from melon_api.sync.app_schema.view import AppColumn, Columns, Tables, Type

STANDARD = ("id", "_changed", "_status")  # of every table on a phone
EMPTY: dict[Type, str] = {"string": "''", "number": "0", "boolean": "0"}  # `nullValue` in SQLite
WEB = "LokiJS (web) runs no SQL"


@dataclass(frozen=True)
class CreateTable:
    table: str
    columns: Columns


@dataclass(frozen=True)
class AddColumns:
    table: str
    columns: Columns


@dataclass(frozen=True)
class Sql:
    """One statement, with its semicolon."""

    text: str


Step = CreateTable | AddColumns | Sql


@dataclass
class Past:
    """Names that phones may still have: of all versions so far."""

    tables: set[str] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)

    def note(self, tables: Tables) -> None:
        self.tables |= tables.keys()
        self.columns |= {(table, column) for table in tables for column in tables[table]}


@dataclass(frozen=True)
class Change:
    """What a phone does to reach a version, and what its developer should know."""

    steps: list[Step]
    cautions: list[str]


def change(before: Tables, after: Tables, past: Past) -> Change:
    """`past` holds every version up to `before`."""
    steps: list[Step] = []
    cautions = [
        f"{name} is gone. Phones keep their rows of it, unused."
        for name in before
        if name not in after
    ]
    for name, columns in after.items():
        if name in before:
            done = _change_table(name, before[name], columns, past)
        else:
            done = _create_table(name, columns, past)
        steps += done.steps
        cautions += done.cautions
    return Change(steps, cautions)


def _create_table(name: str, columns: Columns, past: Past) -> Change:
    create = CreateTable(name, columns)
    if name not in past.tables:
        return Change([create], [])
    caution = (
        f"{name} was there before. Phones drop what they still hold of it. {WEB} and shows its old"
        " rows again: a new name would be safe there, too."
    )
    return Change([Sql(f'drop table if exists "{name}";'), create], [caution])


def _change_table(name: str, before: Columns, after: Columns, past: Past) -> Change:
    retyped = {c for c in after if c in before and after[c].type != before[c].type}
    added = {c: after[c] for c in after if c not in before or c in retyped}
    kept = {c: after[c] for c in after if c not in added}
    cleared = [c for c in added if (name, c) in past.columns]
    steps: list[Step] = []
    if cleared:
        steps += _rebuild(name, kept, cleared)
    else:
        steps += _index(name, before, kept)
    steps += _fill(name, before, kept)
    if added:
        steps.append(AddColumns(name, added))
    return Change(steps, list(_cautions(name, before, after, retyped, cleared)))


def _rebuild(table: str, kept: Columns, cleared: list[str]) -> Iterator[Sql]:
    """Without the cleared columns, which only some phones have; an edit of them that waits to be
    pushed is forgotten, or the push would write the emptied value over the server's."""
    names = [*STANDARD, *kept]
    changed = "',' || \"_changed\" || ','"
    for column in cleared:
        changed = f"replace({changed}, ',{column},', ',')"
    values = [f"trim({changed}, ',')" if n == "_changed" else f'"{n}"' for n in names]
    quoted = ['"id" primary key', *(f'"{n}"' for n in names[1:])]
    listed = ", ".join(f'"{n}"' for n in names)
    yield Sql(f'create table "{table}_next" ({", ".join(quoted)});')
    yield Sql(f'insert into "{table}_next" ({listed}) select {", ".join(values)} from "{table}";')  # noqa: S608
    yield Sql(f'drop table "{table}";')
    yield Sql(f'alter table "{table}_next" rename to "{table}";')
    yield _create_index(table, "_status")
    yield from (_create_index(table, column.name) for column in kept.values() if column.indexed)


def _index(table: str, before: Columns, kept: Columns) -> Iterator[Sql]:
    for name, column in kept.items():
        if column.indexed and not before[name].indexed:
            yield _create_index(table, name)
        elif before[name].indexed and not column.indexed:
            yield Sql(f'drop index if exists "{table}_{name}";')


def _create_index(table: str, column: str) -> Sql:
    """Under WatermelonDB's own name for it."""
    return Sql(f'create index if not exists "{table}_{column}" on "{table}" ("{column}");')


def _fill(table: str, before: Columns, kept: Columns) -> Iterator[Sql]:
    """A null that may be no more reads as the empty value, but a query would not find it."""
    for name, column in kept.items():
        if before[name].optional and not column.optional:
            empty = EMPTY[column.type]
            yield Sql(f'update "{table}" set "{name}" = {empty} where "{name}" is null;')  # noqa: S608


def _cautions(
    table: str, before: Columns, after: Columns, retyped: set[str], cleared: Iterable[str]
) -> Iterator[str]:
    gone = [before[c] for c in before if c not in after]
    born = [after[c] for c in after if c not in before]
    for column in gone:
        yield f"{table}.{column.name} is gone. Phones keep their values of it, unused."
        yield from _rename(table, column, born)
    for name in cleared:
        if name in retyped:
            yield (
                f"{table}.{name} was a {before[name].type}. Phones drop their values and pull the"
                f" server's; edits that were not pushed by then are lost. {WEB}: there such an edit"
                " is pushed as the empty value. A new name would lose nothing."
            )


def _rename(table: str, gone: AppColumn, born: list[AppColumn]) -> Iterator[str]:
    same = [column.name for column in born if column.type == gone.type]
    if same:
        yield (
            f"Was {table}.{gone.name} renamed to {' or '.join(same)}? Edits that phones had not"
            " pushed by then are lost; two releases lose nothing (docs/operations.md)."
        )
