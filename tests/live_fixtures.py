"""A server with its live process, for a module (`pytest_plugins`); another kind is its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from living import Live, Person, living
from servers import PrivateRedis, Server, serving


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateRedis]:
    """For a server that a test takes it away from."""
    with PrivateRedis() as store:
        yield store


@pytest.fixture(scope="module", params=["sqlite", "mysql+redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("live"), workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def live(server: Server) -> Iterator[Live]:
    with living(server) as live:
        yield live


@pytest.fixture
def ada(server: Server) -> Person:
    return Person(server)
