"""Run inside a copy of the project, in its `app/tests/`: a phone of melon_api.testing does what
WatermelonDB does, and a server is each test's own.

Not collected by itself; `test_plugin.py` runs it there, on each database.
"""

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.models import Project, Task
from melon_api.errors import SyncConflict, UnknownParent, ValidationFailed
from melon_api.events import Event, GiveUp, after
from melon_api.events.registry import jobs
from melon_api.logic import changes
from melon_api.models import db
from melon_api.models.user import User
from melon_api.testing import JobFailed, NewPhone, Phone, ProtocolWarning, RunCommand, Tell

APPS: list[Flask] = []


@pytest.fixture
def told() -> Iterator[list[Event]]:
    """What two jobs are told, the second because of the first; no job outlives its test."""
    seen: list[Event] = []

    @after(Project)
    def furnish(event: Event) -> None:
        seen.append(event)
        if any(one["name"] == "broken" for one in event.records()):
            raise ValueError("it is broken")
        if any(one["name"] == "hopeless" for one in event.records()):
            raise GiveUp("it is hopeless")
        with changes(event.account_id) as account:
            for project_id in event.created:
                account.save(Task, {"id": f"t-{project_id}", "project_id": project_id})

    after(Task)(seen.append)
    yield seen
    jobs.clear()


def home_of(phone: Phone) -> str:
    home = phone.create(Project, name="Home")
    phone.sync()
    return home.id


def in_step(*phones: Phone) -> None:
    for phone in (*phones, *phones):
        phone.sync()
    held = [{r.id: r.raw for m in (Project, Task) for r in p.records(m)} for p in phones]
    assert all(one == held[0] for one in held)


@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_begins_with_an_empty_database_of_the_same_application(
    app: Flask, phone: NewPhone, turn: int
) -> None:
    APPS.append(app)
    assert app is APPS[0]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 0
    assert app.config["SYNC_CONFLICT_POLICY"] == "last_write_wins"
    app.config["SYNC_CONFLICT_POLICY"] = "reject"
    ada = phone("ada")
    home_of(ada)
    assert len(ada.records(Project)) == 1


def test_phones_are_of_one_account_or_of_others(phone: NewPhone) -> None:
    ada, tablet, bob = phone("ada"), phone("ada", "tablet"), phone("bob@example.com")
    assert phone("ada") is ada is phone("ada@example.com") and phone("bob") is bob
    assert ada.account_id == tablet.account_id != bob.account_id
    home = home_of(ada)
    in_step(ada, tablet)
    bob.sync()
    assert tablet.get(Project, home) and not bob.get(Project, home)


def test_an_edit_is_pushed_with_the_columns_it_changed(phone: NewPhone) -> None:
    ada = phone("ada")
    task = ada.create(Task, title="Paint", project_id=home_of(ada))
    assert task.raw["_status"] == "created" and task.raw["_changed"] == ""
    ada.update(task, title="Sand")
    assert (task.raw["_status"], task["description"]) == ("created", None)
    ada.sync()
    assert task.is_synced and task.raw["_changed"] == ""
    ada.update(task, title="Sand", updated_at=task["updated_at"])
    assert task.is_synced
    time.sleep(0.002)
    before = task["updated_at"]
    ada.update(task, is_completed=True, title="Sand")
    assert (task.raw["_status"], task.raw["_changed"]) == ("updated", "updated_at,is_completed")
    assert task["updated_at"] > before


