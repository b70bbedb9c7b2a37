"""Run inside a copy of the project with a table of very long texts.

Not collected by itself; `test_own_tables.py` runs it there, on each database.
"""

from typing import Any

from devices import Account, created, new_id
from flask import Flask
from sqlalchemy import text

from melon_api.models import db


def book(size: int) -> dict[str, Any]:
    record = {"id": new_id(), "title": f"{size}", "text": "'" * size}
    return record | {"_status": "created", "_changed": ""}


def largest_statement(app: Flask) -> int:
    """In bytes; a quote takes two of them."""
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return 1 << 40
        return int(connection.scalar(text("SELECT @@max_allowed_packet")) or 0)


def test_a_row_that_the_database_does_not_take_is_named(app: Flask) -> None:
    """Contract push 9: and not a 503 that repeats for ever. Up to there it comes back whole."""
    account = Account(app)
    phone, large, small = account.first, book(14_000_000), book(3)
    fits = 2 * len(large["text"]) < largest_statement(app)
    answer = phone.ask_push({"books": created(small, large)})
    assert answer.status_code == (200 if fits else 422)
    if not fits:
        place = answer.get_json()["errors"]["changes"]["books"]["created"]
        assert place == {"1": ["The database does not take a record of this size."]}
        answer = phone.ask_push({"books": created(small, large)}, allowPartial=True)
        assert answer.get_json()["rejected"] == {"books": {large["id"]: "validation_failed"}}
    tablet = account.device()
    tablet.pull()
    wanted = {small["id"]: small["text"]} | ({large["id"]: large["text"]} if fits else {})
    assert {i: r["text"] for i, r in tablet.records("books").items()} == wanted


def test_rows_that_fit_one_by_one_go_one_by_one(app: Flask) -> None:
    phone = Account(app).first
    books = [book(1_500_000) for _ in range(6)]
    phone.push(books=created(*books))
    assert set(phone.records("books")) == {b["id"] for b in books}
