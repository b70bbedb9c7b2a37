"""What sharing costs, with the example app: other tests' process has another app's tables."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_sharing_costs() -> None:
    """Contract, Spaces 2 and 6; the counts are in space_costs.py."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/spaces/space_costs.py"]
    environ = os.environ | {"TEST_APP": "app"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
