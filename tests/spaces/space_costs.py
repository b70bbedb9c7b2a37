"""What sharing costs, in counts; run by test_space_costs.py, with the example app."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, fresh_database, make_app, statements
from devices import Account, Device, created, edited, project, updated
from flask import Flask
from round_trips import round_trips
from servers import PrivateRedis
from sharing import bring, create
from sqlalchemy import insert, select, text

from melon_api.models.base import db, utc_now
from melon_api.models.space import CATALOGUE, Membership, SyncPoint
from melon_api.models.user import User
from melon_api.storage.memory import near_cache
from melon_api.storage.transactions import writing

SPACES, MANY = 10, 1_000


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 3600)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with PrivateRedis() as redis, fresh_database("mariadb", tmp_path) as url:
        app = make_app(environment("mariadb", url, REDIS_URL=redis.url), tmp_path)
        yield app
        with app.app_context():
            db.engine.dispose()


def join_many(app: Flask, space_id: str) -> None:
    with app.app_context(), writing(db.engine) as connection:
        people = [{"id": f"m{n}", "email": f"m{n}@example.com"} for n in range(MANY)]
        connection.execute(insert(User), [one | {"password": "!"} for one in people])
        clocks = {"joined_tick": 1, "first_clock": 0, "joined_clock": 0, "joined_at": utc_now()}
        fixed = {"space_id": space_id, "role": "editor"} | clocks
        connection.execute(insert(Membership), [{"user_id": p["id"]} | fixed for p in people])


def push_counted(app: Flask, phone: Device, act: Callable[[], Any]) -> int:
    phone.pull()
    for _ in range(2):  # what is made once has been made
        act()
        phone.pull()
    with statements(app) as seen:
        act()
    return len(seen)


def test_a_push_costs_the_same_with_two_members_and_with_a_thousand(app: Flask) -> None:
    """Contract, Spaces 2: a space has a clock of its own."""
    owner = Account(app)
    phone, home = owner.first, project(id="home", space_id="shared")
    create(owner, id="shared")
    bring(owner, "shared", Account(app))
    phone.push(projects=created(home))
    names = iter("abcdefgh")

    def rename() -> None:
        phone.push(projects=updated(edited(home, name=next(names))))

    few = push_counted(app, phone, rename)
    join_many(app, "shared")
    assert push_counted(app, phone, rename) == few <= 8


def test_spaces_are_locked_by_their_keys_one_after_the_other(app: Flask) -> None:
    """In the order of their ids, so that two pushes do not wait for each other; and no others."""
    owner = Account(app)
    for number in range(SPACES):
        create(owner, id=f"space{number}")
    with statements(app) as seen:
        owner.first.push(projects=created(project(space_id="space3")))
    (locking,) = [one for one in seen if "FROM memberships" in one and "FOR UPDATE" in one]
    with app.app_context(), db.engine.connect() as connection:
        explained = f"EXPLAIN {locking.replace('%(user_id)s', ':user_id')}"
        user_id = connection.scalar(select(User.id))
        plan = connection.execute(text(explained), {"user_id": user_id}).mappings().all()
    ways = [(row["type"], row["key"]) for row in plan]
    assert ways == [("ref", "PRIMARY"), ("eq_ref", "PRIMARY")]
    assert "filesort" not in str(plan)


def test_an_idle_pull_of_ten_spaces_asks_no_database(app: Flask) -> None:
    """And Redis at most once."""
    owner = Account(app)
    for number in range(SPACES):
        create(owner, id=f"space{number}")
        owner.first.push(projects=created(project(space_id=f"space{number}")))
    for _ in range(3):
        owner.first.pull()
    with statements(app) as seen, round_trips(app.config["REDIS_URL"]) as commands:
        assert not any(any(lists.values()) for lists in owner.first.pull().values())
    assert seen == []
    assert len(commands) <= 1, commands


def test_what_another_member_pushes_ends_the_idleness(app: Flask) -> None:
    """The count above is not bought with an old answer."""
    one, other = Account(app), Account(app)
    create(one, id="shared")
    bring(one, "shared", other)
    for account in (one, other):
        account.first.pull()
        account.first.pull()
    other.first.push(projects=created(project(id="news", space_id="shared")))
    assert [p["id"] for p in one.first.pull()["projects"]["created"]] == ["news"]


def test_a_changed_row_of_the_catalogue_costs_each_account_one_row(
    app: Flask, tmp_path: Path
) -> None:
    """Contract, Spaces 6."""
    lines = [f'{{"id": "t{n}", "name": "{n}", "body": ""}}\n' for n in range(500)]
    phone = Account(app).first
    load(app, tmp_path, lines)
    assert len(phone.pull()["templates"]["created"]) == 500
    phone.pull()
    load(app, tmp_path, [lines[7].replace('"7"', '"seven"')])
    with statements(app) as seen:
        changes = phone.pull()["templates"]
    assert [record["name"] for record in changes["updated"]] == ["seven"]
    assert not changes["created"] and not changes["deleted"]
    assert len([text for text in seen if text.startswith("INSERT")]) == 1
    with app.app_context():
        points = select(SyncPoint.space_id).where(SyncPoint.space_id == CATALOGUE)
        assert len(db.session.scalars(points).all()) == 2  # the first pull's, and this one's


def load(app: Flask, folder: Path, lines: list[str]) -> None:
    file = folder / "templates.jsonl"
    file.write_text("".join(lines))
    done = app.test_cli_runner().invoke(args=["catalogue", "load", "templates", str(file)])
    assert done.exit_code == 0, done.output


def test_an_account_without_spaces_pays_nothing(app: Flask) -> None:
    """Nor asks Redis more often: the catalogue's clock comes with its own."""
    phone = Account(app).first
    home = project(id="home")
    phone.push(projects=created(home))
    names = iter("abcdefgh")
    plain = push_counted(
        app, phone, lambda: phone.push(projects=updated(edited(home, name=next(names))))
    )
    assert plain <= 4  # and its COMMIT
    phone.pull()
    phone.pull()
    with statements(app) as seen, round_trips(app.config["REDIS_URL"]) as commands:
        phone.pull()
    assert seen == []
    assert len(commands) <= 1, commands
