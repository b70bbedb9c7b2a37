"""What a Heroku-style platform does with this project: it runs the Procfile's commands in a shell,
with nothing but its own settings around them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import forks
from conftest import APP, NO_ENV_FILE, redis_url
from servers import START_SECONDS, free_port

ROOT = Path(__file__).parents[2]
PROCFILE = dict(
    line.split(": ", maxsplit=1) for line in (ROOT / "Procfile").read_text().splitlines()
)
KILL_SECONDS = 30  # the platform's patience after SIGTERM


def settings(database_url: str, **more: str) -> dict[str, str]:
    """A fresh environment: what the add-ons and the operator set, and a PATH."""
    return {
        **NO_ENV_FILE,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "APP_ENV": "production",
        "MELON_APP": APP,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url(),
        "JWT_SECRET_KEY": "an example of a secret, 32 bytes",
        **more,
    }


def start_release(environ: dict[str, str], options: str = "") -> "subprocess.Popen[str]":
    """The Procfile's release command, as far as it is now; `options` are added to it."""
    command = ["bash", "-c", f"{PROCFILE['release']} {options}"]
    pipe, together = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=together, text=True)


def release(environ: dict[str, str], options: str = "") -> tuple[int, str]:
    """The same to its end: its exit code and what it said."""
    done = forks.run(*f"{PROCFILE['release']} {options}".split(), cwd=ROOT, environ=environ)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class Web:
    """The web process. `process` is gunicorn's master, which leads a process group of its own."""

    port: int
    process: forks.Process
    log: Path

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=KILL_SECONDS)

    def status(self, path: str) -> int:
        """Of a GET on a connection of its own; 0 when nobody takes it."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def is_anybody_left(self) -> bool:
        """Whether a process of the group is there still."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def stop(self, *, everyone: bool = False) -> None:
        """SIGTERM for the master; for every process, as Heroku does, with `everyone`."""
        if everyone:
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.terminate()

    def ended_in_peace(self) -> bool:
        """Whether every worker there ever was went by itself; gunicorn's log says so of each."""
        log = self.log.read_text()
        return log.count("Worker exiting") == log.count("Booting worker") > 0


@contextmanager
def web(environ: dict[str, str], folder: Path) -> Iterator[Web]:
    """The Procfile's web command, ready; killed at the end if it is still there."""
    with starting(environ, folder) as served:
        deadline = time.monotonic() + START_SECONDS
        while served.status("/readyz") != 200:
            if served.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it is not ready; its log:\n{served.log.read_text()}")
            time.sleep(0.05)
        yield served


@contextmanager
def starting(environ: dict[str, str], folder: Path) -> Iterator[Web]:
    """The same, from its first moment on."""
    port = free_port()
    log = folder / f"web.{port}.log"
    with log.open("wb") as output:
        process = forks.start(
            *PROCFILE["web"].split(),
            cwd=ROOT,
            environ=environ | {"PORT": str(port)},
            output=output,
            errors=output,
        )
    try:
        yield Web(port, process, log)
    finally:
        with suppress(ProcessLookupError):  # nobody is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
