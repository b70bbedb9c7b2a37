"""Random stories of five devices and two accounts, told to the server and to the model alike.

`FIRE_EXAMPLES` sets how many stories SQLite is told; the database servers get a quarter of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import ruled
from conftest import DATABASES, environment, fresh_database, make_app
from contents import BEGINNING, LISTS, Content, content
from devices import Account, Device
from flask import Flask
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from model import LAST_WRITE_WINS, REJECT, SCHEMA, AccountModel, Answer, Key, Told, Values
from werkzeug.test import TestResponse

from melon_api.logic import registry
from melon_api.models.base import db

EXAMPLES = int(os.environ.get("FIRE_EXAMPLES", "40"))
STEPS = 30
# The story's phones by account; the second uses the same ids. Most of it is about the first.
ACCOUNTS = (0, 0, 0, 1)
MINUTE_MS, DAY_MS = 60_000, 86_400_000
SINCE = st.sampled_from(["last"] * 8 + ["older"] * 3 + ["null", "ahead"])
ACTORS = st.sampled_from([0, 1, 2] * 4 + [3])


CONTENTS = st.integers(0, 2**32 - 1).map(content)


@dataclass
class PagedPull:
    """A pull in pages, and what the unpaged one would have held."""

    since: int | None
    limit: int
    whole: dict[str, Told]
    tick: int
    pages: list[dict[str, Any]] = field(default_factory=list)

    def turn(self, actor: "Actor") -> None:
        more = {"cursor": self.pages[-1]["cursor"]} if self.pages else {}
        answer = actor.http.ask_pull(self.since, limit=self.limit, **more)
        assert answer.status_code == 200, answer.text
        self.pages.append(answer.json)


@dataclass
class Actor:
    """A phone, and what the model and the story need to know of it."""

    name: str
    account: Account
    model: AccountModel
    http: Device
    stamps: list[int] = field(default_factory=list)  # every timestamp it was told, oldest first
    request: tuple[Values, int | None, bool] | None = None  # its last push
    sign_ins: int = 1

    def since(self, choice: str) -> int | None:
        """A `lastPulledAt`: the device's real one, or one that no sound device would send."""
        if choice == "null":
            return None
        if choice == "ahead":
            return self.model.clock.now + MINUTE_MS
        return self.http.pulled_at if choice == "last" else next(iter(self.stamps), None)

    def told(self, timestamp: int) -> None:
        self.http.pulled_at = timestamp
        self.stamps.append(timestamp)


