"""Two hosts behind a balancer, with one database and one Redis: an account does not notice which
of them answers. Every call goes to the other host than the one before.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices import PASSWORD, created, edited, new_id, project, updated
from phones import Person, Phone, call
from race import run_races
from servers import PrivateRedis, Server, _gunicorn, serving

SECONDS = float(os.environ.get("FIRE_SECONDS", "3"))
LIMIT = 10
SETTINGS = {
    "JWT_SECRET_KEY": "two hosts of one service share their secret",
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_LOGIN_PER_ADDRESS": "6000/minute",
    "RATELIMIT_LOGIN_PER_ACCOUNT": f"{LIMIT}/hour",
    "RATELIMIT_REGISTER_PER_ADDRESS": "6000/minute",
}
SETTINGS |= {
    f"RATELIMIT_{call}_PER_{what}": "100000/minute"
    for call in ("PULL", "PUSH")
    for what in ("ADDRESS", "ACCOUNT")
}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The second host has a folder of its own, as on another machine."""
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    with (
        PrivateRedis() as redis,
        serving("mariadb", here, 1, REDIS_URL=redis.url, **SETTINGS) as one,
        elsewhere(one, there) as other,
    ):
        yield one.url, other.url


def elsewhere(server: Server, folder: Path) -> Any:
    return _gunicorn(server.environ | {"INSTANCE_PATH": str(folder)}, folder / "gunicorn.log")


def test_a_session_is_the_same_on_both(urls: tuple[str, str]) -> None:
    """Contract, Accounts 2 and 5: refresh, its repetition after a lost answer, sign-out, at
    once."""
    here, there = urls
    for one, other in (urls, (there, here)):
        person = Person(one)
        first = person.answer["refresh_token"]
        status, tokens = call(other, "/auth/refresh", {}, first)
        assert status == 200
        status, again = call(one, "/auth/refresh", {}, first)
        assert (status, again["refresh_token"]) == (200, tokens["refresh_token"])
        for url in (one, other, one):
            assert call(url, "/sync/pull", {}, tokens["access_token"])[0] == 200
        assert call(other, "/auth/logout", {}, tokens["access_token"])[0] == 204
        status, answer = call(one, "/sync/pull", {}, tokens["access_token"])
        assert (status, answer["code"]) == (401, "token_revoked")


def test_limits_are_counted_over_both(urls: tuple[str, str]) -> None:
    """Contract, Accounts 13."""
    wrong = {"email": f"{new_id()}@example.com", "password": f"no {PASSWORD}"}
    hosts = itertools.cycle(urls)
    statuses = [call(next(hosts), "/auth/login", wrong)[0] for _ in range(LIMIT + 4)]
    assert statuses == [401] * LIMIT + [429] * 4


def test_a_push_repeated_at_the_other_host_changes_nothing(urls: tuple[str, str]) -> None:
    """Contract push 1, pull 1 and 3: its answer was lost."""
    person = Person(*urls)
    writer, reader = person.phone(), person.phone()
    writer.pull()
    reader.pull()
    home = project()
    for record in (created(home), updated(edited(home, name="Garden"))):
        body = {"changes": {"projects": record}}
        status, first = writer.ask("/sync/push", body)
        reader.pull()
        before = reader.pulled_at
        assert (status, first["timestamp"]) == (200, before)
        assert writer.ask("/sync/push", body)[0] == 200
        reader.pull()
        assert reader.pulled_at == before
    assert reader.records["projects", home["id"]]["name"] == "Garden"
    assert Phone(reader.token, *urls[::-1]).first_pull() == reader.records


def test_no_change_is_missed(urls: tuple[str, str]) -> None:
    """Contract pull 1, 3 and 6, push 1, 4, 7 and 11."""
    run_races(SECONDS, *urls)
