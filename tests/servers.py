"""A real gunicorn with several workers, for the tests that speak HTTP from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import environment, fresh_database, make_app

from config import ROOT
from melon_api.extensions import db

START_SECONDS, STOP_SECONDS = 60, 40  # gunicorn itself gives its workers 25 s to finish
TAIL_CHARACTERS = 4_000
# Nothing else gets through: a DATABASE_URL of the shell must not become a test's.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Server:
    """`pid`: gunicorn's master, which leads a process group of its own; `environ`: its settings."""

    url: str
    pid: int
    log: Path
    environ: dict[str, str]

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-TAIL_CHARACTERS:]


@contextmanager
def serving(backend: str, folder: Path, workers: int = 2, **more_env: str) -> Iterator[Server]:
    """Serve an empty, migrated database of this backend; `more_env` are further settings."""
    with fresh_database(backend.split("+", maxsplit=1)[0], folder) as database_url:
        environ = environment(backend, database_url, **more_env)
        _migrate(environ, folder)
        environ |= {"WEB_CONCURRENCY": str(workers), "INSTANCE_PATH": str(folder)}
        with _gunicorn(environ, folder / "gunicorn.log") as server:
            yield server


def _migrate(environ: dict[str, str], folder: Path) -> None:
    app = make_app(environ, folder)
    with app.app_context():
        db.engine.dispose()


@contextmanager
def _gunicorn(environ: dict[str, str], log: Path) -> Iterator[Server]:
    port = _free_port()
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=shell | environ | {"HOST": "127.0.0.1", "PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process.pid, log, environ)
    try:
        _wait_until_up(server, process)
        yield server
    finally:
        _stop(process)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(server: Server, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_up(server):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"gunicorn does not serve; its log ends:\n{server.log_tail()}")
        time.sleep(0.05)


def _is_up(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=5):
            return True
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Politely, then by force; the workers too, which are of the same process group."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