class Stories(RuleBasedStateMachine):
    """Each rule does one thing to the server and to the model, and compares the answers."""

    def __init__(self, app: Flask, model: type[AccountModel]) -> None:
        super().__init__()
        self.app = app
        accounts = [Account(app) for _ in set(ACCOUNTS)]
        models = [model(app.config["SYNC_CONFLICT_POLICY"]) for _ in accounts]
        self.actors = [
            Actor(name := f"phone-{n}", accounts[a], models[a], accounts[a].device(device_id=name))
            for n, a in enumerate(ACCOUNTS)
        ]

    @initialize(asleep=ACTORS)
    def begin(self, asleep: int) -> None:
        """Both accounts begin with the same ids, which they never share (contract push 11)."""
        for actor in (self.actors[0], self.actors[-1]):
            actor.request = (BEGINNING, None, False)
            self.send(actor, by_query=False, forward=False)
        for number in range(len(ACCOUNTS)):
            if number != asleep:
                self.pull(number, "null", by_query=False)

    # pushes

    @rule(
        who=ACTORS,
        content=CONTENTS,
        since=SINCE,
        partial=st.sampled_from([False, False, True]),
        by_query=st.booleans(),
        forward=st.booleans(),
    )
    def push(
        self, who: int, content: Content, since: str, partial: bool, by_query: bool, forward: bool
    ) -> None:
        """Contract push 1 to 7; `forward`: the answer's timestamp is kept as last-pulled-at."""
        actor = self.actors[who]
        last_pulled_at = actor.since(since)
        model = actor.model
        known = model.clock.at(last_pulled_at)
        changes = content.changes(lambda *key: model.records.get(key), known)
        actor.request = (changes, last_pulled_at, partial)
        self.send(actor, by_query=by_query, forward=forward)

    push_2 = push_3 = push_4 = push  # drawn as often as that

    @rule(who=ACTORS, content=CONTENTS, forward=st.booleans())
    def sync(self, who: int, content: Content, forward: bool) -> None:
        """What the stock client does: pull, then push."""
        self.pull(who, "last", by_query=False)
        self.push(who, content, "last", partial=False, by_query=False, forward=forward)

    @rule(who=ACTORS, by_query=st.booleans(), at_once=st.booleans())
    def repeat(self, who: int, by_query: bool, at_once: bool) -> None:
        """Contract push 1: the answer was lost; if nobody else pushed, it changes nothing."""
        actor = self.actors[who]
        if actor.request is None:
            return
        first = self.send(actor, by_query=by_query, forward=False)
        if at_once:
            before = actor.model.clock.tick
            again = self.send(actor, by_query=by_query, forward=False)
            assert again.status == first.status
            assert actor.model.clock.tick == before, "the model itself is wrong"

    def send(self, actor: Actor, *, by_query: bool, forward: bool) -> Answer:
        """Push, compare the answer, and what the account then holds."""
        assert actor.request
        changes, last_pulled_at, partial = actor.request
        note(f"{actor.name} pushes {changes} {partial=} {last_pulled_at=}")
        answer = ask_push(actor, by_query=by_query)
        note(f"    {answer.status_code} {answer.text}")
        since = actor.model.clock.at(last_pulled_at)
        expected = actor.model.push(
            actor.name,
            changes,
            since,
            session=f"{actor.name}/{actor.sign_ins}",
            partial=partial,
            held_back=held_back(answer),
        )
        compare_push(answer, expected, partial=partial)
        if answer.status_code == 200:
            actor.model.clock.floor = max(actor.model.clock.floor, last_pulled_at or 0)
        self.look(actor)
        if answer.status_code == 200 and (timestamp := answer.json["timestamp"]) is not None:
            assert timestamp == actor.model.clock.now, "not the account's new clock"
            if forward:
                actor.told(timestamp)
        return expected

    def look(self, actor: Actor) -> None:
        """A first pull is the model's living set (contract pull 2), and no task is an orphan."""
        answer = actor.http.ask_pull(None)
        assert answer.status_code == 200, answer.text
        actor.model.clock.note(answer.json["timestamp"])
        compare_pull(answer.json["changes"], actor.model.pull(actor.name, None))
        homes = {record["id"] for record in answer.json["changes"]["projects"]["created"]}
        tasks = answer.json["changes"]["tasks"]["created"]
        assert {task["project_id"] for task in tasks} <= homes, "an orphan"

    # pulls

    @rule(who=ACTORS, since=SINCE, by_query=st.booleans())
    def pull(self, who: int, since: str, by_query: bool) -> None:
        """Contract pull 1 to 4."""
        actor = self.actors[who]
        last_pulled_at = actor.since(since)
        answer = ask_pull(actor, last_pulled_at, by_query=by_query)
        note(f"{actor.name} pulls {last_pulled_at=}: {answer}")
        compare_pull(answer["changes"], expected_pull(actor, last_pulled_at))
        actor.model.clock.floor = max(actor.model.clock.floor, last_pulled_at or 0)
        actor.model.clock.note(answer["timestamp"])
        actor.told(answer["timestamp"])

    @rule(
        who=ACTORS,
        since=SINCE,
        limit=st.integers(1, 3),
        others=st.lists(st.tuples(ACTORS, CONTENTS), max_size=4),
    )
    def pull_paged(
        self, who: int, since: str, limit: int, others: list[tuple[int, Content]]
    ) -> None:
        """Contract pull 6: pages, and after each of them another push."""
        actor = self.actors[who]
        last_pulled_at = actor.since(since)
        whole = expected_pull(actor, last_pulled_at)
        paged = PagedPull(last_pulled_at, limit, whole, actor.model.clock.tick)
        paged.turn(actor)
        actor.model.clock.floor = max(actor.model.clock.floor, last_pulled_at or 0)
        actor.model.clock.note(paged.pages[0]["timestamp"])
        while paged.pages[-1]["cursor"] is not None:
            if others:
                other, content = others.pop()
                self.push(other, content, "last", partial=True, by_query=False, forward=False)
            paged.turn(actor)
        compare_pages(actor, paged)
        actor.told(paged.pages[0]["timestamp"])

    pull_paged_2 = pull_paged

    # what is rare

    @rule(who=ACTORS, event=st.sampled_from(["sign in again", "pull", "push"]))
    def something_else(self, who: int, event: str) -> None:
        if event == "sign in again":
            self.sign_in_again(self.actors[who])
        else:
            self.ask_from_the_future(self.actors[who], is_push=event == "push")

    def sign_in_again(self, actor: Actor) -> None:
        """Contract, Accounts 4: `device_id` tells that it is the same phone."""
        pulled_at = actor.http.pulled_at
        actor.sign_ins += 1
        actor.http = actor.account.device(device_id=actor.name)
        actor.http.pulled_at = pulled_at

    def ask_from_the_future(self, actor: Actor, *, is_push: bool) -> None:
        """Contract pull 1: more than a day ahead of the server's time is 422; nothing happens."""
        future = actor.model.clock.now + 2 * DAY_MS
        changes = {"projects": {"created": [{"id": "p0"}]}}
        answer = (
            actor.http.ask_push(changes, lastPulledAt=future)
            if is_push
            else actor.http.ask_pull(future)
        )
        assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
        self.look(actor)


