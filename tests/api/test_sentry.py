"""Errors at Sentry: the real client, a server for its envelopes, and every byte looked at."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import serving
from sinks import EMAIL, PASSWORD, Phone, Sink, sentry_events

from config import ROOT
from melon_api.web.request import API

TITLE = "My private task"
REQUEST_ID = "request-of-the-story"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def settings(sink: Sink, **more: str) -> dict[str, str]:
    environ = {"SENTRY_DSN": f"http://public@127.0.0.1:{sink.port}/7", "GIT_REV": "c0ffee"}
    return environ | {"PYTHONPATH": str(ROOT / "tests"), **more}


def fail(phone: Phone, how: str) -> int:
    body = {"password": PASSWORD, "email": EMAIL, "title": TITLE}
    status, _ = phone.ask("POST", f"{API}/fail/{how}?token={PASSWORD}", body, REQUEST_ID)
    return status


def assert_discreet(sink: Sink, tokens: dict[str, Any]) -> None:
    said = sink.bytes()
    secrets = [PASSWORD, EMAIL, EMAIL.partition("@")[0], TITLE]
    secrets += [tokens["access_token"], tokens["refresh_token"], "Bearer", "Cookie"]
    assert not [secret for secret in secrets if secret.encode() in said]
    assert not re.findall(rb"[\w.]+@example", said)


@pytest.mark.parametrize("preload", ["", "--preload"])
def test_a_crash_arrives_once_and_without_secrets(sink: Sink, tmp_path: Path, preload: str) -> None:
    """With who and which request by id, where in the code, and which release."""
    environ = settings(sink, GUNICORN_CMD_ARGS=preload)
    with serving("sqlite", tmp_path, 1, application="crashing:app", **environ) as server:
        phone = Phone(server)
        tokens = phone.register()
        assert fail(phone, "crash") == 500
        sink.wait_until(lambda: len(sentry_events(sink)) > 0)
    (event,) = sentry_events(sink)  # all, as the server has stopped
    assert event["tags"] == {"request_id": REQUEST_ID}
    assert event["user"] == {"id": phone.user}
    assert event["transaction"] == f"POST {API}/fail/<how>"
    assert (event["release"], event["environment"]) == ("c0ffee", "testing")
    assert [v["type"] for v in event["exception"]["values"]] == ["KeyError", "RuntimeError"]
    assert event["exception"]["values"][-1]["mechanism"]["handled"] is False
    frame = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["module"], "vars" in frame) == ("crash", "crashing", False)
    assert_discreet(sink, tokens)


@pytest.mark.parametrize("backend", ["sqlite", "mariadb", "mysql"])
def test_a_database_error_arrives_once_and_without_what_it_quotes(
    sink: Sink, tmp_path: Path, backend: str
) -> None:
    with serving(backend, tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        phone = Phone(server)
        tokens = phone.register()
        assert fail(phone, "database") == 500
    (event,) = sentry_events(sink)
    values = event["exception"]["values"]
    assert [v["type"] for v in values] == ["IntegrityError", "IntegrityError"]
    assert values[-1].get("value") == (None if backend == "sqlite" else "1062")
    assert_discreet(sink, tokens)


def test_our_own_answers_are_no_events(sink: Sink, tmp_path: Path) -> None:
    """Contract, Errors: 4xx and 503 are answers, not crashes."""
    with serving("sqlite", tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        phone = Phone(server)
        phone.register()
        statuses = [
            fail(phone, "away"),
            phone.ask("GET", "/no/such/page")[0],
            phone.ask("PUT", f"{API}/sync/pull")[0],
            phone.ask("POST", f"{API}/sync/push", {"changes": 7})[0],
            phone.ask("POST", f"{API}/auth/login", {"email": EMAIL, "password": "wrong"})[0],
            phone.ask("POST", f"{API}/auth/register", {"email": EMAIL, "password": PASSWORD})[0],
        ]
    assert statuses == [503, 404, 405, 422, 401, 409]
    assert sink.arrivals == []


def test_a_logged_error_arrives_without_its_values(sink: Sink, tmp_path: Path) -> None:
    """Each once, whoever logs it."""
    with serving("sqlite", tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        phone = Phone(server)
        tokens = phone.register()
        assert [fail(phone, how) for how in ("log", "structlog", "library")] == [200] * 3
    events = sentry_events(sink)
    messages = ["an error of some.library", "cannot write to %s with %s", "not written"]
    found = sorted((event["logentry"] for event in events), key=lambda entry: entry["message"])
    assert found == [{"message": message} for message in messages]
    assert [event["tags"] for event in events] == [{"request_id": REQUEST_ID}] * 3
    assert_discreet(sink, tokens)


def test_a_crash_of_a_thread_arrives(sink: Sink, tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        phone = Phone(server)
        tokens = phone.register()
        assert fail(phone, "thread") == 200
    (event,) = sentry_events(sink)
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert_discreet(sink, tokens)


def test_a_crash_in_front_of_flask_arrives_once(sink: Sink, tmp_path: Path) -> None:
    """Gunicorn logs it, with the query, which stays here."""
    with serving("sqlite", tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        phone = Phone(server)
        tokens = phone.register()
        assert phone.ask("GET", f"/in-front?{PASSWORD}")[0] == 500
    (event,) = sentry_events(sink)
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert "user" not in event
    assert_discreet(sink, tokens)
