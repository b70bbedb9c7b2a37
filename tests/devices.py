"""The actors of the tests: an account and its devices, as stories tell them."""

import itertools
import uuid
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

PASSWORD = "correct-horse-battery"
JWT_START = "eyJ"  # {" in base64 (RFC 7519 §3)
TOKENS: set[str] = set()  # that devices were given
API = "/api/v1"
_numbers = itertools.count(1)


def note_tokens(*tokens: str) -> None:
    """No log may hold one of them."""
    assert all(token.startswith(JWT_START) for token in tokens)
    TOKENS.update(tokens)


def holds_a_secret(text: str) -> bool:
    """Whether the password or a token is in it; there are thousands, and seldom one like them."""
    return PASSWORD in text or (JWT_START in text and any(token in text for token in TOKENS))


def new_id() -> str:
    return uuid.uuid4().hex[:16]


def project(**values: Any) -> dict[str, Any]:
    record = {"id": new_id(), "name": "Home", "description": "", "created_at": 1, "updated_at": 2}
    return record | {"_status": "created", "_changed": ""} | values


def task(project_id: str, **values: Any) -> dict[str, Any]:
    record = {"id": new_id(), "title": "Paint", "description": None, "is_completed": False}
    times = {"created_at": 1_700_000_000_001, "updated_at": 1_700_000_000_002}
    return (
        record | times | {"project_id": project_id, "_status": "created", "_changed": ""} | values
    )


def edited(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The record as the client pushes it after an edit of these columns."""
    return record | values | {"_status": "updated", "_changed": ",".join(values)}


def bare(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it is pulled."""
    return {k: v for k, v in record.items() if k not in ("_status", "_changed")}


class Account:
    """A person with an e-mail address; `device()` is another phone of theirs."""

    def __init__(self, app: Flask, password: str = PASSWORD) -> None:
        self.app = app
        self.email = f"person{next(_numbers)}.{new_id()}@example.com"
        self.password = password
        body = {"email": self.email, "password": password, "name": "Ada"}
        answer = app.test_client().post(f"{API}/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        self.first = Device(app, answer.json)
        self.user: dict[str, Any] = answer.json["user"]

    def device(self, **device: str) -> "Device":
        body = {"email": self.email, "password": self.password, **device}
        answer = self.app.test_client().post(f"{API}/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return Device(self.app, answer.json)


class Device:
    """A phone that is signed in; remembers its last pull as the client does."""

    def __init__(self, app: Flask, tokens: dict[str, Any]) -> None:
        self.http = app.test_client()
        self.access_token: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]
        note_tokens(self.access_token, self.refresh_token)
        self.pulled_at: int | None = None

    def call(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {token or self.access_token}"}
        headers |= kwargs.pop("headers", {})
        kwargs.setdefault("buffered", True)  # read to its end and closed, as a server does
        return self.http.open(API + path, method=method, headers=headers, **kwargs)

    def ask_pull(self, since: int | None, **more: Any) -> TestResponse:
        body = {"lastPulledAt": since, "schemaVersion": 1, "migration": None, **more}
        return self.call("POST", "/sync/pull", json=body, buffered=True)

    def pull(self, **more: Any) -> dict[str, Any]:
        """What is new since the last pull, as the client sees it: {table: {created, …}}."""
        answer = self.ask_pull(self.pulled_at, **more)
        assert answer.status_code == 200, answer.text
        self.pulled_at = answer.json["timestamp"]
        changes: dict[str, Any] = answer.json["changes"]
        return changes

    def ask_push(self, changes: dict[str, Any], **more: Any) -> TestResponse:
        body = {"changes": changes, "lastPulledAt": self.pulled_at, **more}
        return self.call("POST", "/sync/push", json=body)

    def push(self, **tables: Any) -> int | None:
        """Push {table: {created, updated, deleted}}; the timestamp of the answer."""
        answer = self.ask_push(tables)
        assert answer.status_code == 200, answer.text
        timestamp: int | None = answer.json["timestamp"]
        return timestamp

    def records(self, table: str) -> dict[str, dict[str, Any]]:
        """What a new device would get: the living records by id."""
        answer = self.ask_pull(None)
        assert answer.status_code == 200, answer.text
        return {record["id"]: record for record in answer.json["changes"][table]["created"]}


def guest(app: Flask, **body: str) -> Device:
    """A phone of nobody known."""
    answer = app.test_client().post(f"{API}/auth/guest", json=body)
    assert answer.status_code == 201, answer.text
    return Device(app, answer.json)


def created(*records: dict[str, Any]) -> dict[str, Any]:
    return {"created": list(records), "updated": [], "deleted": []}


def updated(*records: dict[str, Any]) -> dict[str, Any]:
    return {"created": [], "updated": list(records), "deleted": []}


def deleted(*ids: str) -> dict[str, Any]:
    return {"created": [], "updated": [], "deleted": list(ids)}


NOTHING: dict[str, Any] = {"created": [], "updated": [], "deleted": []}
