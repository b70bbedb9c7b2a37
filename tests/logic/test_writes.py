"""The server's own changes (contract, The server's own changes)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import ON_A_SERVER, statements
from devices import PASSWORD, Account, bare, created, deleted, edited, project, task
from devices import updated as pushed_updated
from flask import Flask
from sqlalchemy import func, select, update

from melon_api.errors import NotFound, Refused
from melon_api.logic import Changes, account_ids, before_push, changes, registry
from melon_api.models.base import db
from melon_api.models.session import Session
from tests.example.models import Project, Task


@pytest.fixture(autouse=True)
def in_the_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield
    registry.rules.clear()


def test_phones_get_what_the_server_makes_changes_and_deletes(account: Account) -> None:
    """Contract pull 1 and 3, push 4 and 7: as from one more device, at one tick."""
    phone, tablet, home, old = account.first, account.device(), project(), project()
    child = task(old["id"])
    phone.push(projects=created(home, old), tasks=created(child))
    phone.pull(), tablet.pull()
    with changes(account.user["id"]) as mine:
        (found,) = mine.select(Project, Project.id == home["id"])
        found["name"] = "Office"
        made = mine.save(Task, {"title": "Made", "project_id": home["id"]})
        mine.get(Project, [old["id"]])[old["id"]].delete()
        assert mine.is_server and mine.session_id is None
    for device in (phone, tablet):
        told = device.pull()
        assert told["projects"]["updated"] == [bare(home) | {"name": "Office"}]
        assert told["projects"]["deleted"] == [old["id"]]
        assert [one["id"] for one in told["tasks"]["created"]] == [one.id for one in made]
        assert told["tasks"]["deleted"] == [child["id"]]
        assert device.ask_pull(device.pulled_at).json["timestamp"] == device.pulled_at
    assert phone.push(projects=pushed_updated(edited(home, description="C"))) is not None


def test_who_changes_nothing_moves_no_clock(account: Account) -> None:
    """Contract push 1: nor does who changes it to what it is, or saves what is deleted."""
    phone, home = account.first, project(id="home")
    phone.push(projects=created(home), tasks=created(task("home", id="gone")))
    phone.push(tasks=deleted("gone"))
    phone.pull()
    clock = phone.pulled_at
    with changes(account.user["id"]) as mine:
        assert mine.scalar(select(func.count()).select_from(Project)) == 1
        mine.save(Project, {"id": "home", "name": home["name"]})
        assert mine.save(Task, {"id": "gone", "title": "again", "project_id": "home"}) == []
    phone.pull()
    assert phone.pulled_at == clock
    assert phone.records("tasks") == {}


def write_and_divide(account_id: str) -> float:
    with changes(account_id) as mine:
        mine.save(Project, {"name": "Half"})
        mine.execute(update(Session).values(device_name="renamed"))
        return 1 / len(mine.select(Project))


def test_all_or_nothing(account: Account, app: Flask) -> None:
    """Contract push 1: with what is written of other tables, of this account alone."""
    stranger = Account(app)
    renamed = select(Session.user_id).where(Session.device_name == "renamed")
    both = Session.user_id.in_([account.user["id"], stranger.user["id"]])
    with pytest.raises(ZeroDivisionError):
        write_and_divide(account.user["id"])
    with db.engine.connect() as connection:
        assert list(connection.scalars(renamed.where(both))) == []
    assert account.first.records("projects") == {}
    account.first.push(projects=created(project()))
    write_and_divide(account.user["id"])
    with db.engine.connect() as connection:
        assert list(connection.scalars(renamed.where(both))) == [account.user["id"]]
    assert len(account.first.records("projects")) == 2


@pytest.mark.parametrize("policy", ["last_write_wins", "reject"])
def test_a_phone_that_edits_the_same_meanwhile_has_a_conflict(
    account: Account, settings_of: Any, policy: str
) -> None:
    """Contract push 3: as with any other device."""
    settings_of(SYNC_CONFLICT_POLICY=policy)
    phone, home = account.first, project()
    phone.push(projects=created(home))
    phone.pull()
    with changes(account.user["id"]) as mine:
        mine.save(Project, {"id": home["id"], "name": "Server's"})
    answer = phone.ask_push({"projects": pushed_updated(edited(home, description="Phone's"))})
    stored = phone.records("projects")[home["id"]]
    if policy == "reject":
        assert (answer.status_code, answer.json["code"]) == (409, "sync_conflict")
    else:
        assert answer.json["timestamp"] is None
        assert (stored["name"], stored["description"]) == ("Server's", "Phone's")


def test_the_rules_are_asked_and_know_who_it_is(account: Account) -> None:
    """Contract push 10: a refusal is the code's that changes, by id, and stores nothing."""

    @before_push(Project)
    def only_the_server(projects: Changes) -> None:
        for one in projects.saved:
            if not projects.account.is_server:
                one["description"] = one.before.get("description")
            elif one["name"] == "bad":
                one.refuse("Bad.", "name")

    phone = account.first
    with changes(account.user["id"]) as mine:
        mine.save(Project, {"id": "p", "name": "good", "description": "Server's"})
    phone.push(projects=pushed_updated({"id": "p", "description": "Phone's"}))
    assert phone.records("projects")["p"]["description"] == "Server's"
    names = {"id": "q", "name": "bad"}, {"id": "p", "name": "better"}
    with pytest.raises(Refused) as refused, changes(account.user["id"]) as mine:
        mine.save(Project, *names)
    assert refused.value.errors == {"projects": {"q": {"name": ["Bad."]}}}
    assert phone.records("projects")["p"]["name"] == "good"


