"""With a Redis Cluster or Sentinels a replica may take over that has not heard of a change: there
nothing is taken from Redis but the counters of the limits."""

from pathlib import Path

import pytest
from conftest import environment, make_app, statements
from devices import Account

from melon_api.storage.cache import NoCache

# Nobody listens there, and nobody is asked.
URLS = ("redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/melon")


@pytest.mark.parametrize("url", URLS)
def test_a_call_asks_the_database_once_for_session_profile_and_clock(
    url: str, tmp_path: Path
) -> None:
    """A cluster that lost a master once let a dead session live, and a pull miss a push."""
    environ = environment("sqlite", f"sqlite:///{tmp_path}/x.db", REDIS_URL=url)
    app = make_app(environ, tmp_path)
    assert isinstance(app.extensions["account_cache"], NoCache)
    phone = Account(app).first
    phone.pull()
    for ask in (lambda: phone.call("GET", "/users/me"), phone.pull):
        with statements(app) as sql:
            ask()
        assert ["sessions" in line for line in sql if line.startswith("SELECT")] == [True]
