"""Contract, "Pull": rules 1 to 4, on every backend."""

import time
from datetime import datetime
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import (
    NOTHING,
    Account,
    bare,
    created,
    deleted,
    edited,
    new_id,
    project,
    task,
    updated,
)

from melon_api.sync.sql import clock

DAY_MS = 86_400_000


def test_first_pull_holds_all_living_records_under_created(account: Account) -> None:
    """Contract pull 2."""
    phone = account.first
    home, gone = project(), project()
    paint = task(home["id"])
    phone.push(projects=created(home, gone), tasks=created(paint))
    phone.push(projects=deleted(gone["id"]))
    changes = account.device().pull()
    assert changes == {"projects": created(bare(home)), "tasks": created(bare(paint))}


@pytest.mark.parametrize("nothing", [None, 0, "null", "undefined", ""])
def test_every_way_to_say_never_is_a_first_pull(account: Account, nothing: object) -> None:
    """Contract pull 2."""
    home = project()
    account.first.push(projects=created(home))
    answer = account.device().call("POST", "/sync/pull", json={"lastPulledAt": nothing})
    assert answer.json["changes"]["projects"] == created(bare(home))
    assert account.first.call("POST", "/sync/pull", json={}).status_code == 200


def test_a_pull_by_query_is_the_same_pull(account: Account) -> None:
    """Contract, Pull: the snippet in WatermelonDB's docs."""
    home = project()
    account.first.push(projects=created(home))
    first = "?last_pulled_at=null&schema_version=1&migration=null"
    answer = account.first.call("GET", f"/sync/pull{first}")
    assert answer.json["changes"]["projects"] == created(bare(home))
    undefined = "?last_pulled_at=undefined&schema_version=1&migration=undefined"
    assert account.first.call("GET", f"/sync/pull{undefined}").json == answer.json
    later = f"?last_pulled_at={answer.json['timestamp']}&schema_version=1&migration=null"
    assert account.first.call("GET", f"/sync/pull{later}").json["changes"]["projects"] == NOTHING


def test_another_devices_changes_arrive_once(account: Account) -> None:
    """Contract pull 1: every later change, and none twice."""
    phone, tablet = account.first, account.device()
    phone.pull(), tablet.pull()
    home = project()
    phone.push(projects=created(home))
    assert tablet.pull()["projects"] == created(bare(home))
    assert tablet.pull()["projects"] == NOTHING
    phone.pull()
    phone.push(projects=updated(edited(home, name="House")))
    assert tablet.pull()["projects"] == updated(bare(home) | {"name": "House"})
    phone.push(projects=deleted(home["id"]))
    assert tablet.pull()["projects"] == deleted(home["id"])
    assert tablet.pull()["projects"] == NOTHING


def test_own_new_records_come_back_as_updated_never_created(account: Account) -> None:
    """Contract pull 3: the stock client would resurrect a deleted one."""
    phone = account.first
    phone.pull()
    home = project()
    phone.push(projects=created(home))
    assert phone.pull()["projects"] == updated(bare(home))


def test_own_record_edited_by_another_device_comes_as_updated(account: Account) -> None:
    """Contract pull 3."""
    phone, tablet = account.first, account.device()
    phone.pull()
    home = project()
    phone.push(projects=created(home))
    tablet.pull()
    tablet.push(projects=updated(edited(home, name="Tablet's")))
    assert phone.pull()["projects"] == updated(bare(home) | {"name": "Tablet's"})


def test_a_record_made_and_edited_since_is_created_once(account: Account) -> None:
    """Contract pull 3: new to the asking device, whatever happened to it meanwhile."""
    phone, tablet = account.first, account.device()
    tablet.pull()
    home = project()
    phone.push(projects=created(home))
    phone.pull()
    phone.push(projects=updated(edited(home, name="House")))
    assert tablet.pull()["projects"] == created(bare(home) | {"name": "House"})


def test_a_deletion_of_a_record_born_since_is_told(account: Account) -> None:
    """Contract pull 3: the asking device may be the one that made it."""
    phone, tablet = account.first, account.device()
    phone.pull(), tablet.pull()
    home = project()
    phone.push(projects=created(home))
    account.device().push(projects=deleted(home["id"]))
    assert tablet.pull()["projects"] == deleted(home["id"])
    assert phone.pull()["projects"] == deleted(home["id"])


def test_a_record_two_devices_made_is_updated_for_both(account: Account) -> None:
    """Contract pull 3: a device that pushed an id has had it, whoever was first."""
    phone, tablet = account.first, account.device()
    phone.pull(), tablet.pull()
    shared = project(id=f"settings-{new_id()}")
    phone.push(projects=created(shared))
    tablet.push(projects=created(shared))
    account.device().push(projects=updated(edited(shared, name="Third")))
    wanted = updated(bare(shared) | {"name": "Third"})
    assert tablet.pull()["projects"] == wanted
    assert phone.pull()["projects"] == wanted


def test_the_same_phone_signed_in_again_is_the_same_device(account: Account) -> None:
    """Contract, Accounts 4: `device_id` names the local database."""
    phone = account.device(device_id="phone-1")
    phone.pull()
    home = project()
    phone.push(projects=created(home))
    again = account.device(device_id="phone-1")
    again.pulled_at = phone.pulled_at
    assert again.pull()["projects"] == updated(bare(home))
    stranger = account.device()
    stranger.pulled_at = phone.pulled_at
    assert stranger.pull()["projects"] == created(bare(home))


