"""What melon-sync's README says of browsers, in a real Chromium."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import install_packages
from servers import serving

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "demo"
SECONDS = 300  # against a hang; it takes a few


def visit(script: str, **environ: str) -> None:
    done = subprocess.run(
        ["node", script],
        cwd=HERE,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "as the README says" in done.stdout, done.stdout + done.stderr


@pytest.mark.usefixtures("melon_sync")
def test_a_redirect_is_told(chromium: str) -> None:
    """From a failing network, save one of another origin without CORS."""
    visit("redirects.js", CHROMIUM=chromium)


@pytest.mark.usefixtures("melon_sync")
def test_two_tabs_on_one_indexeddb_miss_nothing(chromium: str, tmp_path: Path) -> None:
    """They sync at once, share no number, and one is closed between a push and its mark."""
    install_packages(DEMO)  # it has the bundler
    with serving("sqlite", tmp_path) as server:
        visit("tabs.js", CHROMIUM=chromium, MELON_URL=server.url)
