"""`flask sync diff`: what devices held when they last asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DATABASES
from devices import Account, Device, created, project
from flask import Flask
from helped import calls, flask, keeping, masked

from melon_api.history import keeper as keepers
from melon_api.history.showing import SENTENCE
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.checksum import table_checksum


@pytest.fixture(autouse=True)
def written_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 3600)


@pytest.fixture(scope="module", params=DATABASES)
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    with keeping(request.param, tmp_path_factory.mktemp("diff")) as app:
        yield app


def verify(device: Device, **more: Any) -> Any:
    """With what the device has pulled by now; `more` is what it holds of other tables."""
    records, column = device.records("projects").values(), synced_tables()["projects"].columns[0]
    count, checksum = table_checksum(records, [column])
    mine = {"columns": [column.name], "count": count, "checksum": checksum}
    body = {"lastPulledAt": device.pulled_at, "tables": {"projects": mine} | more}
    answer = device.call("POST", "/sync/verify", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def diff(app: Flask, account: Account, *words: str) -> list[str]:
    return masked(flask(app, "sync", "diff", account.email, *words)).splitlines()


EMPTY = {"count": 0, "checksum": 0}


def test_it_says_what_the_device_sent_and_when(app: Flask) -> None:
    account = Account(app)
    phone = account.device(device_name="Phone")
    phone.push(projects=created(project()))
    phone.pull()
    assert verify(phone, tasks=EMPTY)["identical"] is True
    assert diff(app, account) == [
        "Phone  asked TIME UTC",
        "  projects  the same: 1 records",
        "  tasks  the same: 0 records",
        SENTENCE,
    ]
    assert calls(app, account.email)[-1] == "TIME  Phone  verify  the same"


def test_a_difference_is_in_numbers_or_in_contents(app: Flask) -> None:
    account = Account(app)
    phone = account.device(device_name="Phone")
    phone.push(projects=created(project()))
    phone.pull()
    verify(phone, tasks={"count": 2, "checksum": 7})
    assert diff(app, account)[2] == "  tasks  DIFFERENT: 2 records on the device, 0 on the server"
    verify(phone, tasks={"count": 0, "checksum": 7})
    assert diff(app, account)[2] == (
        "  tasks  DIFFERENT: 0 records on each side, not with the same contents"
    )
    assert calls(app, account.email)[-1] == "TIME  Phone  verify  DIFFERENT: tasks"


def test_each_devices_last_comparison_is_told(app: Flask) -> None:
    """Not that it had to pull first, where it has compared before."""
    account = Account(app)
    phone, tablet = account.device(device_name="Phone"), account.device(device_name="Tablet")
    for device in (phone, tablet):
        device.pull()
        device.pulled_at = device.ask_pull(None).json["timestamp"]
    body = {"lastPulledAt": phone.pulled_at, "tables": {"tasks": EMPTY}}
    assert phone.call("POST", "/sync/verify", json=body).json["identical"] is True
    account.first.push(projects=created(project()))
    for device in (phone, tablet):
        told = device.call("POST", "/sync/verify", json=body | {"lastPulledAt": device.pulled_at})
        assert told.json["identical"] is None
    lines = diff(app, account)
    assert lines[lines.index("Phone  asked TIME UTC") + 1] == "  tasks  the same: 0 records"
    assert lines[lines.index("Tablet  asked TIME UTC") + 1] == (
        "  not compared: something had changed, and it had to pull first"
    )
    assert diff(app, account, "--device", "tablet")[0] == "Tablet  asked TIME UTC"
    assert len(diff(app, account, "--device", "tablet")) == 3


def test_a_device_that_never_asked_is_not_known(app: Flask) -> None:
    account, other = Account(app), Account(app)
    other.first.pull()
    verify(other.first)
    assert diff(app, account) == [
        "No device has asked; the app does it with verify (docs/verify.md)."
    ]


def test_a_verify_that_is_refused_is_no_comparison(app: Flask) -> None:
    account = Account(app)
    account.first.call("POST", "/sync/verify", json={"lastPulledAt": 0, "tables": {"no": EMPTY}})
    assert len(diff(app, account)) == 1
    assert "verify  REFUSED, 422 validation_failed: at tables.no" in calls(app, account.email)[-1]


def test_nothing_is_said_where_nothing_is_kept(tmp_path: Path) -> None:
    with keeping("sqlite", tmp_path, SYNC_HISTORY_DAYS="0") as app:
        account = Account(app)
        account.first.pull()
        verify(account.first)
        assert diff(app, account)[-1].startswith("SYNC_HISTORY_DAYS is 0")
