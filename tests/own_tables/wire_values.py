"""Run inside a copy of the project that has the tables of docs/own-tables.md: what becomes of each
JSON type in each kind of column (contract push 5).

Not collected by itself; `test_own_tables.py` runs it there, on each database.
"""

from typing import Any

import pytest
from devices import Account, bare, created, new_id, project, task
from flask import Flask

SENT: list[Any] = [None, True, False, 0, 1, -0.0, 5, 1.5, -(2**31), 1e300]
SENT += ["", "1", "null", "true", "ü📷", [], [1], {}, {"a": 1}]
REFUSED = object()


def text(value: Any, empty: Any) -> Any:
    return value if isinstance(value, str) else empty


def json_text(value: Any, empty: Any) -> Any:
    return REFUSED if value == "ü📷" else text(value, empty)


def number(value: Any, empty: Any) -> Any:
    return value if type(value) in (int, float) else empty


def whole(value: Any, empty: Any) -> Any:
    return REFUSED if value in (1.5, 1e300) else number(value, empty)


def flag(value: Any, empty: Any) -> Any:
    """As `sanitizedRaw` has it: 1 and 0 are booleans, too."""
    return value == 1 if type(value) is bool or value in (0, 1) else empty


def reference(value: Any, empty: Any) -> Any:
    return REFUSED if isinstance(value, str) and value else text(value, empty)


COLUMNS = {
    ("tags", "label"): (text, ""),
    ("projects", "description"): (text, None),
    ("comments", "body"): (text, ""),
    ("comments", "is_pinned"): (flag, False),
    ("comments", "likes"): (whole, 0),
    ("comments", "score"): (number, None),
    ("comments", "remind_at"): (whole, None),
    ("comments", "created_at"): (number, 0),
    ("comments", "links"): (json_text, None),
    ("comments", "answers_id"): (reference, None),
}


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


def record_of(table: str, task_id: str) -> dict[str, Any]:
    times = {"created_at": 1, "updated_at": 2}
    own: dict[str, dict[str, Any]] = {
        "projects": {"name": "Home", "description": None},
        "tags": {"label": "red", "project_id": None},
        "comments": {"body": "Nice", "is_pinned": False, "likes": 0, "task_id": task_id}
        | dict.fromkeys(("score", "remind_at", "links", "answers_id")),
    }
    return {"id": new_id(), "_status": "created", "_changed": ""} | own[table] | times


@pytest.mark.parametrize(("place", "rule"), COLUMNS.items(), ids=map(".".join, COLUMNS))
def test_every_json_type_in_every_kind(
    account: Account, place: tuple[str, str], rule: tuple[Any, Any]
) -> None:
    """Contract push 5 and 7: as the client's own `sanitizedRaw`, or refused by name; and where
    that is not what was sent, the phone is not told that it is up to date."""
    (table, column), (stored_as, empty), phone = place, rule, account.first
    home = project()
    paint = task(home["id"])
    wanted = [stored_as(value, empty) for value in SENT]
    records = [record_of(table, paint["id"]) | {column: value} for value in SENT]
    stored = {r["id"]: bare(r) | {column: value} for r, value in zip(records, wanted, strict=True)}
    phone.push(projects=created(home), tasks=created(paint))
    kept = [record for record in records if is_same(stored[record["id"]][column], record[column])]
    assert phone.push(**{table: created(*kept)}) is not None
    for record in records:
        if stored[record["id"]][column] is REFUSED:
            answer = phone.ask_push({table: created(record)})
            assert list(answer.json["errors"]["changes"][table]["created"]["0"]) == [column]
            del stored[record["id"]]
        elif record not in kept:
            phone.pull()
            assert phone.push(**{table: created(record)}) is None, record
    found = account.device().records(table)
    assert {i: found[i] for i in stored} == stored
    assert all(is_same(found[i][column], stored[i][column]) for i in stored)


def is_same(one: Any, other: Any) -> bool:
    """To Python, False is 0; here 1 is true where a flag is meant, as to the client."""
    return one is not REFUSED and one == other and (type(one) is bool or type(other) is not bool)
