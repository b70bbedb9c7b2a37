"""Fresh databases for the servers that are measured, and the connections that look at them."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

import pymysql
import redis

SERVERS = {
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql://melon:melon@127.0.0.1:3306"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://melon:melon@127.0.0.1:3307"),
}
REDIS = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379")
LOCK = "melon_bench"
PORTS = range(20_000, 32_000)


def connect(url: str, **options: Any) -> Any:
    """A plain PyMySQL connection to `mysql://user:password@host:port/name`."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.strip("/") or None,
        charset="utf8mb4",
        **options,
    )


@contextmanager
def alone(kind: str) -> Iterator[str]:
    """The URL of the database server, held against a second benchmark."""
    try:
        connection = connect(SERVERS[kind])
    except pymysql.OperationalError as error:
        raise SystemExit(f"{kind} does not answer ({error.args[0]}); see TEST_{kind.upper()}_URL")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0), @@version", LOCK)
        is_held, _ = cursor.fetchone()
        if not is_held:
            raise SystemExit("Another benchmark is running on this database server.")
        cursor.execute("SET SESSION wait_timeout = 86400")
        yield SERVERS[kind]


@contextmanager
def fresh(server_url: str, name: str, keep: bool = False) -> Iterator[str]:
    """The URL of an empty database, dropped at the end; `keep`: neither emptied nor dropped."""
    with connect(server_url) as server, server.cursor() as cursor:
        if not keep:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4")
    try:
        yield f"{server_url}/{name}"
    finally:
        if not keep:
            with connect(server_url) as server, server.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")


@contextmanager
def redis_database(number: int) -> Iterator[str]:
    """The URL of a Redis database; what the run leaves there is flushed if it was empty."""
    url = f"{REDIS}/{number}"
    client = redis.Redis.from_url(url)
    try:
        was_empty = client.dbsize() == 0
    except redis.ConnectionError:
        raise SystemExit(f"Redis does not answer at {REDIS}; see BENCH_REDIS_URL") from None
    try:
        yield url
    finally:
        if was_empty:
            client.flushdb()
        client.close()


class OwnRedis:
    """One that may be killed, and started again on the same port."""

    def __init__(self) -> None:
        self._port = str(_free_port())
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when it answers."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", self._port]
        command += ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            while self._process.poll() is None:
                with suppress(redis.RedisError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise SystemExit("redis-server does not start.")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    """That no outgoing connection takes while nobody listens there."""
    while True:
        port = random.choice(PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def copy(connection: Any, table: str, changed: dict[str, str], where: str) -> None:
    """Rows of a table again, with these columns changed."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        names = [column[0] for column in cursor.description]
        values = ["%s" if name in changed else name for name in names]
        statement = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
        # the only signs are ours: what is bound are the changed columns, in the table's order
        bound = [changed[name] for name in names if name in changed]
        cursor.execute(f"{statement} FROM {table} WHERE {where.replace('%', '%%')}", bound)


def version(server_url: str) -> str:
    with connect(server_url) as server, server.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        return str(cursor.fetchone()[0])


def asked(server_url: str) -> dict[str, int]:
    """How many statements (COMMIT, too) and Redis commands these servers were ever sent, by
    whomever."""
    with connect(server_url) as server, server.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        statements = int(cursor.fetchone()[1])
    with redis.Redis.from_url(REDIS) as client:
        commands = client.info("stats")["total_commands_processed"]
    return {"statements": statements, "Redis commands": commands}