def test_what_is_wrong_is_said_at_once(account: Account) -> None:
    user_id = account.user["id"]
    with pytest.raises(NotFound, match="no account and no space 'nobody'"), changes("nobody"):
        pass
    with changes(user_id) as mine:
        assert mine.get(Project, ["no id!", "é", "", None]) == {}
        for wrong in ({"name": 5}, {"colour": "red"}, {"name": "x" * 256}, {"id": "no id!"}):
            with pytest.raises(ValueError, match=r".+"):
                mine.save(Project, wrong)
        for nobody in ("nobody", "nobodÿ"):
            with pytest.raises(ValueError, match=f"No record '{nobody}' in projects"):
                mine.save(Task, {"project_id": nobody})
        with pytest.raises(RuntimeError, match="is being changed already"), changes(user_id):
            pass
    assert account.first.records("projects") == {}


def test_ten_thousand_records_take_few_statements(account: Account) -> None:
    """In sets, as a push."""
    counts = []
    for size in (10, 1000):
        with statements(account.app) as seen, changes(account.user["id"]) as mine:
            mine.save(Project, {"id": "home", "name": "Home"})
            mine.save(Task, *({"project_id": "home"} for _ in range(size)))
        counts.append(len(seen))
    assert counts[1] <= counts[0]
    assert len(account.first.records("tasks")) == 1010


def test_all_accounts_one_after_the_other(app: Flask) -> None:
    accounts = [Account(app) for _ in range(3)]
    mine = sorted(account.user["id"] for account in accounts)
    found = list(account_ids())
    assert found == sorted(found) and set(mine) <= set(found)
    assert [i for i in account_ids(after=mine[0]) if i in mine] == mine[1:]
    for account_id in mine:
        with changes(account_id) as one:
            one.save(Project, {"name": account_id})
    for account in accounts:
        (only,) = account.first.records("projects").values()
        assert only["name"] == account.user["id"]
    accounts[0].first.call("DELETE", "/users/me", json={"password": PASSWORD})
    assert accounts[0].user["id"] not in list(account_ids())


@ON_A_SERVER
def test_a_push_waits_for_the_block(account: Account) -> None:
    """Contract push 1: the account is locked, so neither undoes the other."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    with ThreadPoolExecutor(1) as pool:
        with changes(account.user["id"]) as mine:
            done = pool.submit(
                phone.push, projects=pushed_updated(edited(home, description="Phone's"))
            )
            mine.save(Project, {"id": home["id"], "name": "Server's"})
        done.result()
    stored = phone.records("projects")[home["id"]]
    assert (stored["name"], stored["description"]) == ("Server's", "Phone's")
