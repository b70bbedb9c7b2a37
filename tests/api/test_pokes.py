"""Behind each commit a word on the space's channel: whose push it was, and to where the clock
moved."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import WITH_REDIS, environment, make_app
from devices import Account, created, deleted, edited, new_id, project, task, updated
from flask import Flask
from redis_servers import until
from servers import PrivateRedis

from melon_api.auth.sessions import session_number
from melon_api.errors import OutcomeUnknown
from melon_api.logic.writes import changes
from melon_api.models.base import db
from melon_api.storage import pokes
from melon_api.storage.pokes import EVERYBODY, Poke, channel
from melon_api.storage.transactions import writing
from tests.example.models import Project


class Said:
    """What is published for one account."""

    def __init__(self, account: Account, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        self._channel = channel(account.user["id"])
        self._pubsub.subscribe(self._channel)
        self._pubsub.get_message(timeout=5)

    def all(self) -> list[bytes]:
        """All that was said until now."""
        self._client.publish(self._channel, "that was all")
        found: list[bytes] = []
        while (message := self._pubsub.get_message(timeout=5)) is not None:
            if message["data"] == b"that was all":
                break
            found.append(message["data"])
        return found


@pytest.fixture
def said(app: Flask, account: Account) -> Said:
    return Said(account, app.config["REDIS_URL"])


def number_of(account: Account) -> int:
    sessions: Any = account.first.call("GET", "/auth/sessions").json
    return session_number(next(s["id"] for s in sessions if s["current"]))


@WITH_REDIS
def test_a_push_says_whose_it_was(account: Account, said: Said) -> None:
    timestamp = account.first.push(projects=created(project()))
    assert said.all() == [b"%d %d" % (number_of(account), timestamp or 0)]


@WITH_REDIS
def test_a_push_by_flask_says_so_too(account: Account, said: Said) -> None:
    """It is the plain ones that are answered in front of it."""
    answer = account.first.ask_push({"projects": created(project())}, allowPartial=None)
    assert said.all() == [b"%d %d" % (number_of(account), answer.json["timestamp"])]


@WITH_REDIS
def test_what_was_not_stored_as_sent_is_for_everybody(account: Account, said: Said) -> None:
    """Its own phone has something to be told."""
    home = project()
    account.first.push(projects=created(home))
    account.first.push(projects=deleted(home["id"]))
    assert account.first.push(tasks=created(task(home["id"]))) is None
    first, second, third = said.all()
    assert not first.startswith(b"0 ")
    assert not second.startswith(b"0 ")
    assert third.startswith(b"0 ")


@WITH_REDIS
def test_what_changes_nothing_says_nothing(account: Account, said: Said) -> None:
    """A push that is repeated, one that is refused, a pull."""
    home = project()
    account.first.push(projects=created(home))
    account.first.push(projects=created(home))
    answer = account.first.ask_push({"projects": created(project(name="x" * 256))})
    assert answer.status_code == 422
    answer = account.first.ask_push({"tasks": created(task("nowhere"))})
    assert answer.status_code == 422
    account.first.pull()
    assert len(said.all()) == 1


@WITH_REDIS
def test_the_servers_own_changes_are_for_everybody(
    app: Flask, account: Account, said: Said
) -> None:
    with app.app_context():
        with changes(account.user["id"]) as records:
            records.save(Project, {"id": "home", "name": "Home"})
            assert said.all() == []
        assert [word.split()[0] for word in said.all()] == [b"0"]


@WITH_REDIS
def test_a_word_comes_behind_the_commit(app: Flask, account: Account) -> None:
    """Who hears it pulls, and finds it: never before, nor where it is rolled back."""
    space_id = account.user["id"]
    with app.app_context():
        with writing(db.engine) as connection:
            pokes.note(connection, space_id, Poke(7, 1))
            assert pokes.due() is None
            with writing(db.engine) as other:  # a rule of the app may change another account
                pokes.note(other, "another", Poke(8, 2))
            assert pokes.due() == {"another": Poke(8, 2)}
        assert pokes.due() == {space_id: Poke(7, 1)}
        assert pokes.due() is None
        with suppress(ZeroDivisionError), writing(db.engine) as connection:
            pokes.note(connection, space_id, Poke(7, 3))
            raise ZeroDivisionError
        assert pokes.due() is None
        with writing(db.engine) as connection:
            pass
        assert pokes.due() is None


@WITH_REDIS
def test_a_commit_in_doubt_is_looked_at(app: Flask, account: Account) -> None:
    """Who hears a word for everybody reads the clock before it believes it."""
    with app.app_context():
        with suppress(OutcomeUnknown), writing(db.engine) as connection:
            pokes.note(connection, account.user["id"], Poke(7, 1))
            connection.exec_driver_sql("SELECT 1")
            connection.connection.driver_connection._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        assert pokes.due() == {account.user["id"]: Poke(EVERYBODY, 1)}


def test_a_word_that_cannot_be_said_costs_the_push_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator's access list may forbid it; Redis may start again."""
    with PrivateRedis() as store, redis.Redis.from_url(store.url) as operator:
        environ = environment("sqlite", f"sqlite:///{tmp_path}/x.db", REDIS_URL=store.url)
        account = Account(make_app(environ, tmp_path))
        operator.acl_setuser("default", enabled=True, nopass=True, commands=["-publish"])
        home = project()
        assert account.first.push(projects=created(home))

        def is_warned() -> bool:
            account.first.push(projects=updated(edited(home, name=new_id())))
            return "refuses to tell" in capsys.readouterr().err

        until(is_warned, 20)
        operator.acl_setuser("default", enabled=True, nopass=True, commands=["+publish"])
        store.kill()
        assert account.first.push(projects=created(project()))
        store.start()
        said = Said(account, store.url)

        def is_heard() -> bool:
            assert account.first.push(projects=created(project()))
            return bool(said.all())

        until(is_heard, 20)
