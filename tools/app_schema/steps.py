"""From one version of the app's schema to the next, in the steps that a phone can run. Pure.

WatermelonDB 0.28 can create tables, add columns and run SQL; on LokiJS (web) it leaves SQL out. It
cannot drop or change anything: what is gone stays on the phone, unused. So a name that comes
again, or with another type, is cleared away first, whether the phone still has it or not, and then
added anew: migration sync (contract pull 5) brings the server's values. So is a column that becomes
required: with its next push a phone would write the empty value over what the server filled in.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tools.app_schema.statements import Sql, change_indices, put_back, rebuild
from tools.app_schema.view import AppColumn, Columns, Tables

WEB = "LokiJS (web) runs no SQL"


@dataclass(frozen=True)
class CreateTable:
    table: str
    columns: Columns


@dataclass(frozen=True)
class AddColumns:
    table: str
    columns: Columns


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
        f"{name} is gone. Phones keep their rows of it, unused; what was not pushed by then is"
        " lost, also where the table was renamed."
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
    held = {
        c: after[c]
        for c in after
        if c in before and c not in retyped and before[c].optional and not after[c].optional
    }
    added = {c: after[c] for c in after if c not in before or c in retyped or c in held}
    kept = {c: after[c] for c in after if c not in added}
    cleared = [c for c in added if (name, c) in past.columns]
    if cleared:
        steps: list[Step] = [*rebuild(name, kept, cleared, held)]
    else:
        steps = [*change_indices(name, before, kept)]
    if added:
        steps.append(AddColumns(name, added))
    if held:
        steps += put_back(name, held)
    return Change(steps, list(_cautions(name, before, after, retyped, held)))


def _cautions(
    table: str, before: Columns, after: Columns, retyped: Collection[str], held: Columns
) -> Iterator[str]:
    gone = [before[c] for c in before if c not in after]
    born = [after[c] for c in after if c not in before]
    for column in gone:
        yield (
            f"{table}.{column.name} is gone. Phones keep their values of it, unused; edits that"
            " were not pushed by then are lost."
        )
        yield from _rename(table, column, born)
    for name in after:
        if name in retyped:
            yield (
                f"{table}.{name} was a {before[name].type}. Phones drop their values and pull the"
                f" server's; edits that were not pushed by then are lost. {WEB}: there such an edit"
                " is pushed as the empty value. A new name would lose nothing."
            )
        elif name in held:
            yield (
                f"{table}.{name} was optional. Phones pull what the server filled in for null."
                f" {WEB}: there an edit that was not pushed by then is pushed as the empty value."
            )
    for column in [*born, *held.values()]:
        if column.is_parent and not column.optional:
            yield (
                f"{table}.{column.name} is a parent that each record needs: apps of before can"
                " create no such record without it, and what they push then is refused"
                " (unknown_parent). Leave it optional while such apps are in use."
            )


def _rename(table: str, gone: AppColumn, born: list[AppColumn]) -> Iterator[str]:
    same = [column.name for column in born if column.type == gone.type]
    if same:
        yield (
            f"Was {table}.{gone.name} renamed to {' or '.join(same)}? Edits that phones had not"
            " pushed by then are lost; two releases lose nothing (docs/operations.md)."
        )