# requests


def ask_push(actor: Actor, *, by_query: bool) -> TestResponse:
    """Both forms of a push (contract, Push)."""
    assert actor.request
    changes, since, partial = actor.request
    if not by_query:
        more = {"allowPartial": True} if partial else {}
        return actor.http.ask_push(changes, lastPulledAt=since, **more)
    path = f"/sync/push?last_pulled_at={'null' if since is None else since}"
    return actor.http.call("POST", path + "&partial=1" * partial, json=changes)


def ask_pull(actor: Actor, since: int | None, *, by_query: bool) -> dict[str, Any]:
    """Both forms of a pull (contract, Pull)."""
    query = f"last_pulled_at={'null' if since is None else since}&schema_version=1&migration=null"
    answer = (
        actor.http.call("GET", f"/sync/pull?{query}") if by_query else actor.http.ask_pull(since)
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json
    return body


def expected_pull(actor: Actor, last_pulled_at: int | None) -> dict[str, Told]:
    since = None if last_pulled_at is None else actor.model.clock.at(last_pulled_at)
    return actor.model.pull(actor.name, since)


# comparisons


def keys(tables: dict[str, list[str]]) -> set[Key]:
    return {(table, id) for table, ids in tables.items() for id in ids}


def held_back(answer: TestResponse) -> set[Key]:
    """What the server refused."""
    errors = answer.json["errors"] if answer.status_code == 409 else {}
    return keys(errors) | keys(answer.json.get("experimentalRejectedIds", {}))


def compare_push(answer: TestResponse, expected: Answer, *, partial: bool) -> None:
    """Contract, Errors, push 3, 6 and 7."""
    body = answer.json
    found = (answer.status_code, body.get("code"))
    assert found == (expected.status, expected.code), answer.text
    if expected.status == 409:
        assert keys(body["errors"]) == expected.conflicts
    if expected.status != 200:
        return
    assert keys(body.get("experimentalRejectedIds", {})) == expected.rejected
    assert ("errors" in body) == partial
    if expected.up_to_date is not None:
        assert (body["timestamp"] is not None) == expected.up_to_date, answer.text


def compare_pull(changes: dict[str, Any], expected: dict[str, Told]) -> None:
    """Contract pull 2 to 4: each record in exactly one list, with the app's columns alone."""
    assert set(changes) == set(expected)
    for table, told in expected.items():
        lists = changes[table]
        assert set(lists) == set(LISTS)
        assert by_id(lists["created"]) == told.created, f"created {table}"
        assert by_id(lists["updated"]) == told.updated, f"updated {table}"
        gone = set(lists["deleted"])
        assert len(gone) == len(lists["deleted"])
        assert told.deleted <= gone <= told.deleted | told.reminded, f"deleted {table}"


def by_id(records: list[Values]) -> dict[str, Values]:
    found = {r["id"]: {c: v for c, v in r.items() if c != "id"} for r in records}
    assert len(found) == len(records), "a record is told twice"
    return found


def compare_pages(actor: Actor, paged: PagedPull) -> None:
    """Contract pull 6: the unpaged pull, each record as it was at `timestamp` or newer."""
    assert len({page["timestamp"] for page in paged.pages}) == 1
    sizes = [sum(len(page["changes"][t][n]) for t in SCHEMA for n in LISTS) for page in paged.pages]
    assert all(1 <= size <= paged.limit for size in sizes[:-1])
    assert sizes[-1] <= paged.limit
    order = [t for page in paged.pages for t in SCHEMA if any(page["changes"][t].values())]
    assert order == sorted(order, key=list(SCHEMA).index), "a child before its parent"
    for table in SCHEMA:
        told = {n: [x for p in paged.pages for x in p["changes"][table][n]] for n in LISTS}
        compare_paged_table(actor, table, told, paged)


def compare_paged_table(
    actor: Actor, table: str, lists: dict[str, list[Any]], paged: PagedPull
) -> None:
    """Contract pull 6, with what was pushed between the pages."""
    wanted = paged.whole[table]
    gone = set(lists["deleted"])
    assert len(gone) == len(lists["deleted"])
    assert wanted.deleted <= gone, "a deletion is missing"
    created, updated = by_id(lists["created"]), by_id(lists["updated"])
    assert not (gone & set(created) or gone & set(updated) or set(created) & set(updated))
    # What is new since the first page comes again, so it may not be created already.
    assert set(created) <= set(wanted.created), f"created {table}"
    before = wanted.created | wanted.updated
    for id, values in before.items():
        record = actor.model.records[table, id]
        if not record.is_dead:
            has_had = id in wanted.updated or (paged.since and actor.name in record.holders)
            assert id in (updated if id in wanted.updated else created | updated), table
            assert has_had or id not in updated, f"updated {table}"
        assert (created | updated).get(id, values) in [values, *record.after(paged.tick)]
    for id in set(updated) - set(before):  # edited meanwhile: it may come already
        assert updated[id] in actor.model.records[table, id].after(paged.tick)


# the test


@contextmanager
def served(database: str, folder: Path) -> Iterator[Flask]:
    with fresh_database(database, folder) as url:
        app = make_app(environment(database, url), folder)
        yield app
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="module", params=DATABASES)
def fire_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    with served(request.param, tmp_path_factory.mktemp("fire")) as app:
        yield app


@pytest.fixture
def with_rules() -> Iterator[None]:
    ruled.register()
    yield
    registry.rules.clear()


POLICIES = pytest.mark.parametrize("policy", [LAST_WRITE_WINS, REJECT])


@POLICIES
def test_the_server_answers_as_the_model(
    fire_app: Flask, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, pull 1 to 4 and 6, push 1 to 7 and 11: whatever the story."""
    monkeypatch.setitem(fire_app.config, "SYNC_CONFLICT_POLICY", policy)
    tell_stories(fire_app, AccountModel)


@POLICIES
@pytest.mark.usefixtures("with_rules")
def test_the_server_with_rules_answers_as_the_model_with_them(
    fire_app: Flask, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract push 10, and all of those."""
    monkeypatch.setitem(fire_app.config, "SYNC_CONFLICT_POLICY", policy)
    tell_stories(fire_app, ruled.RuledModel)


def tell_stories(fire_app: Flask, model: type[AccountModel]) -> None:
    on_file = fire_app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite")
    profile = settings(
        max_examples=max(1, EXAMPLES // (2 if on_file else 8)),
        stateful_step_count=STEPS,
        deadline=None,
        phases=set(Phase) - {Phase.explain},
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Stories(fire_app, model), settings=profile)
