"""The versions of the app's schema, found in the migrations.

The migrations run one after another on an SQLite in memory, and what the app would see is looked
at after each: the first with synced tables makes the first version, each later one that changes
the app's view another. So a version's number is as lasting as the migrations, which are never
changed once they are released. The last version must be what the models say.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Connection
from sqlalchemy.dialects.mysql import TINYINT

from melon_api.models.base import db
from melon_api.ops import migrations
from tools.app_schema.steps import Change, Past, change
from tools.app_schema.view import AppColumn, Tables, UnknownType, from_database, from_models

MEMORY = {"SQLALCHEMY_DATABASE_URI": "sqlite://", "SQLALCHEMY_ENGINE_OPTIONS": {}}


class HistoryError(Exception):
    """The migrations give no history; the message says what to change."""


@dataclass(frozen=True)
class Version:
    """`number` as in `appSchema`; `origin` names the revision that made it."""

    number: int
    origin: str
    tables: Tables
    change: Change


def versions(first: int = 1, since: str | None = None) -> list[Version]:
    """All versions, the oldest as number `first`: what phones hold of it is there after revision
    `since`, which must be named where there are several. Raises HistoryError and ModelError."""
    wanted = from_models()
    found = versions_in(*migrations.folders(), first=first, since=since)
    _check(found[-1].tables if found else {}, wanted)
    check_beginning(found, first, since)
    return found


def check_beginning(found: list[Version], first: int, since: str | None) -> None:
    """Whether it is known what version `first` holds. Raises HistoryError."""
    if first > 1 and since is None and len(found) > 1:
        revisions = ", ".join(version.origin.partition(" ")[0] for version in found)
        raise HistoryError(
            f"the tables were made by more than one revision: {revisions}; say with --since which"
            f" of them version {first} ends with, or phones would be told to make what they have"
        )


def versions_in(
    folder: Path, *more: Path, first: int = 1, since: str | None = None
) -> list[Version]:
    """What the migrations of these folders make. Raises HistoryError."""
    config, scripts = migrations.read(folder, *more)
    found: list[Version] = []
    past = Past()
    for origin, tables in _from(since, _snapshots(config, scripts)):
        before = found[-1].tables if found else {}
        if tables == before:
            continue
        step = change(before, tables, past) if found else Change([], [])
        found.append(Version(first + len(found), origin, tables, step))
        past.note(tables)
    return found


def _from(since: str | None, all_: list[tuple[str, Tables]]) -> list[tuple[str, Tables]]:
    """What comes before `since` is part of it. Raises HistoryError."""
    if since is None:
        return all_
    revisions = [origin.partition(" ")[0] for origin, _ in all_]
    if since not in revisions:
        raise HistoryError(f"there is no revision {since}; there are {', '.join(revisions)}")
    return all_[revisions.index(since) :]


def _check(migrated: Tables, wanted: Tables) -> None:
    if not wanted:
        raise HistoryError("no model syncs yet (docs/own-tables.md)")
    if different := sorted(drift(migrated, wanted)):
        raise HistoryError(
            f"models and migrations differ: {', '.join(different)}; write a migration"
            " (flask db migrate)"
        )


def drift(migrated: Tables, wanted: Tables) -> Iterator[str]:
    """Every place where the two differ."""
    for table in migrated.keys() | wanted.keys():
        ours, theirs = migrated.get(table, {}), wanted.get(table, {})
        if not ours or not theirs:
            yield f"{table} is only in the {'models' if theirs else 'migrations'}"
            continue
        for name in ours.keys() | theirs.keys():
            if ours.get(name) != theirs.get(name):
                sides = f"{_told(ours.get(name))}, in the models {_told(theirs.get(name))}"
                yield f"{table}.{name} (in the migrations {sides})"


def _told(column: AppColumn | None) -> str:
    if column is None:
        return "missing"
    flags = " optional" * column.optional + " indexed" * column.indexed
    return f"{column.type}{flags}"


def _snapshots(config: Any, scripts: Any) -> list[tuple[str, Tables]]:
    """(revision, what the app sees after it), the oldest first."""
    from alembic.operations import Operations  # noqa: PLC0415 - Alembic is not for servers
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

    found = []
    phone_names: migrations.PhoneNames = {}
    with _memory() as connection, EnvironmentContext(config, scripts) as environment:
        # In a transaction of Alembic's each, without which there is no `autocommit_block`.
        environment.configure(connection=connection, transactional_ddl=True)
        context = environment.get_context()
        with Operations.context(context):
            for one in _in_order(scripts):
                with context.begin_transaction():
                    _upgrade(one)
                    phone_names |= migrations.phone_names_of(one)
                    seen = _seen(connection, phone_names, one.revision)
                    found.append((f"{one.revision} {one.doc}", seen))
    return found


def _upgrade(script: Any) -> None:
    """A migration is anybody's code: whatever stops it, its revision is named."""
    try:
        script.module.upgrade()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise HistoryError(
            f"revision {script.revision} does not run on SQLite, by which the versions are found"
            f" ({type(error).__name__}: {reason}); guard"
            ' what only MySQL can do: if op.get_bind().dialect.name == "mysql": …'
        ) from error


def _in_order(scripts: Any) -> list[Any]:
    """The oldest first: Melon's own, then the app's; of what meets in a merge, what it names first.

    Raises HistoryError where two of the app's stand side by side: any order would be a guess.
    """
    heads = scripts.get_revisions(scripts.get_heads())
    melons = [one for one in heads if one.branch_labels == {migrations.MELON}]
    apps = [one for one in heads if one not in melons]
    if len(apps) > 1:
        forks = [one for one in scripts.walk_revisions() if one.is_branch_point]
        places = ", ".join(one.revision for one in forks or apps)
        raise HistoryError(
            f"the migrations branch at {places}, so versions have no order; put one after the other"
            " (down_revision), or merge them (flask db merge)"
        )
    return _with_ancestors(scripts, [*melons, *apps])


def _with_ancestors(scripts: Any, heads: list[Any]) -> list[Any]:
    """Each after all that it needs; a dict is a set that keeps its order."""
    done: dict[Any, None] = {}
    open_ = heads[::-1]
    while open_:
        one = open_[-1]
        needed = [*_names(one.dependencies), *_names(one.down_revision)]
        missing = [before for before in scripts.get_revisions(needed) if before not in done]
        if missing:
            open_ += missing[::-1]
        else:
            done[open_.pop()] = None
    return [*done]


def _names(revisions: str | Iterable[str] | None) -> Iterable[str]:
    return [revisions] if isinstance(revisions, str) else revisions or ()


def _seen(connection: Connection, phone_names: migrations.PhoneNames, revision: str) -> Tables:
    try:
        return from_database(connection, phone_names)
    except UnknownType as error:
        raise HistoryError(f"after revision {revision}, {error}") from None


@contextmanager
def _memory() -> Iterator[Connection]:
    """An empty database that is nobody's; a migration that asks `db.session` meets it, too."""
    app = Flask(__name__)
    app.config.from_mapping({**current_app.config, **MEMORY})
    db.init_app(app)
    with app.app_context(), db.engine.connect() as connection:
        dialect: Any = connection.dialect  # this engine's own
        dialect.ischema_names = {**dialect.ischema_names, "TINYINT": TINYINT}
        yield connection
