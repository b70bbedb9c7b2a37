"""The demo in a real Chromium: what a visitor does, on a wide and a narrow screen, and in trouble.

`DEMO_PICTURES=folder` keeps the pictures of the visits.
"""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from conftest import install_packages
from servers import Server, serving

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "demo"
SECONDS = 300  # against a hang
SECRET = "a secret that the visit ages tokens with"
APP = "app"  # whose projects may be shared, and whose rule refuses something
SOURCES = ("src", "public", "index.html", "package-lock.json", "vite.config.mts")


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


def visit(name: str, server: Server, chromium: str, pictures: Path) -> None:
    folder = Path(os.environ.get("DEMO_PICTURES") or pictures)
    environ = {"MELON_URL": server.url, "MELON_PID": str(server.pid), "JWT_SECRET_KEY": SECRET}
    environ |= {"CHROMIUM": chromium, "PICTURES": str(folder)}
    said = run("node", "demo.js", name, folder=HERE, **environ)
    assert "as a visitor wishes" in said
    assert "Traceback" not in server.log.read_text(errors="replace")
    assert list(folder.glob(f"{name}-*.png"))


@pytest.mark.usefixtures("built")
def test_its_types_are_right() -> None:
    run("npm", "run", "check", folder=DEMO)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", ["wide", "narrow", "trouble"])
def test_a_visit_goes_as_the_page_says(name: str, chromium: str, tmp_path: Path) -> None:
    settings = {"APP_ENV": "development", "JWT_SECRET_KEY": SECRET, "MELON_APP": APP}
    with serving("sqlite", tmp_path, **settings) as server:
        visit(name, server, chromium, tmp_path)


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
