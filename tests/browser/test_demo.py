"""The demo in a real Chromium: what a visitor does, on a wide and a narrow screen, and in trouble;
and how one signs in.

`DEMO_PICTURES=folder` keeps the pictures of the visits.
"""

import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from conftest import NO_ENV_FILE, install_packages
from copies import copied, with_scripts
from issuer import LocalIssuer
from living import Live, living
from servers import Server, free_port, serving

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "demo"
SECONDS = 300  # against a hang
SECRET = "a secret that the visit ages tokens with"
APP = "app"  # whose projects may be shared, and whose rule refuses something
SOURCES = (
    *("src", "public", "index.html", "sign-in.html", "package-lock.json", "vite.config.mts"),
    "../client/src",  # which is built into it
)


@pytest.fixture(scope="session")
def built() -> None:
    """The demo's build; made anew when something of it is newer."""
    install_packages(DEMO)
    with (DEMO / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other processes of this run wait
        page = DEMO / "dist" / "index.html"
        if not page.exists() or page.stat().st_mtime < newest():
            run("npm", "run", "build", folder=DEMO)


def newest() -> float:
    """When a source of the demo was changed last."""
    found = [DEMO / name for name in SOURCES]
    found += [path for name in SOURCES for path in (DEMO / name).rglob("*")]
    return max(path.stat().st_mtime for path in found)


def run(*command: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def visit(
    name: str, server: Server, chromium: str, pictures: Path, script: str = "demo.js", **more: str
) -> None:
    folder = Path(os.environ.get("DEMO_PICTURES") or pictures)
    environ = {"MELON_URL": server.url, "MELON_PID": str(server.pid), "JWT_SECRET_KEY": SECRET}
    environ |= {"CHROMIUM": chromium, "PICTURES": str(folder), **more}
    said = run("node", script, name, folder=HERE, **environ)
    assert "as a visitor wishes" in said
    assert "Traceback" not in server.log.read_text(errors="replace")
    assert list(folder.glob(f"{name}-*.png"))


@pytest.mark.usefixtures("built")
def test_its_types_are_right() -> None:
    run("npm", "run", "check", folder=DEMO)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", ["wide", "narrow", "trouble", "live", "poll"])
def test_a_visit_goes_as_the_page_says(name: str, chromium: str, tmp_path: Path) -> None:
    """Contract, Live: by a stream and by long polls, without Redis."""
    with serving("sqlite", tmp_path, **settings()) as server, beside(server) as live:
        visit(name, server, chromium, tmp_path, MELON_LIVE=live.url)


@pytest.mark.usefixtures("built")
def test_without_a_live_process_the_phones_ask(chromium: str, tmp_path: Path) -> None:
    own = settings()
    with serving("sqlite", tmp_path, **own) as server:
        nobody = f"http://127.0.0.1:{own['LIVE_PORT']}"
        visit("asking", server, chromium, tmp_path, MELON_LIVE=nobody)


def settings(**more: str) -> dict[str, str]:
    own = {"APP_ENV": "development", "JWT_SECRET_KEY": SECRET, "MELON_APP": APP}
    return own | {"LIVE_PORT": str(free_port())} | more


def beside(server: Server) -> AbstractContextManager[Live]:
    """The live process where the demo looks for it."""
    return living(server, port=int(server.environ["LIVE_PORT"]))


@pytest.mark.usefixtures("built")
def test_a_visit_goes_as_well_on_servers_with_limits(chromium: str, tmp_path: Path) -> None:
    with serving(
        "mariadb+redis",
        tmp_path,
        APP_ENV="development",
        RATELIMIT_ENABLED="true",
        RATELIMIT_PULL_PER_ACCOUNT="12/hour",
    ) as server:
        visit("servers", server, chromium, tmp_path)


@pytest.mark.usefixtures("built")
def test_a_visitor_signs_in_with_google(chromium: str, tmp_path: Path) -> None:
    """Contract, Accounts 14, 15 and 16, by a whole flow: with a provider on this machine in
    Google's place, as a guest before, and without a provider."""
    own = {"APP_ENV": "development", "JWT_SECRET_KEY": SECRET, "MELON_APP": APP}
    with LocalIssuer() as issuer:
        google = {"OIDC_GOOGLE_ISSUER": issuer.url, "OIDC_GOOGLE_CLIENT_IDS": "app.melon"}
        with serving("sqlite", tmp_path, **own, **google) as server:
            more = {"script": "sign_in.js", "MELON_ISSUER": issuer.url}
            visit("google", server, chromium, tmp_path, **more)
            told = [form["grant_type"] for form in issuer.forms]
            assert told == ["authorization_code"] * 2


@pytest.mark.usefixtures("built")
def test_without_a_provider_a_visitor_begins_as_a_guest(chromium: str, tmp_path: Path) -> None:
    own = {"APP_ENV": "development", "JWT_SECRET_KEY": SECRET, "MELON_APP": APP}
    with serving("sqlite", tmp_path, **own) as server:
        visit("none", server, chromium, tmp_path, script="sign_in.js")


@contextmanager
def demo_of(clone: Path, **settings: str) -> Iterator[str]:
    """`make demo` of a checkout: where it serves, until it is ended with its children."""
    port, log = free_port(), clone / "log"
    own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **NO_ENV_FILE, **settings}
    own |= {"PORT": str(port), "LIVE_PORT": str(free_port())}
    with log.open("wb") as out:
        command = subprocess.Popen(
            ["./scripts/demo"], cwd=clone, env=own, stdout=out, stderr=out, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while "Booting worker" not in (said := log.read_text(errors="replace")):
            assert command.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        command.terminate()
        command.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout with all that `make demo` needs."""
    install_packages(DEMO)
    clone = with_scripts(copied(tmp_path / "clone"))
    shutil.copytree(DEMO, clone / "demo", symlinks=True)
    shutil.copytree(DEMO.parent / "client" / "src", clone / "client" / "src")
    return clone


def fetched(url: str, **form: str) -> Any:
    body = urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, body, timeout=SECONDS) as answer:
        return json.load(answer)


def answers(url: str) -> bool:
    try:
        return bool(fetched(url))
    except OSError:
        return False


def test_the_command_plays_google(clone: Path) -> None:
    """docs/signing-in.md: one command, and no account there; what plays it ends with the server."""
    with demo_of(clone) as url:
        told = fetched(f"{url}/demo/google.json")
        issuer, client = told["issuer"], told["client_id"]
        address = urlsplit(issuer)
        assert address.hostname == "127.0.0.1"
        back = f"{url}/demo/sign-in.html"
        query = {"client_id": client, "redirect_uri": back, "login_hint": "bo@example.com"}
        asked = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
        asked.request("GET", f"/authorize?{urlencode(query)}")
        where = asked.getresponse().headers["Location"]
        assert where.startswith(f"{back}?")
        code = parse_qs(urlsplit(where).query)["code"][0]
        tokens = fetched(f"{issuer}/token", code=code, client_id=client)
        body = json.dumps({"id_token": tokens["id_token"]}).encode()
        request = urllib.request.Request(f"{url}/api/v1/auth/oidc/google", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            assert (answer.status, json.load(answer)["user"]["email"]) == (201, "bo@example.com")
    deadline = time.monotonic() + SECONDS
    while answers(f"{issuer}/keys"):
        assert time.monotonic() < deadline, "it goes on without the server"
        time.sleep(0.1)


def test_the_command_plays_no_google_that_is_set(clone: Path) -> None:
    with demo_of(clone, OIDC_GOOGLE_CLIENT_IDS="1234-web") as url:
        assert fetched(f"{url}/demo/google.json") == {}
