"""The backends that every behaviour is shown on, and the actors of the tests."""

import fcntl
import os
import shutil
import subprocess
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
import redis
from devices import Account, holds_a_secret
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from mail_server import SENDER, Mailbox, settle
from sqlalchemy import Connection, Engine, event

import config as settings
from melon_api import create_app, room
from melon_api.models.base import db
from melon_api.ops.migrations import upgrade
from melon_api.storage.redis_cache import RedisCache

CLIENT = Path(__file__).parent / "client"
BROWSER = Path(__file__).parent / "browser"
MELON_SYNC = Path(__file__).parents[1] / "client"
MELON_SYNC_SOURCES = ("src/*.ts", "tsconfig*.json", "build.js", "package.json")
CI = bool(os.environ.get("CI"))
# The engine's tests run on tables of their own, whatever is in `app/`.
APP = os.environ.get("TEST_APP", "tests.example")
room.load(APP)
SERVERS = {
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql://melon:melon@127.0.0.1:3306"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://melon:melon@127.0.0.1:3307"),
}
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
DATABASES = ("sqlite", "mariadb", "mysql")
# Each database, with and without Redis; not each with both, as the suite has to end some time.
BACKENDS = ["sqlite", "mariadb", "mysql+redis"]
# A busy machine is no reason to fail.
hypothesis_settings.register_profile(
    "melon", suppress_health_check=[HealthCheck.too_slow], deadline=None
)
hypothesis_settings.load_profile("melon")
# Weak on purpose: the suite signs in hundreds of times.
FAST_HASHES = {"ARGON2_MEMORY_KIB": "64", "ARGON2_ITERATIONS": "1"}
# A thread that writes behind the answers is in the way of what breaks databases and counts their
# statements; tests/support turns it on.
NO_HISTORY = {"SYNC_HISTORY_DAYS": "0"}


# A developer's `.env` is not the tests': to flask, which asks the first, and to python-dotenv.
NO_ENV_FILE = {"FLASK_SKIP_DOTENV": "1", "PYTHON_DOTENV_DISABLED": "1"}
os.environ |= NO_ENV_FILE

CONNECTED: set[Engine] = set()
MADE: list[Flask] = []


@event.listens_for(Engine, "engine_connect")
def _note(connection: Connection) -> None:
    CONNECTED.add(connection.engine)


@pytest.fixture(autouse=True)
def closed_engines() -> Iterator[None]:
    """What a test's own applications opened is closed when it ends, as Python 3.13 asks for."""
    lasting, apps = set(CONNECTED), len(MADE)
    yield
    while len(MADE) > apps:
        close_cache(MADE.pop())
    for engine in CONNECTED - lasting:
        engine.dispose()
    CONNECTED.intersection_update(lasting)


def close_cache(app: Flask) -> None:
    """A thread of it would connect again."""
    if isinstance(known := app.extensions["account_cache"], RedisCache):
        known.close()


def missing(what: str) -> None:
    """A server that is not there: a skip on a laptop, a failure in CI."""
    if CI:
        pytest.fail(f"{what} is needed in CI and does not answer")
    pytest.skip(f"{what} does not answer")


UNASKED = "wants a server beside ours: TEST_SERVERS=yes, or CI=true"


