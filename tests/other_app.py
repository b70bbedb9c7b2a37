"""Tests of another app's tables run in a process of their own: a process has the tables of one."""

import os
import subprocess
import sys

from config import ROOT


def run_with(app: str, *command: str) -> str:
    """What Python says, with `app` in place of the tests' own; fails with all of it."""
    environ = os.environ | {"TEST_APP": app}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_stories(app: str, file: str, *options: str) -> str:
    """The tests in a file that pytest does not find by itself; all of them pass."""
    said = run_with(app, "-m", "pytest", file, "-p", "no:xdist", "-p", "no:randomly", *options)
    assert "passed" in said, said
    return said
