"""Columns whose name in the code says more than the one in the database."""

from pathlib import Path

from sqlalchemy import inspect

from melon_api.models.user import User

PACKAGE = Path(__file__).parents[2] / "melon_api"
CLOCKS = {
    "sync_clock": "last_modified_at",
    "purged_clock": "purged_at_ms",
    "log_purged_clock": "log_purged_at_ms",
}


def test_the_clocks_of_an_account_are_named_as_what_they_are() -> None:
    columns = inspect(User).columns
    assert {name: columns[name].name for name in CLOCKS} == CLOCKS


def test_only_the_model_knows_the_names_of_their_columns() -> None:
    said = {
        path.name
        for path in PACKAGE.rglob("*.py")
        for c in CLOCKS.values()
        if c in path.read_text()
    }
    assert said == {"user.py"}
