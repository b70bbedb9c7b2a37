"""Two hosts of one service whose wall clocks differ, and jump: nothing is missed for it.

A host's clock is set by a file that its `sitecustomize` reads, whenever Python asks for the time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import DATABASES
from devices import created, edited, project, updated
from phones import Person, Phone, call
from race import run_races
from servers import _gunicorn, serving

MINUTES, HOUR = 60, 3600
SECONDS = float(os.environ.get("FIRE_SECONDS", "3"))
SECRET = "two hosts of one service share their secret"

# Imported by every Python process that finds it on its path, before anything else.
SITECUSTOMIZE = '''
import datetime
import os
import time

real_time, real_time_ns = time.time, time.time_ns
real_datetime = datetime.datetime


def offset():
    with open(os.environ["WALL_CLOCK_FILE"]) as file:
        return int(file.read())


class Kind(type):
    """What C code makes is a datetime too."""

    def __instancecheck__(cls, thing):
        return isinstance(thing, real_datetime)


class WrongDatetime(real_datetime, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


time.time = lambda: real_time() + offset()
time.time_ns = lambda: real_time_ns() + offset() * 1_000_000_000
datetime.datetime = WrongDatetime
'''


@dataclass(frozen=True)
class Host:
    url: str
    clock: Path

    def set_clock(self, seconds: int) -> None:
        """So much the host's wall clock is off from now on."""
        draft = self.clock.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.replace(self.clock)


@contextmanager
def two_hosts(backend: str, folder: Path) -> Iterator[tuple[Host, Host]]:
    """The second one has a folder of its own, as on another machine; the database is the same."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    clocks = folder / "clock", elsewhere / "clock"
    for clock in clocks:
        clock.write_text("0")
    settings = {"JWT_SECRET_KEY": SECRET, "PYTHONPATH": str(folder)}
    with serving(backend, folder, 1, WALL_CLOCK_FILE=str(clocks[0]), **settings) as one:
        there = {"WALL_CLOCK_FILE": str(clocks[1]), "INSTANCE_PATH": str(elsewhere)}
        with _gunicorn(one.environ | there, elsewhere / "gunicorn.log") as two:
            yield Host(one.url, clocks[0]), Host(two.url, clocks[1])


@pytest.fixture(scope="module", params=DATABASES)
def machines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Host]]:
    with two_hosts(request.param, tmp_path_factory.mktemp("clocks")) as both:
        yield both


@pytest.fixture
def hosts(machines: tuple[Host, Host]) -> tuple[Host, Host]:
    """One is four minutes ahead, the other four behind."""
    for host, offset in zip(machines, (4 * MINUTES, -4 * MINUTES), strict=True):
        host.set_clock(offset)
    return machines


def test_the_clocks_of_the_hosts_differ(hosts: tuple[Host, Host]) -> None:
    """The other tests would show nothing otherwise."""
    born = [datetime.fromisoformat(Person(h.url).answer["user"]["created_at"]) for h in hosts]
    assert born[0] - born[1] > timedelta(minutes=5)


def test_fresh_tokens_of_one_host_work_on_the_other(hosts: tuple[Host, Host]) -> None:
    """Contract, Accounts 1: access tokens, refresh tokens, the end of a session."""
    for here, there in (hosts, hosts[::-1]):
        tokens = Person(here.url).answer
        status, answer = call(there.url, "/sync/pull", {}, tokens["access_token"])
        assert status == 200, answer
        status, tokens = call(there.url, "/auth/refresh", {}, tokens["refresh_token"])
        assert status == 200, tokens
        status, answer = call(here.url, "/sync/pull", {}, tokens["access_token"])
        assert status == 200, answer
        assert call(here.url, "/auth/logout", {}, tokens["access_token"])[0] == 204
        status, answer = call(there.url, "/sync/pull", {}, tokens["access_token"])
        assert (status, answer["code"]) == (401, "token_revoked")


def test_nothing_is_missed_when_a_clock_jumps_back(hosts: tuple[Host, Host]) -> None:
    """Contract pull 1: each push arrives with the next pull, from whichever host."""
    ahead, behind = hosts
    person = Person(ahead.url)
    writers = [signed_in_at(person, host) for host in hosts]
    reader = Phone(person.phone().token, ahead.url, behind.url)
    for turn in range(24):
        if turn == 8:
            behind.set_clock(-HOUR)
        if turn == 16:
            ahead.set_clock(-HOUR)
            behind.set_clock(0)
        writer, home = writers[turn % 3 % 2], project(id=f"p{turn}")
        writer.push(projects=created(home), forward=turn % 4 == 0)
        reader.pull()
        assert ("projects", home["id"]) in reader.records
        writer.push(projects=updated(edited(home, name=f"edited {turn}")), forward=True)
        reader.pull()
        assert reader.records["projects", home["id"]]["name"] == f"edited {turn}"
    assert reader.records == reader.first_pull()
    for writer in writers:
        writer.pull()
        assert writer.records == reader.records


def signed_in_at(person: Person, host: Host) -> Phone:
    status, answer = call(host.url, "/auth/login", person.credentials)
    assert status == 200, answer
    phone = Phone(answer["access_token"], host.url)
    phone.pull()
    return phone


def test_no_change_is_missed_in_a_race_of_two_hosts(hosts: tuple[Host, Host]) -> None:
    """Contract pull 1: the account's clock is the database's, not a host's."""
    ahead, behind = hosts
    run_races(SECONDS, ahead.url, behind.url, halfway=lambda: behind.set_clock(-HOUR))
