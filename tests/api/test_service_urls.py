"""Contract, "Service": health, the API description, its page."""

import re
import socket
from pathlib import Path

import pytest
from conftest import REDIS, environment, fresh_database, make_app
from devices import Account
from flask import Flask
from sqlalchemy import Engine

import config as settings
from melon_api import create_app
from melon_api.storage import engine
from melon_api.web.problems import by_code
from melon_api.web.request import API

# The calls that need no token.
OPEN = ("/auth/register", "/auth/login", "/auth/password/forgot", "/auth/password/reset")
OPEN += ("/auth/email/verify", "/auth/guest", "/auth/oidc/{provider}")
OPEN += ("/auth/code", "/auth/code/verify")


def test_healthz_and_readyz(app: Flask) -> None:
    """Contract, Service 1 and 2."""
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["database"] == "ok"
    assert ("redis" in answer.json) == bool(app.config["REDIS_URL"])


def test_readyz_names_what_does_not_answer(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Service 2."""
    monkeypatch.setitem(plain_app.config, "REDIS_URL", re.sub(r":\d+/", ":1/", REDIS))
    answer = plain_app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert list(answer.json["errors"]) == ["redis"]
    assert "Retry-After" in answer.headers


def test_readyz_does_not_hang_with_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections and says nothing; a balancer has long gone by the usual time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql://melon:melon@127.0.0.1:{silent.getsockname()[1]}/melon"
        monkeypatch.setattr(engine, "PROBE_SECONDS", 1)
        app = create_app(settings.load(environment("mariadb", url), tmp_path))
        answer = app.test_client().get("/readyz")
    assert (answer.status_code, list(answer.json["errors"])) == (503, ["database"])


def test_readyz_survives_a_restart_of_the_database(tmp_path: Path) -> None:
    """The connection that it keeps was ended; the next one tells."""
    with fresh_database("mariadb", tmp_path) as url:
        app = create_app(settings.load(environment("mariadb", url), tmp_path))
        client = app.test_client()
        assert client.get("/readyz").status_code == 200
        kept = app.extensions["database_probe"]
        with kept.connect() as connection:
            number = connection.connection.thread_id()
        with patient(app).connect() as other:
            other.exec_driver_sql(f"KILL {number}")
        assert client.get("/readyz").status_code == 200
        kept.dispose()


def patient(app: Flask) -> Engine:
    with app.app_context():
        return engine.patient_engine()


def test_openapi_describes_every_route(plain_app: Flask) -> None:
    """Contract, Service 4."""
    spec = plain_app.test_client().get("/openapi.json").json
    assert spec["openapi"] == "3.1.0"
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in plain_app.url_map.iter_rules()
        if rule.rule.startswith(API)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    described = {
        (path, method)
        for path, item in spec["paths"].items()
        for method in item
        if path.startswith(API) and method != "parameters"
    }
    assert routes == described
    for path, method in described:
        operation = spec["paths"][path][method]
        assert operation["summary"]
        is_open = path.removeprefix(API) in OPEN
        assert is_open != bool(operation["security"])
    codes = spec["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert codes == list(by_code())


def test_openapi_describes_the_records_of_the_models(plain_app: Flask) -> None:
    spec = plain_app.test_client().get("/openapi.json").json
    task = spec["components"]["schemas"]["TaskRecord"]["properties"]
    assert set(task) == {
        "id",
        "title",
        "description",
        "is_completed",
        "project_id",
        "created_at",
        "updated_at",
    }
    assert task["title"]["maxLength"] == 255


def test_docs_work_without_internet(plain_app: Flask) -> None:
    """Contract, Service 5."""
    client = plain_app.test_client()
    page = client.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    assert all(asset.startswith("/docs/") for asset in assets)
    for asset in assets:
        with client.get(asset) as answer:
            assert answer.status_code == 200


def test_the_page_lets_in_nothing_but_its_own(plain_app: Flask) -> None:
    """People paste tokens into it; tests/browser shows that it works so."""
    client = plain_app.test_client()
    first, second = (client.get("/docs").headers["Content-Security-Policy"] for _ in range(2))
    assert "default-src 'none'" in first and "connect-src 'self'" in first
    assert "frame-ancestors 'none'" in first and "unsafe" not in first
    assert first != second  # a nonce that is used twice is none


def test_cors_lets_a_web_app_read_the_answer(plain_app: Flask) -> None:
    answer = Account(plain_app).first.call("GET", "/users/me", headers={"Origin": "https://a.app"})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://a.app")
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("method", ["get", "options", "post"])
def test_where_no_web_app_may_call_no_answer_speaks_of_it(tmp_path: Path, method: str) -> None:
    """As in production, unless CORS_ORIGINS says otherwise."""
    url = f"sqlite:///{tmp_path}/plain.db"
    app = make_app(environment("sqlite", url, CORS_ORIGINS=""), tmp_path)
    headers = {"Origin": "https://a.app", "Access-Control-Request-Method": "GET"}
    answer = getattr(app.test_client(), method)(f"{API}/users/me", headers=headers)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
    assert answer.status_code == {"get": 401, "options": 200, "post": 405}[method]
