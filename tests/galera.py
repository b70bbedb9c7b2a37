"""A real Galera cluster: three MariaDB nodes that all take writes."""

import fcntl
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
from conftest import environment, missing, want_servers
from redis_servers import until
from servers import Server, _gunicorn, _migrate

from config import ROOT

URLS = os.environ.get(
    "TEST_GALERA_URLS", ",".join(f"mysql://melon:melon@127.0.0.1:331{n}" for n in (1, 2, 3))
).split(",")
# Starts the nodes that do not run; safe to run at any time.
UP = os.environ.get("TEST_GALERA_UP", f"{ROOT}/scripts/services up galera").split()
SECRET = "three hosts of one service share their secret"


class Galera:
    """`urls`: those of a fresh database, on each node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.urls = [f"{url}/{name}" for url in URLS]

    def ask(self, node: int, statement: str) -> Any:
        with closing_connection(URLS[node]) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def is_synced(self, node: int) -> bool:
        try:
            ((_, state),) = self.ask(node, "SHOW STATUS LIKE 'wsrep_local_state_comment'")
        except pymysql.Error:
            return False
        return bool(state == "Synced")

    def kill(self, node: int) -> None:
        ((_, file),) = self.ask(node, "SHOW VARIABLES LIKE 'pid_file'")
        os.kill(int(Path(file).read_text()), signal.SIGKILL)
        until(lambda: not self.is_synced(node))

    def mend(self) -> None:
        subprocess.run(UP, check=True, stdout=subprocess.DEVNULL)
        until(lambda: all(self.is_synced(node) for node in range(len(URLS))))


@contextmanager
def closing_connection(url: str) -> Iterator[Any]:
    parts = urlsplit(url)
    address = {"host": parts.hostname, "port": parts.port}
    with (
        pymysql.connect(user=parts.username, password=parts.password or "", **address) as server,
        server.cursor() as cursor,
    ):
        yield cursor


@contextmanager
def galera() -> Iterator[Galera]:
    """For one test at a time, as it may kill a node; the cluster is whole before and after."""
    want_servers()
    cluster = Galera(f"melon_test_{uuid.uuid4().hex[:12]}")
    with (Path(tempfile.gettempdir()) / "melon-galera.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not all(cluster.is_synced(node) for node in range(len(URLS))):
            missing("a Galera cluster of three")
        cluster.ask(0, f"CREATE DATABASE {cluster.name} CHARACTER SET latin1")
        try:
            yield cluster
        finally:
            cluster.mend()
            cluster.ask(0, f"DROP DATABASE {cluster.name}")


@contextmanager
def three_hosts(cluster: Galera, folder: Path, **more: str) -> Iterator[list[Server]]:
    """A server at each node."""
    environ = environment("mariadb", cluster.urls[0], JWT_SECRET_KEY=SECRET, **more)
    _migrate(environ, folder)
    with ExitStack() as stack:
        hosts = []
        for number, url in enumerate(cluster.urls):
            own = {"DATABASE_URL": url, "WEB_CONCURRENCY": "1", "INSTANCE_PATH": str(folder)}
            log = folder / f"gunicorn{number}.log"
            hosts.append(stack.enter_context(_gunicorn(environ | own, log)))
        yield hosts
