"""The stock @nozbe/watermelondb from npm against a real gunicorn: the judge of the contract."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import missing
from servers import Server, serving

HERE = Path(__file__).resolve().parent
NODE_SECONDS = 300  # against a hang; a run takes a few


@pytest.fixture(scope="session")
def client_packages() -> None:
    """`node_modules` as the lock file says; installed when missing or older than it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node")
        return
    installed = HERE / "node_modules" / ".package-lock.json"
    wanted = (HERE / "package-lock.json").stat().st_mtime
    if not installed.exists() or installed.stat().st_mtime < wanted:
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=True
        )


def run_client(server: Server, *files: str) -> None:
    """Run these node tests; fail with all that node and the server said."""
    assert files
    environ = os.environ | {"MELON_URL": server.url, "NO_COLOR": "1"}
    output = server.log.with_name("node.txt")
    command = ["node", "--test", "--test-reporter=spec", *files]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=HERE, env=environ, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            code = process.wait(NODE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    text = output.read_text(errors="replace")
    said = f"{text}\ngunicorn's log ends:\n{server.log_tail()}"
    counts = {kind: int(count) for kind, count in re.findall(r"^ℹ (\w+) (\d+)$", text, re.M)}
    assert code == 0, said
    assert counts["pass"] == counts["tests"] > 0, said
    assert "Traceback" not in server.log.read_text(errors="replace"), said


@pytest.mark.usefixtures("client_packages")
def test_the_stock_client_syncs(backend: str, tmp_path: Path) -> None:
    with serving(backend, tmp_path) as server:
        run_client(server, *sorted(path.name for path in HERE.glob("*.test.js")))


@pytest.mark.usefixtures("client_packages")
def test_the_stock_client_converges_where_conflicts_are_refused(
    backend: str, tmp_path: Path
) -> None:
    with serving(backend, tmp_path, SYNC_CONFLICT_POLICY="reject") as server:
        run_client(server, "chaos.test.js")