def test_records_hold_the_apps_columns_and_nothing_internal(account: Account) -> None:
    """Contract pull 4."""
    home = project(created_at=1_700_000_000_123, updated_at=1_700_000_000_456.5)
    paint = task(home["id"], created_at=0, updated_at=-5, is_completed=True, title="日本 📷 ß")
    account.first.push(projects=created(home), tasks=created(paint))
    changes = account.device().pull()
    assert changes["projects"]["created"] == [bare(home)]
    assert changes["tasks"]["created"] == [bare(paint)]
    assert type(changes["projects"]["created"][0]["created_at"]) is int


def test_timestamp_is_ms_and_never_goes_back(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract pull 1: the host's clock jumps back an hour between two pushes."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(project()))
    tablet.pull()
    assert tablet.pulled_at and abs(tablet.pulled_at - time.time() * 1000) < 60_000
    now = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now - 3_600_000)
    before, late = tablet.pulled_at, project()
    phone.push(projects=created(late))
    assert tablet.pull()["projects"] == created(bare(late))
    assert tablet.pulled_at > before


def test_an_account_without_changes_has_a_clock_above_zero(account: Account) -> None:
    """The stock client refuses a timestamp of 0."""
    answer = account.first.ask_pull(None)
    assert answer.json["timestamp"] > 0
    assert account.first.ask_pull(answer.json["timestamp"]).json["timestamp"] > 0


def test_a_clock_from_before_a_restore_raises_ours(account: Account) -> None:
    """Contract pull 1: nothing pushed later is missed by the device that has seen more."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(project()))
    tablet.pulled_at = clock.now_ms() + 3_600_000
    ahead = tablet.pulled_at
    assert tablet.pull()["projects"] == NOTHING
    assert tablet.pulled_at == ahead
    late = project()
    phone.push(projects=created(late))
    assert tablet.pull()["projects"] == created(bare(late))


def test_a_pushs_clock_from_before_a_restore_raises_ours(account: Account) -> None:
    """Contract pull 1, for a push, even one that changes nothing."""
    phone, tablet = account.first, account.device()
    tablet.pulled_at = ahead = clock.now_ms() + 3_600_000
    assert tablet.push() == ahead
    late = project()
    phone.push(projects=created(late))
    assert tablet.pull()["projects"] == created(bare(late))


@pytest.mark.parametrize("call", ["pull", "push"])
def test_a_clock_more_than_a_day_ahead_is_refused(account: Account, call: str) -> None:
    """Contract pull 1."""
    account.first.pulled_at = clock.now_ms() + DAY_MS + 60_000
    ask = {
        "pull": lambda: account.first.ask_pull(account.first.pulled_at),
        "push": lambda: account.first.ask_push({"projects": created(project())}),
    }[call]
    answer = ask()
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["lastPulledAt"]
    assert account.device().records("projects") == {}


@NO_DATABASE
@pytest.mark.parametrize("wrong", [-1, 1.5, True, "soon", [], {}])
def test_a_wrong_clock_is_named(account: Account, wrong: object) -> None:
    answer = account.first.ask_pull(wrong)  # type: ignore[arg-type]
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["lastPulledAt"])


def test_accounts_never_see_each_others_records(account: Account) -> None:
    """Contract push 11."""
    other = Account(account.app)
    home = project()
    account.first.push(projects=created(home))
    theirs = home | {"name": "Theirs"}
    other.first.push(projects=created(theirs))
    assert account.first.records("projects") == {home["id"]: bare(home)}
    other.first.push(projects=deleted(home["id"]))
    assert account.first.records("projects") == {home["id"]: bare(home)}
    assert other.first.records("projects") == {}


def an_account_of_today(account: Account) -> int:
    """When it was opened, in ms."""
    opened = datetime.fromisoformat(account.user["created_at"])
    return int(opened.timestamp() * 1000)


@pytest.mark.parametrize("more", [{}, {"limit": 10}, {"replacement": True}])
def test_a_clock_of_another_server_is_told_apart(account: Account, more: dict[str, Any]) -> None:
    """Contract pull 1: whatever was asked beside it, and also where nothing has been pushed."""
    opened = an_account_of_today(account)
    answer = account.first.ask_pull(opened - DAY_MS - 1, **more)
    assert (answer.status_code, answer.json["code"]) == (409, "foreign_clock")
    account.first.push(projects=created(project()))
    for foreign in (1, opened - DAY_MS - 1):
        answer = account.first.ask_pull(foreign, **more)
        assert (answer.status_code, answer.json["code"]) == (409, "foreign_clock")
        query = f"?last_pulled_at={foreign}&schema_version=1&migration=null"
        assert account.first.call("GET", f"/sync/pull{query}").status_code == 409
    assert account.first.ask_pull(opened - DAY_MS, **more).status_code == 200


def test_a_push_with_a_clock_of_another_server_stores(account: Account) -> None:
    """Contract pull 1 speaks of pulls: a push keeps what it brings."""
    home = project()
    account.first.pulled_at = 1
    account.first.push(projects=created(home))
    assert account.first.records("projects").keys() == {home["id"]}
