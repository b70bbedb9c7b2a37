"""docs/app-schema.md: its commands and snippets are run as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import APP, install_packages
from printed import HERE, compiled, flask

from config import ROOT

PAGE = (ROOT / "docs" / "app-schema.md").read_text()


def block(name: str, page: str = PAGE) -> str:
    (text,) = re.findall(rf"```\w+ {name}\n(.*?)```", page, flags=re.DOTALL)
    return str(text)


def shell(command: str, app: Path) -> str:
    """With the app's folder in place of the page's."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    text = command.replace("mobile", str(app))
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=ROOT,
        env={"MELON_APP": APP, "PATH": path, "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(HERE)


@pytest.mark.usefixtures("packages")
def test_the_printed_files_make_a_database(tmp_path: Path) -> None:
    shell(block("print"), tmp_path)
    (tmp_path / "src" / "app.ts").write_text(block("app"))
    assert (compiled(tmp_path, "src") / "src" / "app.js").exists()


@pytest.mark.usefixtures("packages")
def test_an_apps_own_schema_is_checked(tmp_path: Path) -> None:
    """As it is, and as the JSON that the page's lines write of it."""
    own = block("schema", (ROOT / "docs" / "stock-client.md").read_text())
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "schema.ts").write_text(own)
    assert "fits the server's" in shell(block("check"), tmp_path)
    (tmp_path / "schema.mjs").write_text(own)
    (tmp_path / "write.mjs").write_text(block("json").replace("'./schema'", "'./schema.mjs'"))
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    subprocess.run(["node", "write.mjs"], cwd=tmp_path, check=True)
    checked = flask("check-schema", str(tmp_path / "schema.json"))
    assert (checked.returncode, checked.stdout) == (0, "The app's schema fits the server's.\n")


def test_every_gravity_and_option_is_on_the_page() -> None:
    options = set(re.findall(r"--[a-z-]+", flask("schema", "--help").stdout)) - {"--help"}
    assert options == {"--format", "--output", "--force", "--first-version", "--since"}
    assert not {option for option in options if option not in PAGE}