def test_a_deletion_wins_and_takes_what_hangs_under_it(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = home_of(ada)
    task = ada.create(Task, title="Paint", project_id=home)
    in_step(ada, tablet)
    ada.update(task, title="Sand")
    tablet.delete(tablet.get(Project, home))
    assert tablet.get(Project, home) is None and tablet.get(Task, task.id) is not None
    tablet.sync()
    in_step(ada, tablet)
    assert ada.records(Task) == ada.records(Project) == []
    with pytest.raises(ValueError, match="not on this phone"):
        ada.update(task, title="Again")
    with pytest.raises(ValueError, match="not on this phone"):
        ada.delete(task)


def test_what_is_deleted_here_is_not_brought_back_by_an_edit_there(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = home_of(ada)
    in_step(ada, tablet)
    ada.delete(ada.get(Project, home))
    tablet.update(tablet.get(Project, home), name="House")
    tablet.sync()
    ada.pull()
    assert ada.records(Project) == []
    in_step(ada, tablet)
    assert tablet.records(Project) == []


def test_lost_answers_double_nothing(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = ada.create(Project, name="Home")
    ada.sync(lose_answer=True)
    assert not home.is_synced
    assert ada.pull(lose_answer=True)["projects"]["created"] == []
    ada.update(home, name="House")
    in_step(ada, tablet)
    (there,) = tablet.records(Project)
    assert (there.id, there["name"], home["name"]) == (home.id, "House", "House")


def test_a_conflict_of_the_policy_reject_is_raised(app: Flask, phone: NewPhone) -> None:
    app.config["SYNC_CONFLICT_POLICY"] = "reject"
    ada, tablet = phone("ada"), phone("ada", "tablet")
    home = home_of(ada)
    in_step(ada, tablet)
    ada.update(ada.get(Project, home), name="A")
    tablet.update(tablet.get(Project, home), name="B")
    ada.pull()
    tablet.sync()
    with pytest.raises(SyncConflict) as conflict:
        ada.push()
    assert conflict.value.errors == {"projects": [home]}
    in_step(ada, tablet)
    assert tablet.get(Project, home)["name"] == "A"


def test_each_reason_is_at_its_record(phone: NewPhone) -> None:
    ada = phone("ada")
    long = ada.create(Project, name="x" * 256)
    under = ada.create(Task, title="Paint", project_id=long.id)
    orphan = ada.create(Task, title="Sand", project_id="nowhere")
    good = ada.create(Project, name="Home")
    with pytest.raises(ValidationFailed, match="cannot be kept whole"):
        ada.sync()
    assert "name" in ada.errors_of(long) and ada.errors_of(good) is None
    ada.sync(partial=True)
    assert ada.rejected["projects"] == {long.id: "validation_failed"}
    assert ada.rejected["tasks"].keys() == {under.id, orphan.id}
    assert "project_id" in ada.errors_of(orphan)
    assert [r.is_synced for r in (long, under, orphan, good)] == [False, False, False, True]
    ada.update(long, name="short")
    ada.delete(orphan)
    ada.sync()
    assert ada.rejected == {} and ada.errors_of(long) is None and under.is_synced


def test_an_error_says_where_it_came_from(phone: NewPhone) -> None:
    ada = phone("ada")
    ada.create(Task, title="Sand", project_id="nowhere")
    with pytest.raises(UnknownParent) as unknown:
        ada.sync()
    assert "/sync/push answered 422" in unknown.value.__notes__[0]


def test_one_id_made_twice_is_a_complaint(phone: NewPhone) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    for one, name in ((ada, "A"), (tablet, "B")):
        one.create(Project, id="settings", name=name)
    ada.sync()
    with pytest.warns(ProtocolWarning, match="which is here already"):
        tablet.sync()
    in_step(ada, tablet)
    assert tablet.get(Project, "settings")["name"] == "A"


def test_after_a_purge_all_is_replaced_but_what_is_new_here(
    phone: NewPhone, flask: RunCommand
) -> None:
    ada, tablet = phone("ada"), phone("ada", "tablet")
    gone, home = home_of(ada), home_of(ada)
    in_step(ada, tablet)
    mine = tablet.create(Task, title="Mine", project_id=home)
    ada.delete(ada.get(Project, gone))
    ada.sync()
    flask("sync", "purge", "--older-than", "0m")
    tablet.pull()
    assert [one.id for one in tablet.records(Project)] == [home]
    assert tablet.get(Task, mine.id) is mine
    in_step(ada, tablet)
    assert ada.get(Task, mine.id)["title"] == "Mine"


def test_slips_of_a_test_are_told(phone: NewPhone, flask: RunCommand) -> None:
    ada = phone("ada")
    home = ada.create(Project, name="Home")
    for wrong in ({"titel": "x"}, {"title": None}, {"title": 1}, {"is_completed": 1}):
        with pytest.raises(TypeError, match="tasks"):
            ada.create(Task, **wrong)
    for wrong in ({"created_at": "now"}, {"created_at": True}, {"created_at": float("nan")}):
        with pytest.raises(TypeError, match="takes a number"):
            ada.update(home, **wrong)
    with pytest.raises(TypeError, match="takes a string"):
        ada.create(Task, project_id=home)
    with pytest.raises(TypeError, match="no column 'titel'"):
        ada.records(Task, titel="x")
    with pytest.raises(ValueError, match="does not sync"):
        ada.create(User, name="Ada")
    with pytest.raises(ValueError, match="phone already"):
        ada.create(Project, id=home.id)
    with pytest.raises(ValueError, match="not on this phone"):
        phone("ada", "tablet").update(home, name="x")
    with pytest.raises(AssertionError, match="flask users nonsense: "):
        flask("users", "nonsense")
    assert (home["name"], ada.records(Task)) == ("Home", [])


def test_jobs_are_told_in_place(phone: NewPhone, told: list[Event], events: Tell) -> None:
    ada = phone("ada")
    home = home_of(ada)
    assert told == []
    events()
    assert [event.created for event in told] == [[home], [f"t-{home}"]]
    events()
    assert len(told) == 2
    ada.sync()
    assert [task["project_id"] for task in ada.records(Task)] == [home]


def test_a_job_that_fails_fails_the_test(phone: NewPhone, told: list[Event], events: Tell) -> None:
    """It is told again without a pause, and not when it gave up."""
    ada = phone("ada")
    broken = ada.create(Project, name="broken")
    ada.sync()
    for _ in range(2):
        with pytest.raises(JobFailed, match="furnish: ValueError: it is broken"):
            events()
    ada.update(broken, name="whole")
    ada.sync()
    events()
    assert [event.clock for event in told[:3]] == [told[0].clock] * 3 != told[3].clock
    ada.create(Project, name="hopeless")
    ada.sync()
    with pytest.raises(JobFailed, match="furnish: GiveUp: it is hopeless"):
        events()
    count = len(told)
    events()
    assert len(told) == count


def test_what_was_to_be_told_ends_with_its_test(told: list[Event], events: Tell) -> None:
    """Whichever comes first."""
    events()
    assert told == []
