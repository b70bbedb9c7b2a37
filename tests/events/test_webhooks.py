"""Webhooks (contract, The server's own changes), to a real server on this machine."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from devices import Account, created, deleted, project, task
from flask import Flask
from receiver import Receiver, receiving
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError
from telling import listening, make_due, queues, waiting

from melon_api.events.registry import WEBHOOKS
from melon_api.events.webhooks.webhook import Webhook

Drain = Callable[[], None]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def drain(app: Flask) -> Iterator[Drain]:
    with listening(app) as drain:
        yield drain


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def listen(app: Flask, patch: pytest.MonkeyPatch, *urls: str, tables: Any = ()) -> None:
    hooks = [Webhook(url, SECRET, frozenset(tables), loopback=True) for url in urls]
    patch.setitem(app.extensions, WEBHOOKS, hooks)


def test_a_receiver_is_told_what_was_committed_and_by_whom(
    account: Account, drain: Drain, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(account.app, monkeypatch, receiver.url)
    phone, home = account.first, project()
    one, two = task(home["id"]), task(home["id"])
    phone.push(projects=created(home), tasks=created(one))
    phone.push(tasks={**created(two), "deleted": [one["id"]]})
    phone.pull()
    drain()
    (_, first), (headers, second) = receiver.got
    assert receiver.paths == ["/hook?for=melon"] * 2
    body = json.loads(first)
    assert body["type"] == "records.changed"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    saved = {"projects": [home["id"]], "tasks": [one["id"]]}
    assert body["data"]["tables"] == {
        table: {"saved": ids, "deleted": []} for table, ids in saved.items()
    }
    data = json.loads(second)["data"]
    assert data == {
        "space_id": account.user["id"],
        "clock": phone.pulled_at,
        "tables": {"tasks": {"saved": [two["id"]], "deleted": [one["id"]]}},
    }
    assert headers["content-type"] == "application/json"
    assert Verifier(SECRET).verify(second, headers)["data"] == data
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(second + b" ", headers)
    assert (waiting(), queues()) == ([], [])


def test_it_is_the_same_id_at_every_try_and_to_everybody(
    account: Account, drain: Drain, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who takes nothing holds nobody else up."""
    with receiving() as other:
        listen(account.app, monkeypatch, receiver.url, other.url)
        receiver.answers = [500, 302, 429, 200]
        for _ in range(2):
            account.first.push(projects=created(project()))
        for _ in range(4):
            drain()
            make_due()
        names = [headers["webhook-id"] for headers, _ in receiver.got]
        assert names[0] == names[1] == names[2] == names[3] != names[4]
        assert [headers["webhook-id"] for headers, _ in other.got] == [names[0], names[4]]
    assert waiting() == []


def test_410_ends_it(
    account: Account, drain: Drain, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(account.app, monkeypatch, receiver.url)
    receiver.answers = [410, 200]
    for _ in range(2):
        account.first.push(projects=created(project()))
    drain()
    (left,) = waiting()
    assert (left.is_set_aside, left.error) == (True, "GiveUp: it answered 410")
    assert len(receiver.got) == 2


def test_only_the_tables_that_are_named(
    account: Account, drain: Drain, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(account.app, monkeypatch, receiver.url, tables=["tasks"])
    home = project()
    account.first.push(projects=created(home))
    assert waiting() == []
    one = task(home["id"])
    account.first.push(projects=created(project()), tasks=created(one))
    account.first.push(projects=deleted(home["id"]))
    drain()
    told = [json.loads(body)["data"]["tables"] for _, body in receiver.got]
    assert told == [
        {"tasks": {"saved": [one["id"]], "deleted": []}},
        {"tasks": {"saved": [], "deleted": [one["id"]]}},
    ]


def test_a_large_push_is_bodies_of_64_kb(
    account: Account, drain: Drain, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(account.app, monkeypatch, receiver.url)
    home = project()
    ids = [f"{n:036}" for n in range(2_500)]
    account.first.push(
        projects=created(home), tasks=created(*(task(home["id"], id=i) for i in ids))
    )
    drain()
    assert len(receiver.got) == 3
    assert max(len(body) for _, body in receiver.got) < 64_000
    told = [json.loads(body)["data"]["tables"].get("tasks", {}) for _, body in receiver.got]
    assert [i for tables in told for i in tables["saved"]] == ids
