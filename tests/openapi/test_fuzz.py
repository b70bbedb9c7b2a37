"""schemathesis against a real gunicorn: whatever it sends, every answer is as described."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from described import CALLS
from servers import Server, serving

HERE = Path(__file__).resolve().parent
TESTED = len(CALLS) + 3  # and those at the root; it leaves out the description itself
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # of each call; `make fuzz` asks for many
SECONDS = 120 + 20 * EXAMPLES  # against a hang
# One run with what every boundary asks for, one at random; `make fuzz` has both on both.
PHASES = {"sqlite": "fuzzing", "mariadb+redis": "examples,coverage"}


def fuzz(server: Server, phases: str, seed: str) -> str:
    """What schemathesis said, when it found nothing."""
    options = [f"--phases={phases}", f"--max-examples={EXAMPLES or 5}", f"--seed={seed}"]
    options += ["--workers=2", "--continue-on-failure", "--no-color"]
    here = {"MELON_URL": server.url, "SCHEMATHESIS_HOOKS": "people", "PYTHONPATH": str(HERE)}
    config = ["--config-file", str(HERE / "schemathesis.toml")]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            *config,
            "run",
            *options,
            server.url + "/openapi.json",
        ],
        cwd=server.log.parent,
        env=os.environ | here,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", PHASES)
def test_no_request_brings_an_answer_that_is_not_described(backend: str, tmp_path: Path) -> None:
    """Contract, Errors 1 and Service 4: no crash, and status, type, headers and body as they
    should."""
    phases = "examples,coverage,fuzzing" if EXAMPLES else PHASES[backend]
    with serving(backend, tmp_path) as server:
        said = fuzz(server, phases, os.environ.get("FUZZ_SEED", "1"))
        assert "Traceback" not in server.log.read_text(errors="replace"), server.log_tail()
    assert f"Tested: {TESTED}" in said
    (sent,) = re.findall(r"(\d+) generated, \1 passed", said)
    assert int(sent) >= TESTED * (20 if "coverage" in phases else 2)
