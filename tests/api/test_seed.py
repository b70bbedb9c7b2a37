"""`flask seed`, on every backend."""

from typing import Any

from devices import API, new_id
from flask import Flask


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
    options = ("--email", email, "--password", "melon-demo-secret", "--tasks", "250")
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
