"""The docs are tested: what they print works, and nothing is left out of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CI, missing
from flask import Flask
from servers import free_port, serving

import config
from melon_api.audit import Event
from melon_api.errors import STATUS_OF

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = README + "".join(page.read_text() for page in sorted((ROOT / "docs").rglob("*.md")))
LOCAL = "http://127.0.0.1:8000"


def block(name: str) -> str:
    """The text of the code block that is called `name` in the README."""
    (text,) = re.findall(rf"```\w+ {name}\n(.*?)```", README, flags=re.DOTALL)
    return str(text)


def settings_read() -> set[str]:
    """Every variable that the code takes from the environment."""
    names = r"(?:environ\.get|_flag|_number|_choice|_text|_link)\(\s*\"([A-Z0-9_]+)\""
    found = set(re.findall(names, (ROOT / "config.py").read_text()))
    found |= set(re.findall(names, (ROOT / "gunicorn.conf.py").read_text()))
    found |= set(re.findall(r'^    "([A-Z_]+_URL)",', (ROOT / "config.py").read_text(), re.M))
    return found | set(config.LIMITS)


def test_every_setting_is_in_the_readme() -> None:
    assert len(settings_read()) > 10
    assert not {name for name in settings_read() if f"`{name}`" not in README}


def test_every_setting_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    add_ons = {"JAWSDB_URL", "JAWSDB_MARIA_URL", "CLEARDB_DATABASE_URL"}
    assert not {name for name in settings_read() - add_ons if f"{name}=" not in example}


def test_every_error_code_is_documented() -> None:
    assert not {code for code in STATUS_OF if f"`{code}`" not in DOCS}


def test_every_route_is_documented(plain_app: Flask) -> None:
    rules = [rule for rule in plain_app.url_map.iter_rules() if not rule.rule.startswith("/static")]
    calls = {
        f"{method} {rule.rule.removeprefix('/api/v1')}"
        for rule in rules
        if "swagger_ui" not in rule.endpoint and "openapi" not in rule.endpoint
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert not {call for call in calls if f"`{call}`" not in DOCS}


def test_every_test_named_in_security_is_there() -> None:
    """No green words without a test: a requirement that is met names one, or its page."""
    page = (ROOT / "docs" / "security.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"(?:def|class) ((?:test|Test)\w+)", code))
    assert not set(re.findall(r"`((?:test_|Test)\w+)`", page)) - there
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \| [^|]+ \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) > 60
    for requirement, state, words in rows:
        assert state in ("met", "partly", "not met", "platform"), requirement
        assert state != "met" or re.search(r"`(test_|Test)|\]\(", words), requirement


def test_every_audit_event_is_documented() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    assert not {event for event in Event if f"`{event}`" not in page}


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_phone_in_the_same_network_reaches_the_server_as_printed(tmp_path: Path) -> None:
    """docs/troubleshooting.md: `HOST=0.0.0.0` is all that `scripts/serve` wants."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    (host,) = re.findall(r"`HOST=(\S+) \./scripts/serve`", page)
    (server,) = re.findall(r"^exec (gunicorn .*)$", (ROOT / "scripts" / "serve").read_text(), re.M)
    kept = {"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-m", *server.split(), "--print-config"]
    done = subprocess.run(
        command, cwd=ROOT, env=kept | {"HOST": host}, capture_output=True, text=True, check=True
    )
    assert re.search(r"^bind\s+= \['0\.0\.0\.0:8000'\]$", done.stdout, re.M), done.stdout


def test_every_requirement_is_used() -> None:
    names = {"argon2-cffi": "argon2", "flask-compress": "flask_compress", "gunicorn": "gunicorn"}
    code = "".join(p.read_text() for p in [*(ROOT / "melon_api").rglob("*.py"), ROOT / "Procfile"])
    code += (ROOT / "config.py").read_text()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            name = name.split("[", maxsplit=1)[0]
            assert version
            assert names.get(name, name.replace("-", "_")) in code, line


def test_every_optional_requirement_is_asked_for() -> None:
    """By the setting that needs it, which names it when it is missing."""
    lines = (ROOT / "requirements-observability.txt").read_text().splitlines()
    pinned = [line.split("==")[0] for line in lines if "==" in line]
    asked = {package for packages in config.OPTIONAL.values() for package in packages}
    assert sorted(pinned) == sorted(re.sub("[._]", "-", package) for package in asked)


def test_the_curl_session_works_as_printed(tmp_path: Path) -> None:
    with serving("sqlite", tmp_path) as server:
        script = block("session").replace(LOCAL, server.url)
        output = run_shell(script)
    pushed, pulled = (json.loads(part) for part in re.findall(r"\{.*?\}(?=\{|$)", output))
    assert pushed["timestamp"] == pulled["timestamp"]
    assert [t["title"] for t in pulled["changes"]["tasks"]["created"]] == ["Paint"]


def run_shell(script: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_sync_snippet_works_as_printed(tmp_path: Path, client_packages: None) -> None:
    """The README's schema and `sync`, in the stock client, on two phones."""
    client = ROOT / "tests" / "client"
    with serving("sqlite", tmp_path) as server:
        # Node wants the file's name where an app's bundler finds it
        snippet = block("sync").replace("watermelondb/sync'", "watermelondb/sync/index.js'")
        (tmp_path / "sync.mjs").write_text(snippet.replace(LOCAL, server.url))
        (tmp_path / "schema.mjs").write_text(block("schema"))
        (tmp_path / "node_modules").symlink_to(client / "node_modules")
        environ = os.environ | {"MELON_URL": server.url, "SNIPPETS": str(tmp_path)}
        script = [client / "readme.mjs"]
        done = subprocess.run(
            ["node", *script], env=environ, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "two phones hold the same" in done.stdout


def test_the_checksum_snippet_works_as_printed(tmp_path: Path) -> None:
    if not shutil.which("node"):
        missing("node")
    page = (ROOT / "docs" / "verify.md").read_text()
    (snippet,) = re.findall(r"```js checksum\n(.*?)```", page, flags=re.DOTALL)
    (record,) = re.findall(r"```json record\n(.*?)```", page, flags=re.DOTALL)
    (number,) = re.findall(r"is\s+`([0-9]+)`", page)
    script = f"{snippet}\nconst {{ id, ...rest }} = {record}\n"
    script += "console.log(recordChecksum({ id, ...rest }, Object.keys(rest)))"
    (tmp_path / "checksum.mjs").write_text(script)
    assert run_shell(f"node {tmp_path / 'checksum.mjs'}") == number


@contextmanager
def fresh_clone(folder: Path) -> Iterator[Path]:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    yield clone


def test_the_first_command_serves_in_a_fresh_clone(tmp_path: Path) -> None:
    """As a newcomer would: nothing is installed, nothing is set."""
    if not CI:
        pytest.skip("installs everything anew; set CI=true")
    port = free_port()
    kept = ("PATH", "HOME", "LANG")
    environ = {k: v for k, v in os.environ.items() if k in kept or k.startswith("PIP_")}
    environ["PORT"] = str(port)
    with fresh_clone(tmp_path) as clone, (tmp_path / "log").open("w+") as log:
        command = ["bash", "-c", block("serve")]
        server = subprocess.Popen(
            command, cwd=clone, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/readyz", server, tmp_path / "log")
            output = run_shell(block("session").replace(":8000", f":{port}"))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    assert "Paint" in output
    assert "demo@example.com" in (tmp_path / "log").read_text()


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def test_the_readme_test_command_is_what_ci_runs() -> None:
    assert block("test").strip() in (ROOT / ".ci" / "run").read_text().splitlines()
