"""The servers that are measured: started on free ports, stopped whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks import database
from benchmarks import driver as bench
from benchmarks.peer_build import ROOT
from melon_api.web.settings import LIMITS

RESULTS = ROOT / "benchmarks" / "results"
START_SECONDS, STOP_SECONDS = 60, 30
SETTLE_SECONDS = 2  # every worker is up, and idle memory is that of an idle server
TAIL_CHARACTERS = 4_000
WORKERS = 2
SECRET = "for-benchmarks-only-0123456789abcdef"
# Nothing else of the shell gets through: a DATABASE_URL there is somebody's.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
# The same holds for its `.env`; flask asks the first, python-dotenv the second.
NO_ENV_FILE = {"FLASK_SKIP_DOTENV": "1", "PYTHON_DOTENV_DISABLED": "1"}
ARGON2 = {"ARGON2_MEMORY_KIB": "19456", "ARGON2_ITERATIONS": "2", "ARGON2_PARALLELISM": "1"}
# On, and never reached.
HIGH_LIMITS = dict.fromkeys(LIMITS, "1000000000/minute")
# What a user gets may be switched off, to see what it costs.
SWITCHES = {"limits": {"RATELIMIT_ENABLED": "false"}, "log": {"LOG_LEVEL": "WARNING"}}
FLOOR_APP = "benchmarks.floor_app:app"


@dataclass(frozen=True)
class Running:
    """A server that answers. `pid`: its main process, which leads a process group of its own."""

    name: str
    url: str
    pid: int


@contextmanager
def ours(
    name: str, database_url: str, redis_url: str, checkout: Path = ROOT, **more: str
) -> Iterator[Running]:
    """This project (or another checkout of it) under gunicorn as it is deployed, its database
    migrated first; `more`: settings, like those of SWITCHES."""
    environ = deployed(database_url, redis_url, **more)
    migrate(environ, checkout)
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with running(name, command, checkout, environ) as server:
        yield server


def deployed(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """The settings of ours."""
    return {
        "APP_ENV": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "JWT_SECRET_KEY": SECRET,
        "MELON_APP": "tests.example",  # whatever is in app/
        "DRAIN_SECONDS": "0",
        **HIGH_LIMITS,
        **ARGON2,
        **more,
    }


@contextmanager
def live(environ: dict[str, str], streams: int) -> Iterator[Running]:
    """The live process beside ours, with its settings."""
    command = [sys.executable, "-m", "melon_api.live"]
    with running("live-process", command, ROOT, environ | {"LIVE_STREAMS": str(streams)}) as server:
        yield server


@contextmanager
def ours_alone(
    server_url: str, redis: int, name: str = "ours", checkout: Path = ROOT, **more: str
) -> Iterator[Running]:
    """Ours on an empty database of this server, and on this database of Redis."""
    with (
        database.fresh(server_url, f"melon_bench_{name}") as own,
        database.redis_database(redis) as store,
        ours(name, own, store, checkout, **more) as running,
    ):
        yield running


@contextmanager
def measured(
    kind: str, redis: int, name: str = "ours", checkout: Path = ROOT, **more: str
) -> Iterator[tuple[str, bench.Server]]:
    """The URL of the database server of this kind, held, and ours alone on it, as the driver knows
    it."""
    with (
        database.alone(kind) as url,
        ours_alone(url, redis, name, checkout, **more) as running,
    ):
        yield url, bench.Server(running.name, running.url, running.pid)


def switched_off(names: str | None) -> dict[str, str]:
    """The settings for some of SWITCHES, with commas between."""
    wanted = names.split(",") if names else []
    if unknown := set(wanted) - set(SWITCHES):
        raise SystemExit(f"{', '.join(unknown)} cannot be switched off; {', '.join(SWITCHES)} can.")
    return {name: value for off in wanted for name, value in SWITCHES[off].items()}


def migrate(environ: dict[str, str], checkout: Path = ROOT) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    _run(command, checkout, environ)


@contextmanager
def peer(build: Path, database_url: str, redis_url: str) -> Iterator[Running]:
    """The peer, a cluster of Node processes; its Argon2id parameters are those of `ARGON2`."""
    environ = {
        "NODE_ENV": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "JWT_SECRET_KEY": SECRET,
    }
    _run(["node", "dist/migrate.js"], build, environ)
    with running("peer", ["node", "dist/main.js"], build, environ) as server:
        yield server


@contextmanager
def floor(database_url: str, redis_url: str) -> Iterator[Running]:
    """The bare WSGI application of `floor_app.py`, under gunicorn alone."""
    environ = {"FLOOR_DATABASE_URL": database_url, "FLOOR_REDIS_URL": redis_url}
    settings = ["--config", "python:benchmarks.floor_settings"]
    command = [sys.executable, "-m", "gunicorn", *settings, FLOOR_APP]
    with running("floor", command, ROOT, environ) as server:
        yield server


@contextmanager
def running(
    name: str, command: list[str], folder: Path, environ: dict[str, str]
) -> Iterator[Running]:
    """Start a server, wait until it answers, stop it at the end; its output is in `results/`."""
    port, log = _free_port(), RESULTS / f"{name}.log"
    RESULTS.mkdir(exist_ok=True)
    own = {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_shell() | environ | own,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a ctrl-C is ours to handle
        )
    try:
        _wait_until_up(name, process, port, log)
        yield Running(name, f"http://127.0.0.1:{port}", process.pid)
    finally:
        _stop(process)


def leave_tidily(main: Callable[[], int]) -> NoReturn:
    """Run a command; ctrl-C and SIGTERM end it through every `finally`, so that nothing is left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _run(command: list[str], folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=_shell() | environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        output = (done.stdout + done.stderr)[-TAIL_CHARACTERS:]
        raise SystemExit(f"{' '.join(command[-4:])} failed:\n{output}")


def _shell() -> dict[str, str]:
    return NO_ENV_FILE | {name: os.environ[name] for name in KEPT if name in os.environ}


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-TAIL_CHARACTERS:]
            raise SystemExit(f"{name} does not serve; its log ends:\n{tail}")
        time.sleep(0.1)
    time.sleep(SETTLE_SECONDS)


def _answers(port: int) -> bool:
    """Whether HTTP is answered there, were it with an error."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except urllib.error.HTTPError:
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
