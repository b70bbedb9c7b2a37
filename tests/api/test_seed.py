"""`flask seed`, on every backend."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import APP, NO_ENV_FILE
from devices import API, new_id
from flask import Flask

from config import ROOT


def seed(app: Flask, *options: str) -> Any:
    return app.test_cli_runner().invoke(args=["seed", *options])


def counts(app: Flask, email: str, password: str) -> tuple[int, int, int]:
    client = app.test_client()
    body = {"email": email, "password": password}
    token = client.post(f"{API}/auth/login", json=body).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.post(f"{API}/sync/pull", json={}, headers=headers).json
    changes = answer["changes"]
    sizes = [len(changes[table]["created"]) for table in ("projects", "tasks")]
    return sizes[0], sizes[1], answer["timestamp"]


def test_seeding_twice_is_seeding_once(app: Flask) -> None:
    email = f"demo.{new_id()}@example.com"
    options = ("--email", email, "--password", "melon-demo-secret", "--records", "250")
    result = seed(app, *options)
    assert result.exit_code == 0, result.output
    assert email in result.output
    assert "melon-demo-secret" in result.output
    first = counts(app, email, "melon-demo-secret")
    assert first[:2] == (5, 250)
    assert seed(app, *options).exit_code == 0
    assert counts(app, email, "melon-demo-secret") == first


def test_production_wants_a_password_of_its_own(plain_app: Flask, monkeypatch: Any) -> None:
    monkeypatch.setitem(plain_app.config, "NEEDS_SERVERS", True)
    result = seed(plain_app)
    assert result.exit_code == 2
    assert "--password" in result.output


def test_the_credentials_are_the_last_that_a_newcomer_reads(tmp_path: Path) -> None:
    """The mail that the seed causes is in a file, and a line before says where."""
    environ = {"PATH": os.environ["PATH"], **NO_ENV_FILE, "INSTANCE_PATH": str(tmp_path)}
    environ["MELON_APP"] = APP
    said = ""
    for command in (["db", "upgrade"], ["seed"]):
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *command],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        said = done.stdout
    assert re.search(r"  e-mail:   demo@example.com\n  password: \S+\n\Z", said)
    (mail,) = (tmp_path / "mail").iterdir()
    assert said.count(f"a mail is in {mail} request_id=-\n") == 1
    assert len(said.splitlines()) < 8
    assert not re.findall(r"[\w-]{43}", said)
