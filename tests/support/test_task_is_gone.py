"""docs/troubleshooting.md: "my task is gone", three times, as the page prints it."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices import API, PASSWORD, Device, created, deleted, project, task
from flask import Flask
from helped import flask, keeping, masked

from melon_api.history import keeper as keepers

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
COMMAND = "$ flask --app wsgi "
ADA, HIDDEN = "ada@example.com", "x7k2@privaterelay.appleid.com"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 3600)
    with keeping("sqlite", tmp_path) as app:
        yield app


def signed_up(app: Flask, email: str) -> Device:
    body = {"email": email, "password": PASSWORD, "name": "Ada", "device_name": "Phone"}
    return Device(app, app.test_client().post(f"{API}/auth/register", json=body).json)


def signed_in(app: Flask, email: str, name: str) -> Device:
    body = {"email": email, "password": PASSWORD, "device_name": name}
    return Device(app, app.test_client().post(f"{API}/auth/login", json=body).json)


def printed(case: str) -> list[str]:
    """What the page prints of a case: commands and their lines, without what differs each time."""
    part = PAGE.read_text().split(f"#### {case}\n")[1].split("\n#### ")[0]
    (text,) = re.findall(r"^```\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
    return comparable(text)


def played(app: Flask, case: str) -> list[str]:
    """The same of this server: the page's own commands, run here."""
    lines = []
    for line in printed(case):
        if line.startswith(COMMAND):
            said = flask(app, *line.removeprefix(COMMAND).split())
            lines += [line, *comparable(said)]
    return lines


def comparable(text: str) -> list[str]:
    text = re.sub(r"request_id=\S+", "request_id=…", masked(text))
    text = re.sub(r"\(\d+ times", "(N times", text)
    return re.sub(r"\d{4}-\d\d-\d\d", "DAY", text).replace("ID", "…").splitlines()


def test_another_device_deleted_it(app: Flask) -> None:
    case = "Another device deleted it"
    phone = signed_up(app, ADA)
    tablet = signed_in(app, ADA, "Tablet")
    home = project()
    phone.pull()
    tasks = created(*(task(home["id"]) for _ in range(3)))
    phone.pulled_at = phone.push(projects=created(home), tasks=tasks)
    tablet.pull()
    tablet.push(projects=deleted(home["id"]))
    phone.pull()
    assert played(app, case) == printed(case)


def test_it_was_refused_for_weeks_and_nobody_saw(app: Flask) -> None:
    case = "It was refused for weeks, and nobody saw"
    phone, home = signed_up(app, ADA), project()
    phone.pull()
    phone.pulled_at = phone.push(projects=created(home))
    lost = [task(home["id"]), task(home["id"], title="x" * 300)]
    for _ in range(4):
        assert phone.ask_push({"tasks": created(*lost)}).status_code == 422
    held = (("projects", [home["id"]]), ("tasks", [t["id"] for t in lost]))  # as the app believes
    tables = {
        name: {"columns": [], "count": len(ids), "checksum": checksum(ids)} for name, ids in held
    }
    body = {"lastPulledAt": phone.pulled_at, "tables": tables}
    assert phone.call("POST", "/sync/verify", json=body).json["identical"] is False
    assert played(app, case) == printed(case)


def checksum(ids: list[str]) -> int:
    """Over the ids alone (docs/verify.md)."""
    return sum(zlib.crc32(b"s" + name.encode() + b"\0") for name in ids)


def test_it_is_in_another_account(app: Flask) -> None:
    case = "It is in another account"
    phone = signed_up(app, ADA)
    phone.pull()
    phone.push(projects=created(project()))
    assert phone.call("POST", "/auth/logout").status_code == 204
    other, home = signed_up(app, HIDDEN), project()
    other.pull()
    other.push(projects=created(home), tasks=created(task(home["id"])))
    assert played(app, case) == printed(case)
