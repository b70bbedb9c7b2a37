"""A real gunicorn with several workers, for the tests that speak HTTP from outside; and a Redis of
a test's own, to be stopped and started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import forks
import redis
from conftest import APP, NO_ENV_FILE, environment, fresh_database, make_app, missing, want_servers
from devices import holds_a_secret

from config import ROOT
from melon_api.models.base import db
from melon_api.ops.settings import OPTIONAL

APPLICATION = "wsgi:app"
START_SECONDS, STOP_SECONDS = 180, 40  # gunicorn itself gives its workers 25 s to finish
TAIL_CHARACTERS = 4_000
# Outgoing connections have higher ones: none of them can hold the port of a server that is stopped.
PORTS = range(20_000, 32_000)
# Nothing else gets through: a DATABASE_URL of the shell must not become a test's.
KEPT = (
    *NO_ENV_FILE,
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
)
# Settings that production starts with, where nobody answers.
DEPLOYED = {
    "APP_ENV": "production",
    "DATABASE_URL": "mysql://melon:melon@127.0.0.1:1/melon",
    "REDIS_URL": "redis://127.0.0.1:1",
    "JWT_SECRET_KEY": "for-tests-only-0123456789abcdef012345",
}


def free_port() -> int:
    """A port that nobody listens on, and that stays free while its server is stopped."""
    ports = random.SystemRandom()
    while True:
        port = ports.choice(PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


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
def serving(
    backend: str, folder: Path, workers: int = 2, application: str = APPLICATION, **more_env: str
) -> Iterator[Server]:
    """Serve an empty, migrated database of this backend; `more_env` are further settings."""
    with fresh_database(backend.split("+", maxsplit=1)[0], folder) as database_url:
        environ = environment(backend, database_url, **more_env)
        with serving_by(environ, folder, workers, application) as server:
            yield server


@contextmanager
def serving_by(
    environ: dict[str, str], folder: Path, workers: int = 2, application: str = APPLICATION
) -> Iterator[Server]:
    """The same with these settings, whose database is an empty one."""
    _migrate(environ, folder)
    environ |= {"WEB_CONCURRENCY": str(workers), "INSTANCE_PATH": str(folder)}
    with _gunicorn(environ, folder / "gunicorn.log", application) as server:
        yield server


def _migrate(environ: dict[str, str], folder: Path) -> None:
    """Here, in the tests' own process, which reports to nobody; the tables of another app in one of
    their own."""
    if environ["MELON_APP"] != APP:
        shell = {name: os.environ[name] for name in KEPT if name in os.environ}
        command = ("flask", "--app", "wsgi", "db", "upgrade")
        done = forks.run(*command, cwd=ROOT, environ=shell | environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return
    app = make_app({k: v for k, v in environ.items() if k not in OPTIONAL}, folder)
    with app.app_context():
        db.engine.dispose()


@contextmanager
def serving_copy(copy: Path) -> Iterator[Server]:
    """Serve a checkout with its own database in `instance/`, which is migrated already."""
    environ = {"INSTANCE_PATH": str(copy / "instance"), "WEB_CONCURRENCY": "1"}
    with _gunicorn(environ, copy / "gunicorn.log", checkout=copy) as server:
        yield server


@contextmanager
def running(server: Server, application: str, *command: str, **more_env: str) -> Iterator[None]:
    """A command of the application beside its server; it has to be at work until the end."""
    log = server.log.with_name(f"{command[0]}.log")
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    with log.open("wb") as output:
        process = forks.start(
            "flask",
            *("--app", application, *command),
            cwd=ROOT,
            environ=shell | server.environ | more_env,
            output=output,
            errors=output,
        )
    try:
        yield
        assert process.poll() is None, log.read_text(errors="replace")[-TAIL_CHARACTERS:]
    finally:
        _stop(process)


@contextmanager
def _gunicorn(
    environ: dict[str, str], log: Path, application: str = APPLICATION, checkout: Path = ROOT
) -> Iterator[Server]:
    port = free_port()
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    place = {"HOST": "127.0.0.1", "PORT": str(port)}
    with log.open("wb") as output:
        process = forks.start(
            "gunicorn",
            application,
            cwd=checkout,
            environ=shell | environ | place,
            output=output,
            errors=output,
        )
    server = Server(f"http://127.0.0.1:{port}", process.pid, log, environ)
    try:
        _wait_until_up(server, process)
        try:
            yield server
        except Exception as error:
            error.add_note(f"The server's log ends:\n{server.log_tail()}")
            raise
        if application == APPLICATION:  # others raise what they should not, on purpose
            told = log.read_text(errors="replace")
            assert not holds_a_secret(told), "a secret is in the log"
    finally:
        _stop(process)


def _wait_until_up(server: Server, process: forks.Process) -> None:
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


def _stop(process: forks.Process) -> None:
    """Politely, then by force; the workers too, which are of the same process group."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class PrivateRedis:
    """A Redis server of one test alone; always on the same port, however often it is started.

    It keeps nothing. With a folder it saves what it holds when it is stopped, not when it is
    killed, and has what it saved again after its next start: by then that may be out of date.
    `options` are further ones of redis-server.
    """

    def __init__(self, folder: Path | None = None, *options: str) -> None:
        self.port = port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        keeping = ["--save", "3600 1000000", "--dir", str(folder)] if folder else ["--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(port)]
        self._command = ["redis-server", *place, "--appendonly", "no", *keeping, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        want_servers()
        if shutil.which("redis-server") is None:
            missing("redis-server")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when it answers; does nothing when it runs."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it does not start: {' '.join(self._command)}")
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """It goes in peace; connections to it are refused from now on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """It has no time to save; connections to it are refused from now on."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It holds its connections and takes new ones, and answers none of them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been: with what it held, and what it was asked meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
        self._process = None
