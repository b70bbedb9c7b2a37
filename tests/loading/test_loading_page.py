"""docs/loading.md is followed to the letter."""

import re
from pathlib import Path

import pytest
from conftest import NO_DATABASE
from devices import API, Device
from flask import Flask
from test_docs import block

PAGE = "docs/loading.md"


@NO_DATABASE
def test_the_files_and_commands_of_the_page_work(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("accounts", "records"):
        (tmp_path / f"{name}.jsonl").write_text(block(name, PAGE))
    said = []
    for line in block("load", PAGE).splitlines():
        words = re.fullmatch(r"flask --app wsgi (.*)", line)
        assert words
        result = app.test_cli_runner().invoke(args=words[1].split())
        assert result.exit_code == 0, result.output
        said.append(result.stdout)
    assert said == ["Opened 2 accounts; 0 were there already.\n", "Stored 2 records.\n"]
    body = {"email": "ada@example.com", "password": "correct horse"}
    answer = app.test_client().post(f"{API}/auth/login", json=body)
    stored = Device(app, answer.json)
    assert stored.records("projects")["p1"]["created_at"] == 1_700_000_000_000
    assert stored.records("tasks")["t1"]["title"] == "Paint"
