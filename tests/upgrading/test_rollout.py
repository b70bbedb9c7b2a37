"""A rollout over shared spaces, rehearsed: the release before them serves and takes pushes and
pulls while the new one migrates the database, then serves beside it, then alone."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DATABASES, environment, fresh_database
from devices import PASSWORD, created, deleted, new_id, project, task
from phones import Person, Phone, call
from race import Race, together
from receiver import Receiver, receiving
from release_before import BEFORE, PARTS, Rollout, flask, phones_of, unpacked
from servers import PrivateRedis

from config import ROOT

SECONDS = float(os.environ.get("FIRE_SECONDS", "0.4"))  # of each of the four parts
SETTINGS = {
    "JWT_SECRET_KEY": "two releases of one service share their secret",
    "MAX_SPACES_PER_ACCOUNT": "0",  # docs/operations.md
    "DRAIN_SECONDS": "1",  # for calls that are on their way: this balancer knows before
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "WEBHOOK_ALLOW_LOOPBACK": "true",
}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(params=DATABASES)
def rollout(request: pytest.FixtureRequest, tmp_path: Path, hook: Receiver) -> Iterator[Rollout]:
    """The release before serves; on the two servers with a Redis that both releases share."""
    before = unpacked(tmp_path / "before")
    with fresh_database(request.param, tmp_path) as url, PrivateRedis() as redis:
        more = {} if request.param == "sqlite" else {"REDIS_URL": redis.url}
        environ = environment(request.param, url, WEBHOOK_URLS=hook.url, **SETTINGS, **more)
        is_mysql = request.param == "mysql"
        with Rollout(before, tmp_path, environ, is_mysql=is_mysql) as rollout:
            yield rollout


class Quiet:
    """An account that changes nothing: its phone holds what it held, and no pull tells it more."""

    def __init__(self, rollout: Rollout) -> None:
        self.phone = Person(rollout.before.url, kind=phones_of(rollout)).phone()
        self.phone.pull()
        home = project()
        self.phone.push(projects=created(home, project()), tasks=created(task(home["id"])))
        self.phone.push(projects=deleted(home["id"]))
        self.phone.pull()
        self.held = dict(self.phone.records)

    def check(self) -> None:
        since = self.phone.pulled_at
        for _ in range(2):
            status, answer = self.phone.ask("/sync/pull", {})
            assert (status, answer["timestamp"]) == (200, since)
            assert not any(any(lists.values()) for lists in answer["changes"].values())
            assert self.phone.first_pull() == self.held


def test_nothing_is_lost_or_wrong_while_a_release_follows_another(
    rollout: Rollout, hook: Receiver
) -> None:
    """Contract pull 1 to 6, push 1 to 7 and 11: each phone's calls go to both in turn, and none
    fails; but for what MySQL breaks off in the release before (phones_of)."""
    quiet = Quiet(rollout)
    race = Race(Person(rollout.before.url, kind=phones_of(rollout)), "busy")

    def roll_out() -> None:
        try:
            time.sleep(SECONDS)
            rollout.migrate()
            quiet.check()
            time.sleep(SECONDS)
            rollout.serve_after()
            quiet.check()
            an_account_is_the_same_to_both(*rollout.hosts)
            an_account_is_the_same_to_both(*rollout.hosts[::-1])
            a_guest_syncs_with_both(rollout)
            time.sleep(SECONDS)
            rollout.stop(rollout.before)
            time.sleep(SECONDS)
        finally:
            race.over.set()

    together(*race.jobs(), roll_out)
    race.check()
    quiet.check()
    flask(rollout.checkout, rollout.environ, "events", "work", "--once")  # workers come last
    assert {id for table, id in race.kept if table == "tasks"} <= told(hook, "tasks")

    rollout.serve_before()  # and back, without a downgrade
    rollout.stop(rollout.after)
    race.check()
    quiet.check()
    late = race.project()
    race.phones[0].push(projects=created(late))
    race.check()
    flask(ROOT, rollout.environ, "events", "work", "--once")
    assert late["id"] in told(hook, "projects")


def told(hook: Receiver, table: str) -> set[str]:
    """The ids of a table that the webhook was told of."""
    tables = [json.loads(body)["data"]["tables"].get(table, {}) for _, body in hook.got]
    return {id for lists in tables for ids in lists.values() for id in ids}


def ok(url: str, path: str, token: str, method: str = "POST", **body: object) -> dict:
    status, answer = call(url, path, None if method == "GET" else body, token, method)
    assert status in (200, 201, 204), (path, status, answer)
    return answer


def an_account_is_the_same_to_both(here: str, there: str) -> None:
    """What one release writes of it the other one goes by, at once (contract, Accounts)."""
    person = Person(here)
    token = ok(there, "/auth/refresh", person.answer["refresh_token"])["access_token"]
    for url in (here, there, here):
        assert ok(url, "/sync/pull", token)["timestamp"]
    ok(here, "/users/me", token, "PATCH", name="Grace")
    assert ok(there, "/users/me", token, "GET")["name"] == "Grace"
    phone = Phone(token, here, there)
    phone.pull()
    phone.push(projects=created(project()))
    phone.pull()
    assert len(ok(there, "/users/me/export", token, "GET")["projects"]) == 1
    status, other = call(there, "/auth/login", person.credentials)
    assert status == 200, other
    new = f"{PASSWORD}-{new_id()}"
    ok(there, "/users/me/password", token, current_password=PASSWORD, new_password=new)
    assert call(here, "/sync/pull", {}, other["access_token"])[0] == 401
    assert call(here, "/auth/login", person.credentials)[0] == 401
    person.credentials["password"] = new
    assert call(here, "/auth/login", person.credentials)[0] == 200
    ok(here, "/users/me", token, "DELETE", password=new)
    for url in (there, here):
        assert call(url, "/sync/pull", {}, token)[0] == 401
        assert call(url, "/auth/login", person.credentials)[0] == 401


def a_guest_syncs_with_both(rollout: Rollout) -> None:
    """The release before knows no account without an address."""
    status, answer = call(rollout.after.url, "/auth/guest", {})
    assert status == 201, answer
    token = answer["access_token"]
    phone = Phone(token, *rollout.hosts)
    phone.pull()
    for _ in range(3):
        phone.push(projects=created(project()))
        phone.pull()
    for url in rollout.hosts:
        me = ok(url, "/users/me", token, "GET")
        assert (me["id"], me["email"]) == (answer["user"]["id"], None)
        ok(url, "/auth/sessions", token, "GET")
        assert len(ok(url, "/users/me/export", token, "GET")["projects"]) == 3
    again = ok(rollout.before.url, "/auth/refresh", answer["refresh_token"])["access_token"]
    assert ok(rollout.after.url, "/sync/pull", again)["timestamp"]


def test_the_release_before_is_that_of_the_history(tmp_path: Path) -> None:
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run([*git, "cat-file", "-e", BEFORE], check=False, capture_output=True)
    if found.returncode != 0:
        pytest.skip("a shallow clone, or a copy: its history does not reach back so far")
    packed = unpacked(tmp_path / "packed")
    files = sorted(str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file())

    def said(*words: str) -> list[str]:
        done = subprocess.run([*git, *words], check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    listed = [line.split("\t") for line in said("ls-tree", "-r", BEFORE, *PARTS.split())]
    hashes = said("hash-object", "--no-filters", *(str(packed / name) for name in files))
    assert dict(zip(files, hashes, strict=True)) == {n: info.split()[2] for info, n in listed}
