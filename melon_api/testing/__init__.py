"""For an app's own tests: a server for each, and phones that sync with it; a pytest plugin.

docs/testing.md shows it at work. No server imports it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from flask import Flask

import config
from melon_api import create_app
from melon_api.models.base import db
from melon_api.ops.migrations import bind, upgrade
from melon_api.testing.databases import Database, database
from melon_api.testing.events import JobFailed, tell
from melon_api.testing.phone import Phone
from melon_api.testing.record import Record
from melon_api.testing.remote import ProtocolWarning

__all__ = ["JobFailed", "NewPhone", "Phone", "ProtocolWarning", "Record", "RunCommand", "Tell"]

NewPhone = Callable[..., Phone]
RunCommand = Callable[..., str]
Tell = Callable[[], None]
OPTION = "--melon-database"
# Passwords are hashed weakly on purpose: each phone signs in. Nothing is written behind answers:
# the database is put back between tests.
SETTINGS = {"APP_ENV": "testing", "ARGON2_MEMORY_KIB": "64", "ARGON2_ITERATIONS": "1"}
SETTINGS |= {"SYNC_HISTORY_DAYS": "0"}


class Server(NamedTuple):
    app: Flask
    database: Database
    settings: config.Config


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("melon").addoption(
        OPTION,
        metavar="URL",
        help="a server of MariaDB or MySQL to test on (mysql://user:password@host:3306), in a"
        " database that is made there and dropped again; default: SQLite",
    )


@pytest.fixture(scope="session")
def melon_settings() -> dict[str, str]:
    """Settings of the server, as the environment would have them: a `conftest.py` says its own."""
    return {}


@pytest.fixture(scope="session")
def melon_server(
    pytestconfig: pytest.Config,
    melon_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """The application and its database, made and migrated once: `app` is what a test asks for."""
    folder = tmp_path_factory.mktemp("melon")
    with database(pytestconfig.getoption(OPTION), folder) as made:
        environ = SETTINGS | {"DATABASE_URL": made.url} | melon_settings
        settings = config.load(environ, folder)
        app = create_app(settings)
        with app.app_context():
            upgrade()
            made.keep(db.engine)
        yield Server(app, made, settings)


@pytest.fixture
def app(melon_server: Server) -> Iterator[Flask]:
    """The application, with no account yet; what a test sets in its `config` ends with the test."""
    app, database, settings = melon_server
    if app.config["RATELIMIT_ENABLED"]:  # what was counted is another test's
        app = create_app(settings)
        bind(app)  # `flask db`
    with app.app_context():
        database.restore(db.engine)
    before = dict(app.config)
    yield app
    app.config.clear()
    app.config.update(before)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def phone(app: Flask) -> NewPhone:
    """`phone("ada")` is Ada's phone, signed in, the same one at each call; `phone("ada", "tablet")`
    another of her devices. An account is opened by who comes first."""
    known: dict[tuple[str, str], Phone] = {}

    def of(name: str = "ada", device: str = "phone") -> Phone:
        email = name if "@" in name else f"{name}@example.com"
        if (email, device) not in known:
            known[email, device] = Phone(app, email, device)
        return known[email, device]

    return of


@pytest.fixture
def events(app: Flask) -> Tell:
    """`events()`: jobs and webhooks are told what was committed, as a worker would; one that fails
    fails the test, with JobFailed."""
    return lambda: tell(app)


@pytest.fixture
def flask(app: Flask) -> RunCommand:
    """`flask("work", "remind")`: what the command says; one that fails, fails the test."""

    def run(*words: str) -> str:
        done = app.test_cli_runner().invoke(args=words)
        if done.exit_code:
            said = f"flask {' '.join(words)}: {done.output}"
            crash = None if isinstance(done.exception, SystemExit) else done.exception
            raise AssertionError(said) from crash
        return done.output

    return run