def want_servers() -> None:
    """Before any server but our own is asked: with `TEST_SERVERS=no` none is, running or not."""
    if os.environ.get("TEST_SERVERS") == "no":
        pytest.skip(UNASKED)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """pytest-randomly says it in a header, which `-q` leaves out."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.write_line(f"In the order of --randomly-seed={seed}")


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of this kind, dropped at the end."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / uuid.uuid4().hex}.db"
        return
    want_servers()
    name = f"melon_test_{uuid.uuid4().hex[:12]}"
    try:
        server = _connect(kind)
    except pymysql.OperationalError:
        missing(SERVERS[kind])
    with server, server.cursor() as cursor:
        # latin1 on purpose: the tables must not depend on what a PaaS chose
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
    yield f"{SERVERS[kind]}/{name}"
    with _connect(kind) as server, server.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


def _connect(kind: str) -> Any:
    parts = urlsplit(SERVERS[kind])
    return pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password
    )


def redis_url() -> str:
    want_servers()
    try:
        redis.Redis.from_url(REDIS).ping()
    except redis.ConnectionError:
        missing(REDIS)
    return REDIS


def environment(backend: str, url: str, **more: str) -> dict[str, str]:
    """The settings of a server under test."""
    environ = {"APP_ENV": "testing", "DATABASE_URL": url, "LOG_LEVEL": "INFO", "MELON_APP": APP}
    environ |= FAST_HASHES | NO_HISTORY
    if backend.endswith("+redis"):
        environ["REDIS_URL"] = redis_url()
    return environ | more


def make_app(environ: dict[str, str], folder: Path) -> Flask:
    app = create_app(settings.load(environ, folder))
    with app.app_context():
        upgrade()
    MADE.append(app)
    return app


@contextmanager
def unmigrated(kind: str, folder: Path) -> Iterator[Flask]:
    """An application on an empty database of this kind, in its context."""
    with fresh_database(kind, folder) as url:
        app = create_app(settings.load(environment(kind, url), folder))
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """What a test logged, by the application or by a library, fails it when it holds a password or
    a token. Its name is no line of a log. What wants a server is one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and UNASKED in report.longrepr[2]:
        report.longrepr = (__file__, None, UNASKED)
    told = report.capstderr + report.caplog
    if report.passed and holds_a_secret(told):
        report.outcome = "failed"
        report.longrepr = "a password or a token is in the log"
    return report


def install_packages(folder: Path) -> None:
    """The `node_modules` of a folder as its lock file says; installed when missing or older."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node")
        return
    with (folder / "package-lock.json").open() as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)  # the other processes of this run wait
        installed = folder / "node_modules" / ".package-lock.json"
        age = (folder / "package-lock.json").stat().st_mtime
        if not installed.exists() or installed.stat().st_mtime < age:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True)


@pytest.fixture(scope="session")
def client_packages() -> None:
    install_packages(CLIENT)


@pytest.fixture(scope="session")
def melon_sync() -> Path:
    """`client/` with its packages, and a `dist` of the sources as they are."""
    install_packages(MELON_SYNC)
    with (MELON_SYNC / "build.js").open() as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)  # the other processes of this run wait
        built = MELON_SYNC / "dist" / "cjs" / "package.json"
        sources = [p for pattern in MELON_SYNC_SOURCES for p in MELON_SYNC.glob(pattern)]
        newest = max(path.stat().st_mtime for path in sources)
        if not built.exists() or built.stat().st_mtime < newest:
            subprocess.run(["node", "build.js"], cwd=MELON_SYNC, check=True)
    return MELON_SYNC


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium, with what drives it installed in `tests/browser`."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("chromium")
    install_packages(BROWSER)
    return str(path)


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# For what only a Redis brings about.
WITH_REDIS = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if "redis" in name], indirect=True, scope="session"
)


# For what SQLite cannot do: a file does not go away.
ON_A_SERVER = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if "sqlite" not in name], indirect=True, scope="session"
)


# For what is answered before a database is asked.
NO_DATABASE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def app(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("instance")
    with fresh_database(backend.split("+", maxsplit=1)[0], folder) as url:
        app = make_app(environment(backend, url), folder)
        yield app
        close_cache(app)
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def plain_app(tmp_path: Path) -> Flask:
    """On SQLite alone, for what no database has a part in."""
    return make_app(environment("sqlite", f"sqlite:///{tmp_path}/plain.db"), tmp_path)


@pytest.fixture
def account(app: Flask) -> Account:
    """A new account, on every backend."""
    return Account(app)


@pytest.fixture
def settings_of(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change settings for one test."""

    def change(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setitem(app.config, name, value)

    return change


@pytest.fixture
def mailbox(app: Flask, settings_of: Any) -> Iterator[Mailbox]:
    """Where the application's mail goes during this test."""
    with Mailbox() as box:
        settings_of(SMTP=box.server, MAIL_FROM=SENDER)
        yield box
        settle(app)


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL statements that run meanwhile; one executed with many rows counts once."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@contextmanager
def cut_at(app: Flask, octets: int) -> Iterator[None]:
    """Every connection cuts its aggregates there, as a server may that was set up so."""

    def cut(connection: Any, *_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION group_concat_max_len = {octets}")

    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":  # it cuts nothing, and is read row by row
        yield
        return
    event.listen(engine, "checkout", cut)
    yield
    event.remove(engine, "checkout", cut)
    with app.app_context():
        engine.dispose()
