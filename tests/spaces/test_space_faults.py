"""What a review of shared spaces found, with the example app: other tests' process has another
app's tables."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_a_review_found_stays_mended() -> None:
    """Contract, push 1, 4 and 6, Spaces 2 and 4; the stories are in space_faults.py."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/spaces/space_faults.py"]
    environ = os.environ | {"TEST_APP": "app"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
