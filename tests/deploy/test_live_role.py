"""Where the live process runs: beside the server on a laptop, as an own app on a platform."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from conftest import NO_ENV_FILE, fresh_database
from paas import PROCFILE, ROOT, release, settings, web
from servers import START_SECONDS, free_port


def test_the_procfile_has_it() -> None:
    assert PROCFILE["live"] == "python -m melon_api.live"


def test_a_second_app_is_the_live_process(tmp_path: Path) -> None:
    """`MELON_ROLE=live`, with the Procfile's own web and release; it ends in peace."""
    with fresh_database("mariadb", tmp_path) as url:
        environ = settings(url, MELON_ROLE="live")
        assert release(environ)[0] == 0
        with web(environ, tmp_path) as served:
            assert served.status("/healthz") == 200
            assert served.status("/api/v1/sync/live") == 401
            assert served.status("/api/v1/users/me") == 404
            served.stop()
            assert served.process.wait(10) == 0
        assert "gunicorn" not in served.log.read_text()


def test_serve_starts_it_beside_the_server(tmp_path: Path) -> None:
    """And it ends with the server, however that ends."""
    port, live_port, log = free_port(), free_port(), tmp_path / "log"
    environ = {"PATH": os.environ["PATH"], **NO_ENV_FILE, "INSTANCE_PATH": str(tmp_path)}
    environ |= {"PORT": str(port), "LIVE_PORT": str(live_port), "VENV": sys.prefix}
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["./scripts/serve"],
            cwd=ROOT,
            env=environ,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(lambda: is_up(port) and is_up(live_port), log)
        server.send_signal(signal.SIGKILL)
        server.wait()
        until(lambda: not is_up(live_port), log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def until(is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except OSError:
        return False
