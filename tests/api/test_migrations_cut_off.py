"""A migration that is cut off is run again, and goes on where it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import unmigrated
from flask import Flask
from flask_migrate import upgrade as upgrade_to
from sqlalchemy import Engine, event, inspect, select, text
from sqlalchemy.exc import OperationalError

from melon_api.models.base import db
from melon_api.models.space import CATALOGUE, Space
from melon_api.ops.migrations import upgrade

CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")
MOST, KILLS = 20, 12


class Killed(BaseException):
    """The process is gone, as far as the database can tell."""


@pytest.fixture(params=["mariadb", "mysql"])
def empty_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with unmigrated(request.param, tmp_path) as app:
        yield app


@contextmanager
def killed_behind(number: int) -> Iterator[None]:
    """The connection breaks behind that many changes, before anybody hears what became of the last
    one."""
    seen: list[str] = []

    def count(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(CHANGES):
            seen.append(statement)
        if len(seen) == number:
            connection.connection.driver_connection._force_close()
            raise Killed

    event.listen(Engine, "after_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", count)


def is_killed(number: int) -> bool:
    with killed_behind(number):
        try:
            upgrade()
        except Killed:
            return True
    return False


def test_a_release_that_is_killed_may_be_run_again(empty_app: Flask) -> None:
    """Wherever that was, and again and again."""
    dice, kills = Random(1), 0
    while is_killed(dice.randint(1, MOST)):
        kills += 1
    assert kills > KILLS
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
        spaces = select(Space.id)
        assert list(connection.scalars(spaces)) == [CATALOGUE]


def test_what_is_wrong_is_wrong_again(empty_app: Flask) -> None:
    """A statement that the database refused has not begun."""
    upgrade_to(revision="0012")
    with db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE sync_history (id INTEGER)"))
    for _ in range(2):
        with pytest.raises(OperationalError, match="already exists"):
            upgrade()
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE sync_history"))
    upgrade()
    assert "alembic_steps" not in inspect(db.engine).get_table_names()


def test_a_script_holds_no_notes(empty_app: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    """Who runs migrations by hand (`flask db upgrade --sql`) gets their statements alone."""
    upgrade_to(revision="heads", sql=True)
    script = capfd.readouterr().out
    assert "CREATE TABLE sync_history" in script and "'catalogue'" in script
    assert "alembic_steps" not in script
