"""`/` and `/demo`: in development alone, and of its folder alone."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import APP
from flask import Flask
from flask.testing import FlaskClient

import config
from melon_api import create_app

ROOT = Path(__file__).parents[2]
PAGES = ("demo.", "start_page.")
SECRET = "s" * 32
PAGE = "<!doctype html><title>Two phones</title>"
# Staging's and production's settings, complete.
DEPLOYED = {
    "DATABASE_URL": "mysql://user:password@127.0.0.1/melon",
    "REDIS_URL": "redis://127.0.0.1:6379/9",
    "JWT_SECRET_KEY": SECRET,
}


def settings(app_env: str, folder: Path, **more: str) -> config.Config:
    environ = {"APP_ENV": app_env, "DATABASE_URL": f"sqlite:///{folder / 'melon.db'}"}
    return config.load(environ | {"MELON_APP": APP} | more, folder)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a build, still empty; a secret lies beside it."""
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "dist"
    folder.mkdir()
    monkeypatch.setattr(config.Development, "DEMO_FOLDER", folder)
    return folder


@pytest.fixture
def browser(build: Path, tmp_path: Path) -> FlaskClient:
    (build / "index.html").write_text(PAGE)
    (build / "assets").mkdir()
    (build / "assets" / "index-1.js").write_text("1")
    (build / "assets" / "index-1.css").write_text("a{}")
    (build / "melon.svg").write_text("<svg/>")
    return create_app(settings("development", tmp_path)).test_client()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/assets/index-1.js", "text/javascript; charset=utf-8"),
        ("/assets/index-1.css", "text/css; charset=utf-8"),
        ("/melon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_the_build_is_served_with_its_types(browser: FlaskClient, path: str, kind: str) -> None:
    with browser.get(f"/demo{path}") as answer:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "assets/../../secret.txt",
        "..%5csecret.txt",
        "/etc/passwd",
        "assets",
        "none.js",
        "%00",
    ],
)
def test_nothing_beside_the_build_is_served(browser: FlaskClient, path: str) -> None:
    answer = browser.get(f"/demo/{path}", follow_redirects=True)
    assert answer.status_code == 404
    assert answer.json is not None and answer.json["code"] == "not_found"
    assert SECRET not in answer.text


def test_the_build_can_only_be_read(browser: FlaskClient) -> None:
    assert browser.post("/demo/").status_code == 405
    assert browser.delete("/demo/index.html").status_code == 405


@pytest.mark.usefixtures("build")
def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    answer = create_app(settings("development", tmp_path)).test_client().get("/demo")
    assert answer.status_code == 200
    assert "make demo" in answer.text


def test_the_address_that_is_printed_leads_on(browser: FlaskClient) -> None:
    """`/`: to what is there, by links that work; nothing that is not this server's can be in it."""
    answer = browser.get("/")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "make demo" not in answer.text
    links = re.findall('href="(.*?)"', answer.text)
    assert links == ["/demo/", "/docs", "/openapi.json", "/readyz", "/docs/quick-start"]
    for link in links:
        with browser.get(link, follow_redirects=True) as there:
            assert there.status_code in (200, 503)  # there is a database, but no table in it


@pytest.mark.usefixtures("build")
def test_it_says_how_to_build_the_demo(tmp_path: Path) -> None:
    app = create_app(settings("development", tmp_path))
    assert "make demo" in app.test_client().get("/").text


LIVE = "http://127.0.0.1:8001 http://localhost:8001"  # the live process on this machine
LOCAL = {"OIDC_GOOGLE_ISSUER": "http://127.0.0.1:9400", "OIDC_GOOGLE_CLIENT_IDS": "b.web, a.ios"}


@pytest.mark.usefixtures("build")
def test_a_provider_on_this_machine_is_told(tmp_path: Path) -> None:
    """The page leads there and fetches a token there; nowhere else."""
    http = create_app(settings("development", tmp_path, **LOCAL)).test_client()
    answer = http.get("/demo/google.json")
    assert answer.json == {"issuer": "http://127.0.0.1:9400", "client_id": "a.ios"}
    policy = answer.headers["Content-Security-Policy"]
    assert f" connect-src 'self' {LIVE} http://127.0.0.1:9400;" in policy


@pytest.mark.usefixtures("build")
def test_the_page_is_told_where_the_live_process_is(tmp_path: Path) -> None:
    http = create_app(settings("development", tmp_path, LIVE_PORT="9401")).test_client()
    answer = http.get("/demo/live.json")
    assert answer.json == {"port": 9401}
    allowed = "http://127.0.0.1:9401 http://localhost:9401"
    assert f" connect-src 'self' {allowed};" in answer.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("own", [{}, {"OIDC_GOOGLE_CLIENT_IDS": "1234-web"}])
def test_of_the_real_google_the_demo_tells_nothing(tmp_path: Path, own: dict[str, str]) -> None:
    http = create_app(settings("development", tmp_path, **own)).test_client()
    answer = http.get("/demo/google.json")
    assert (answer.status_code, answer.json) == (200, {})
    assert f" connect-src 'self' {LIVE};" in answer.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("app_env", ["testing", "staging", "production"])
def test_there_is_no_demo_elsewhere(app_env: str, tmp_path: Path) -> None:
    """Whatever the environment says."""
    wishes = {"DEMO_FOLDER": str(ROOT), "FLASK_DEMO_FOLDER": str(ROOT), "DEBUG": "true"}
    deployed = DEPLOYED if app_env != "testing" else {}
    app = create_app(settings(app_env, tmp_path, **wishes | deployed))
    names = ("index.html", "sign-in.html", "google.json", "live.json")
    for path in ("/", "/demo", "/demo/", *(f"/demo/{name}" for name in names)):
        answer = app.test_client().get(path)
        assert answer.status_code == 404
        assert answer.json is not None and answer.json["code"] == "not_found"


@pytest.mark.usefixtures("build")
def test_its_routes_are_documented(tmp_path: Path) -> None:
    app: Flask = create_app(settings("development", tmp_path))
    page = (ROOT / "docs" / "api.md").read_text()
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(PAGES)]
    assert rules
    assert not [rule for rule in rules if f"`GET {rule}`" not in page]


def test_the_command_refuses_to_serve_it_in_production() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "demo"],
        env={"PATH": "/usr/bin:/bin", "APP_ENV": "production"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search("development alone.* production", done.stderr)
