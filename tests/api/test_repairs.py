"""What a push had put right (contract push 5) is counted and told, by table and column."""

import logging
import time
from typing import Any
from uuid import uuid4

import pytest
from conftest import NO_DATABASE
from devices import Account, created, project, task
from prometheus_client import REGISTRY

from melon_api.sync import repairs

pytestmark = NO_DATABASE


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairs, "_told", {})
    monkeypatch.setattr(repairs, "_unknown", set())


def counted(table: str, column: str, why: str) -> float:
    labels = {"table": table, "column": column, "why": why}
    return REGISTRY.get_sample_value("melon_values_repaired_total", labels) or 0


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == repairs.__name__]


def test_what_is_put_right_is_counted_by_column(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract push 5: the phone is not told, so the operator is, with no value."""
    colour = f"colour\n{uuid4().hex}"
    escaped = ascii(colour)[1:-1]
    places = [
        ("projects", "name", "null"),
        ("projects", "created_at", "type"),
        ("projects", escaped, "unknown"),
        ("tasks", "is_completed", "type"),
    ]
    before = [counted(*place) for place in places]
    home = project(name=None, created_at="Sesame", **{colour: "secret"})
    tasks = [task(home["id"], is_completed=flag) for flag in ("Sesame", 1, 0, True, None)]
    with caplog.at_level(logging.INFO):
        account.first.push(projects=created(home), tasks=created(*tasks))
    assert [counted(*p) - b for p, b in zip(places, before, strict=True)] == [1, 1, 1, 1]
    assert sorted(told(caplog)) == [
        f"put right in a push ({why}): {table}.{column}"
        for table, column, why in sorted(places, key=lambda place: place[2] + place[0] + place[1])
    ]
    facts: Any = next(r.msg for r in caplog.records if r.name == "melon_api.requests")
    assert facts["values_repaired"] == 5
    assert "Sesame" not in caplog.text
    assert "secret" not in caplog.text


def test_a_column_is_told_once_an_hour(
    account: Account, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, start = counted("projects", "name", "null"), time.monotonic()
    for passed in (0, 1, 3599, 3600, 3601):
        monkeypatch.setattr(repairs, "now", lambda passed=passed: start + passed)
        account.first.push(projects=created(project(name=None)))
    assert len(told(caplog)) == 2
    assert counted("projects", "name", "null") - before == 5


def test_what_is_not_stored_is_not_counted(account: Account) -> None:
    """Contract push 1 and 6: refused with the whole push, or by itself."""
    before = counted("projects", "name", "type")
    bad = {"projects": created(project(name=1, description="x" * 65_536))}
    assert account.first.ask_push(bad).status_code == 422
    assert account.first.ask_push(bad, allowPartial=True).status_code == 200
    assert counted("projects", "name", "type") == before


def test_names_that_nobody_knows_have_an_end(
    account: Account, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are anybody's: each would be a series of the metrics, and a line, for ever."""
    monkeypatch.setattr(repairs, "MOST_UNKNOWN", 3)
    before = counted("projects", repairs.OTHERS, "unknown")
    names = [uuid4().hex for _ in range(5)]
    records = [project(**{name: "x"}) for name in names]
    account.first.push(projects=created(*records, *records[:1]))
    assert counted("projects", repairs.OTHERS, "unknown") - before == 2
    assert [counted("projects", name, "unknown") for name in names] == [2, 1, 1, 0, 0]
    assert len(told(caplog)) == 4
