"""What tests/forks.py starts is what `python -m` would have started."""

import os
import subprocess
import sys
import time
from pathlib import Path

import forks

TELL = """
import os, signal, sys, time
here = [sys.argv[1:], os.getcwd(), sys.path[0], sorted(os.environ.items()), __name__, __file__]
ours = [name for name in ("melon_api", "config", "conftest", "forks") if name in sys.modules]
print(here, ours, sys.path[1:], os.getsid(0) == os.getpid(), os.listdir("/proc/self/fd")[:3])
print("an error", file=sys.stderr)
if "wait" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
    print("ready", flush=True)
    time.sleep(60)
sys.exit(3)
"""


def test_a_fork_says_what_a_start_says(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(TELL)
    environ = {"PATH": os.environ["PATH"], "LETTER": "ä\n" * 40_000, "LC_ALL": "C.UTF-8"}
    environ["PYTHONPATH"] = f"{tmp_path / 'one'}:{tmp_path / 'two'}"
    environ |= forks.at_start(os.environ)
    command = [sys.executable, "-m", "told", "a", "b c"]
    real = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    done = forks.run("told", "a", "b c", cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stderr) == (real.returncode, real.stderr) == (3, "an error\n")
    assert done.stdout == real.stdout.replace("] False [", "] True [")  # a session of its own


def test_it_is_waited_for_and_stopped(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(TELL)
    said = tmp_path / "said"
    with said.open("wb") as out:
        started = forks.start(
            "told", "wait", cwd=tmp_path, environ=forks.at_start(os.environ), output=out, errors=out
        )
    while "ready" not in said.read_text():
        assert started.poll() is None, said.read_text()
        time.sleep(0.01)
    started.terminate()
    assert started.wait() == started.poll() == 4


def test_what_an_interpreter_asks_for_at_once_is_told(tmp_path: Path) -> None:
    """By a real start."""
    (tmp_path / "sitecustomize.py").write_text("print('asked first')")
    done = forks.run("this", cwd=tmp_path, environ={"PYTHONPATH": str(tmp_path)})
    assert done.stdout.startswith("asked first\nThe Zen of Python")


def test_gunicorn_serves_what_is_where_it_is_run(tmp_path: Path) -> None:
    """It asks where it is when it is imported."""
    environ = {"PATH": os.environ["PATH"]} | forks.at_start(os.environ)
    done = forks.run("gunicorn", "wsgi:app", "--print-config", cwd=tmp_path, environ=environ)
    assert f"= {tmp_path}\n" in done.stdout, done
