"""What `flask sync schema` prints compiles under strict TypeScript, and works in the client."""

from pathlib import Path

import pytest
from conftest import install_packages
from printed import HERE, compiled, flask, node
from servers import serving


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(HERE)


@pytest.mark.usefixtures("packages")
def test_the_printed_app_compiles_and_syncs(tmp_path: Path) -> None:
    """As files, and as the one text."""
    written = flask("schema", "--output", str(tmp_path / "app"))
    assert written.returncode == 0, written.stderr
    (tmp_path / "one.ts").write_text(flask("schema", "--format", "watermelon").stdout)
    (tmp_path / "first.ts").write_text((HERE / "first.ts").read_text())
    out = compiled(tmp_path, "first.ts")
    with serving("sqlite", tmp_path) as server:
        said = node("first.js", MELON_URL=server.url, APP=out / "app")
    assert "two phones hold the same" in said
