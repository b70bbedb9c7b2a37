"""docs/moving.md: each of its commands, on the exports of examples/moving/."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from devices import API, Device
from flask import Flask
from test_docs import block

from config import ROOT

PAGE = "docs/moving.md"
MOVING = ROOT / "examples" / "moving"
PASSWORD = "correct horse battery"  # examples/moving/README.md
HASHED = ("own", "supabase")
MORNING = 1_709_281_800_000  # of the first task
LINES = "2 accounts, 5 records.\n"


@pytest.fixture
def moved(plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A server without anybody, and a copy of the exports where the page's commands find them."""
    shutil.copytree(MOVING, tmp_path / "examples" / "moving")
    monkeypatch.chdir(tmp_path)
    return plain_app


def follow(app: Flask, name: str) -> list[str]:
    """What each command of a block says; all succeed."""
    said = []
    for line in block(name, PAGE).strip().splitlines():
        tool, *words = line.split()
        if tool == "python":
            done = subprocess.run(
                [sys.executable, *words], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
            continue
        assert [tool, *words[:2]] == ["flask", "--app", "wsgi"]
        result = app.test_cli_runner().invoke(args=words[2:])
        assert result.exit_code == 0, result.output
        said.append(result.stdout)
    return said


def written_by_sql(folder: Path) -> None:
    """As the old backend's own database prints them."""
    with sqlite3.connect(":memory:") as old:
        old.executescript((folder / "old.sql").read_text())
        for name in ("users", "projects", "tasks"):
            rows = old.execute(block(name, PAGE)).fetchall()
            (folder / f"{name}.jsonl").write_text("".join(f"{row}\n" for (row,) in rows))
    old.close()


@pytest.mark.parametrize("source", ["own", "supabase", "firebase", "realm", "instant"])
def test_accounts_and_records_come_along(moved: Flask, source: str) -> None:
    if source == "own":
        written_by_sql(Path("examples/moving/home-made"))
    converted, accounts, records = follow(moved, source)
    assert converted.startswith(LINES)
    assert accounts == "Opened 2 accounts; 0 were there already.\n"
    assert records == "Stored 5 records.\n"
    client = moved.test_client()
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = client.post(f"{API}/auth/login", json=body)
    assert (answer.status_code == 200) == (source in HASHED)
    if source not in HASHED:
        done = moved.test_cli_runner().invoke(
            args=["users", "set-password", "ada@example.com"], input=f"{PASSWORD}\n{PASSWORD}\n"
        )
        assert done.exit_code == 0, done.output
        answer = client.post(f"{API}/auth/login", json=body)
    ada = Device(moved, answer.json)
    (project,) = ada.records("projects").values()
    assert project["name"] == "Home"
    tasks = sorted(ada.records("tasks").values(), key=lambda task: task["title"])
    assert [(task["title"], task["is_completed"]) for task in tasks] == [
        ("Paint", True),
        ("Swéep 🧹", False),
    ]
    assert {task["project_id"] for task in tasks} == {project["id"]}
    assert MORNING <= tasks[0]["created_at"] <= MORNING + 500


def test_what_has_no_column_is_named(tmp_path: Path) -> None:
    shutil.copytree(MOVING, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "supabase" / "tasks.jsonl"
    file.write_text(file.read_text().replace('"title"', '"color": "red", "title"'))
    command = [sys.executable, str(MOVING / "convert.py"), "sql", str(tmp_path / "supabase")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{LINES}Left out: color.\n"


@pytest.mark.parametrize("source", ["sql", "realm"])
def test_a_folder_without_exports_is_no_empty_export(tmp_path: Path, source: str) -> None:
    """home-made/ before its SQL has run, a folder's name mistyped: nothing is written there."""
    (tmp_path / "users.json").write_text("[]")
    command = [sys.executable, str(MOVING / "convert.py"), source, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = f"Nothing to convert: {tmp_path} has none of the files that {source} reads.\n"
    assert (done.returncode, done.stderr) == (1, words)
    assert [file.name for file in tmp_path.iterdir()] == ["users.json"]


def test_a_dry_run_stores_nothing(moved: Flask) -> None:
    assert follow(moved, "convert") == [
        LINES,
        "Opened 2 accounts; 0 were there already.\n",
        "Would store 5 records.\n",
    ]
    assert follow(moved, "supabase")[-1] == "Stored 5 records.\n"
