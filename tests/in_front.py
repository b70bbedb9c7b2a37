"""Phones whom the process knows, and whether Flask has to do with what they ask."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
from conftest import environment, make_app
from devices import Account, Device, created, project
from flask import Flask
from servers import PrivateRedis
from werkzeug.test import TestResponse

from melon_api.web.limits import limiter

# Requests that go on to Flask, whichever call they are of, and the status of its answer.
UNUSUAL: list[tuple[dict[str, Any], int]] = [
    ({"headers": {"Origin": "https://app.example"}}, 200),
    ({"headers": {"Accept": "text/html"}}, 406),
    ({"headers": {"Authorization": "Basic eDp5"}}, 401),
    ({"headers": {"Authorization": "Bearer x.y.z"}}, 401),
    ({"headers": {"Content-Encoding": "br"}}, 415),
    ({"json": [1]}, 422),
    ({"data": b"{", "content_type": "application/json"}, 400),
    ({"data": b"{}", "content_type": "application/xml"}, 415),
    ({"environ_overrides": {"CONTENT_LENGTH": "1" * 5_000}}, 400),
]


@pytest.fixture(autouse=True)
def limiter_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one for all applications."""
    monkeypatch.setattr(limiter, "enabled", limiter.enabled)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path) as store:
        yield store


@pytest.fixture
def new_phone(store: PrivateRedis, tmp_path: Path) -> Callable[..., Device]:
    """A phone that has pulled, and whom the process knows."""

    def new(**settings: str) -> Device:
        url = f"sqlite:///{tmp_path}/idle.db"
        app = make_app(environment("sqlite", url, REDIS_URL=store.url, **settings), tmp_path)
        phone = Account(app).first
        phone.push(projects=created(project()))
        for _ in range(3):
            phone.pull()
        return phone

    return new


@pytest.fixture
def phone(new_phone: Callable[..., Device]) -> Device:
    return new_phone()


@contextmanager
def seen_by_flask(app: Flask) -> Iterator[list[str]]:
    """The paths of the requests that Flask has to do with."""
    seen: list[str] = []

    def note(_app: Flask, **_: Any) -> None:
        seen.append(flask.request.path)

    with flask.request_started.connected_to(note, app):
        yield seen


def headers_of(answer: TestResponse) -> dict[str, str]:
    """Without those for browsers, which name their origin."""
    told = {name: value for name, value in answer.headers if name != "X-Request-ID"}
    return {name: value for name, value in told.items() if not name.startswith("Access-Control-")}
