"""Databases with data are upgraded in place, from before shared spaces on: the servers themselves
say which table a migration copies, and whether it can be read and written meanwhile."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from conftest import unmigrated
from flask import Flask
from flask_migrate import downgrade
from flask_migrate import upgrade as upgrade_to
from sqlalchemy import Engine, MetaData, event, func, select, text

from benchmarks.upgrading import BEFORE, coming, table_ids
from melon_api.models.base import db
from melon_api.ops.migrations import upgrade
from melon_api.storage import engine

# The one table that InnoDB builds anew: an address that may be null (docs/operations.md).
COPIED = {"0011": {"users"}}
SETS_OF_ROWS = re.compile(r"\s*(UPDATE|DELETE|INSERT INTO \w+ .*SELECT|REPLACE)\b", re.I | re.S)


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """With a row in each table that the release before spaces had."""
    with unmigrated(request.param, tmp_path) as app:
        for revision in BEFORE:
            upgrade_to(revision=revision)
        write("a")
        yield app


def reflected() -> MetaData:
    tables = MetaData()
    tables.reflect(db.engine)
    tables.remove(tables.tables["alembic_version"])
    return tables


def write(letter: str, tables: MetaData | None = None) -> None:
    """A row into each, or each of these, with all columns that it has there; keys and texts are
    the letter, so that one refers to the other."""
    tables = tables or reflected()
    with db.engine.begin() as connection:
        for table in tables.sorted_tables:
            row = {column.name: sample(column, letter) for column in table.columns}
            connection.execute(table.insert(), row)


def sample(column: Any, letter: str) -> Any:
    kind = column.type.python_type
    if kind is datetime:
        return datetime.now(UTC).replace(tzinfo=None)
    return letter if kind is str else kind(ord(letter) if kind is int else 1)


def rows(tables: MetaData) -> dict[str, int | None]:
    counts = {t.name: select(func.count()).select_from(t) for t in tables.sorted_tables}
    with db.engine.connect() as connection:
        return {name: connection.scalar(query) for name, query in counts.items()}


ON_SERVERS = pytest.mark.parametrize("app", ["mariadb", "mysql"], indirect=True)


@ON_SERVERS
def test_no_table_is_copied(app: Flask) -> None:
    """But for those of COPIED; none of a migration to come, either."""
    copied: dict[str, set[str]] = {}
    for revision in coming():
        before = table_ids()
        upgrade_to(revision=revision)
        after = table_ids()
        anew = {name for name, number in before.items() if after[name] != number}
        copied |= {revision: anew} if anew else {}
    assert copied == COPIED


@ON_SERVERS
def test_a_copied_table_is_read_and_written_meanwhile(app: Flask) -> None:
    """The server is asked to refuse what would keep anybody out."""
    asked = []

    def ask(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> Any:
        if re.match(r"\s*ALTER TABLE users MODIFY", statement):
            asked.append(statement)
            statement += ", ALGORITHM=INPLACE, LOCK=NONE"
        return statement, parameters

    event.listen(Engine, "before_cursor_execute", ask, retval=True)
    try:
        upgrade()
    finally:
        event.remove(Engine, "before_cursor_execute", ask)
    assert len(asked) == len(COPIED)


@ON_SERVERS
def test_a_long_transaction_is_waited_for(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """MySQL and MariaDB cannot undo the half of a migration that was done by then; and while it
    pauses, requests for the table pass."""
    monkeypatch.setattr(engine, "TABLE_WAIT_SECONDS", 1)

    def migrate() -> None:
        with app.app_context():
            upgrade()

    with ThreadPoolExecutor(1) as thread:
        with db.engine.connect() as connection:
            connection.execute(text("SELECT * FROM users"))
            migrating = thread.submit(migrate)
            while "a long transaction holds the table" not in caplog.text:
                assert not migrating.done(), migrating.result()
                time.sleep(0.05)
            with db.engine.connect() as another:
                assert another.execute(text("SELECT * FROM users")).all()
        migrating.result()
    assert coming()[-1] in revisions()


def revisions() -> set[str]:
    with db.engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads())


def test_no_migration_goes_through_the_rows_of_a_table(app: Flask) -> None:
    """A statement that changes rows holds all those that it looks at until it ends."""
    tables = "|".join(reflected().tables)
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if SETS_OF_ROWS.match(statement) and re.search(rf"\b({tables})\b", statement):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        upgrade()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    if db.engine.dialect.name == "sqlite":  # it changes a table by copying it, while nobody writes
        seen = [statement for statement in seen if "INSERT INTO _alembic_tmp_" not in statement]
    assert seen == []


def test_the_release_before_writes_all_its_tables_afterwards(app: Flask) -> None:
    """Whole rows as it knows them: what is new has a default."""
    known = reflected()
    upgrade()
    write("b", known)
    assert set(rows(known).values()) == {2}


def test_all_rows_are_there_forth_and_back(app: Flask) -> None:
    known = reflected()
    upgrade()
    assert set(rows(known).values()) == {1}
    downgrade(revision="example_0001")
    downgrade(revision="melon@0009")
    assert set(rows(known).values()) == {1}
    assert {t.name: {c.name for c in t.columns} for t in reflected().sorted_tables} == {
        t.name: {c.name for c in t.columns} for t in known.sorted_tables
    }
    write("c", known)
    upgrade()
    assert set(rows(known).values()) == {2}
