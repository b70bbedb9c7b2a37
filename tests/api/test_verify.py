"""`POST /sync/verify`: is a device identical to the server? (docs/verify.md)"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import Account, Device, created, deleted, edited, project, task, updated
from flask import Flask

ROOT = Path(__file__).parents[2]


def crc(record: dict[str, Any], columns: list[str]) -> int:
    """Written once more from docs/verify.md, without the server's code."""
    data = b""
    for name in ["id", *sorted(columns)]:
        value = record[name]
        if value is None:
            data += b"n"
        elif isinstance(value, bool):
            data += b"t" if value else b"f"
        elif isinstance(value, str):
            data += b"s" + value.encode() + b"\0"
        else:
            data += b"d" + struct.pack(">d", value)
    return zlib.crc32(data)


def held(records: dict[str, dict[str, Any]], *columns: str) -> dict[str, Any]:
    checksum = sum(crc(record, list(columns)) for record in records.values())
    return {"columns": list(columns), "count": len(records), "checksum": checksum}


def verify(device: Device, since: Any, **tables: Any) -> Any:
    body = {"lastPulledAt": since, "tables": tables}
    return device.call("POST", "/sync/verify", json=body)


@pytest.fixture
def phone(account: Account) -> Device:
    phone = account.first
    homes = [project(name="Ünï 📷", created_at=12.5), project(description=None, updated_at=1e300)]
    phone.push(projects=created(*homes), tasks=created(task(homes[0]["id"], is_completed=True)))
    phone.pull()
    return phone


PROJECT = ("name", "description", "created_at", "updated_at")


def test_a_device_that_holds_the_same_is_identical(phone: Device) -> None:
    """Contract verify 2."""
    projects, tasks = phone.records("projects"), phone.records("tasks")
    tables = {"projects": held(projects, *PROJECT), "tasks": held(tasks, "title", "is_completed")}
    answer = verify(phone, phone.pulled_at, **tables)
    assert answer.status_code == 200, answer.text
    assert answer.json["identical"] is True
    assert answer.json["timestamp"] == phone.pulled_at
    for name, table in tables.items():
        same = {"count": table["count"], "checksum": table["checksum"], "identical": True}
        assert answer.json["tables"][name] == same


@pytest.mark.parametrize("drift", ["missing", "extra", "different"])
def test_a_device_that_drifted_is_told_where(phone: Device, drift: str) -> None:
    """Contract verify 2."""
    projects = phone.records("projects")
    name = next(iter(projects))
    if drift == "missing":
        del projects[name]
    elif drift == "extra":
        projects["x"] = projects[name] | {"id": "x"}
    else:
        projects[name]["name"] = "?"
    tables = {"projects": held(projects, *PROJECT), "tasks": held(phone.records("tasks"))}
    answer = verify(phone, phone.pulled_at, **tables).json
    assert answer["identical"] is False
    assert {n: t["identical"] for n, t in answer["tables"].items()} == {
        "projects": False,
        "tasks": True,
    }


def test_a_device_that_is_behind_is_told_to_pull(account: Account, phone: Device) -> None:
    """Contract verify 1."""
    account.device().push(projects=created(project()))
    answer = verify(phone, phone.pulled_at, projects=held({})).json
    assert answer["identical"] is None
    assert answer["timestamp"] > (phone.pulled_at or 0)


def test_a_drifted_device_may_ask_for_a_replacement(phone: Device) -> None:
    """Contract verify 4, pull 3 and 7: sorted as the stock client wants it."""
    known = phone.records("projects")
    gone = project()
    phone.push(projects=created(gone))
    phone.push(projects=deleted(gone["id"]))
    phone.pull()
    for answer in (
        phone.ask_pull(phone.pulled_at, replacement=True).json,
        phone.call("GET", f"/sync/pull?last_pulled_at={phone.pulled_at}&replacement=1").json,
    ):
        assert answer["experimentalStrategy"] == "replacement"
        got = answer["changes"]["projects"]
        assert {r["id"]: r for r in got["updated"]} == known
        assert got["created"] == got["deleted"] == []


def test_the_columns_default_to_all(account: Account) -> None:
    """Contract verify 2."""
    home = project()
    account.first.push(projects=created(home))
    account.first.pull()
    table = held(account.first.records("projects"), *PROJECT)
    del table["columns"]
    assert verify(account.first, account.first.pulled_at, projects=table).json["identical"] is True
    account.first.push(projects=updated(edited(home, updated_at=9)))


@NO_DATABASE
@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ({"nonsense": {"count": 0, "checksum": 0}}, "nonsense"),
        ({"users": {"count": 0, "checksum": 0}}, "users"),
        ({"tasks": {"count": 0, "checksum": 0, "columns": ["user_id"]}}, "tasks"),
        ({"tasks": {"count": "x", "checksum": 0}}, "tasks"),
        ({"tasks": 7}, "tasks"),
    ],
)
def test_a_wrong_question_names_the_place(
    account: Account, tables: dict[str, Any], place: str
) -> None:
    """Contract verify 3."""
    answer = verify(account.first, 1, **tables)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]["tables"]) == [place]


def test_another_account_is_another_set(account: Account, phone: Device) -> None:
    projects = phone.records("projects")
    stranger = Account(account.app).first
    stranger.pull()
    table = held(projects, *PROJECT)
    assert verify(stranger, stranger.pulled_at, projects=table).json["identical"] is False


def test_the_example_of_the_docs_is_right(plain_app: Flask) -> None:
    """docs/verify.md prints one record with its checksum."""
    page = (ROOT / "docs" / "verify.md").read_text()
    (record,) = re.findall(r"```json record\n(.*?)```", page, flags=re.DOTALL)
    (number,) = re.findall(r"is\s+`([0-9]+)`", page)
    parsed = plain_app.json.loads(record)
    assert crc(parsed, [name for name in parsed if name != "id"]) == int(number)
