"""What platforms read: Procfile, app.json, .python-version, Dockerfile; no Docker runs here."""

import json
import re
import subprocess
import sys
from pathlib import Path

from paas import PROCFILE, ROOT
from servers import Server, serving

import config

DOCKERFILE = (ROOT / "Dockerfile").read_text()
# https://devcenter.heroku.com/articles/app-json-schema
KEYS = {"addons", "buildpacks", "description", "env", "environments", "formation", "image"}
KEYS |= {"keywords", "logo", "name", "repository", "scripts", "stack", "success_url", "website"}


def instruction(name: str) -> list[str]:
    return re.findall(rf"^{name}(?: |(?<==))(.*)$", DOCKERFILE, re.MULTILINE)


def test_app_json_is_as_its_schema_wants() -> None:
    app = json.loads((ROOT / "app.json").read_text())
    assert set(app) <= KEYS
    for name, variable in app["env"].items():
        assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text()
        assert set(variable) <= {"description", "value", "required", "generator"}
        assert isinstance(variable.get("value", ""), str)
        assert variable.get("generator", "secret") == "secret"
    assert set(app["formation"]) <= set(PROCFILE)
    assert app["env"]["APP_ENV"]["value"] in config.ENVIRONMENTS


def test_the_image_runs_what_the_procfile_says() -> None:
    (command,) = instruction("CMD")
    assert " ".join(json.loads(command)) == PROCFILE["web"]
    assert PROCFILE["release"] in DOCKERFILE


def test_the_image_is_of_the_python_that_the_platform_takes() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    (base,) = instruction("ARG BASE=")
    assert re.fullmatch(rf"python:{re.escape(version)}-slim@sha256:[0-9a-f]{{64}}", base)
    assert {line.split()[0] for line in instruction("FROM")} == {"$BASE"}


def test_the_image_is_not_roots() -> None:
    (user,) = instruction("USER")
    assert int(user.split(":")[0]) > 0


def test_the_image_holds_what_the_server_needs_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    needed = {
        "app",
        "config.py",
        "environ.py",
        "gunicorn.conf.py",
        "melon_api",
        "server",
        "migrations",
        "tools",
        "wsgi.py",
        *("README.md", "client/README.md", "docs"),  # its pages under /docs
    }
    assert kept == needed | {"requirements.txt", "requirements-observability.txt"}
    assert all((ROOT / name).exists() for name in kept)


def test_the_images_health_check_tells_up_from_down(tmp_path: Path) -> None:
    (check,) = re.findall(r"HEALTHCHECK .* CMD (\[.*\])", DOCKERFILE)
    with serving("sqlite", tmp_path, workers=1) as server:
        assert run_check(check, server) == 0
    assert run_check(check, server) != 0


def run_check(check: str, server: Server) -> int:
    _, *arguments = json.loads(check)
    environ = {"PORT": server.url.rpartition(":")[2]}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode
