"""Who is told that it is up to date after its push (contract push 7), known by the newest run."""

from typing import Any

import pytest
from devices import Account, Device, created, deleted, edited, new_id, project, updated
from sqlalchemy import text
from sqlalchemy.engine.base import RootTransaction
from sqlalchemy.exc import OperationalError

from melon_api.logic import changes
from melon_api.models.base import db
from melon_api.sync.rules.history import Run
from melon_api.sync.sql import clock
from melon_api.sync.sql.purge import purge
from tests.example.models import Project


@pytest.fixture
def pair(account: Account) -> tuple[Device, Device]:
    """With one project."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(project(id="home")))
    for device in (phone, tablet):
        device.pull()
    return phone, tablet


def holds(device: Device) -> set[str]:
    return set(device.records("projects"))


def of_the_release_before(account: Account) -> Any:
    """Moves the clock, logs its push, and knows nothing of runs."""
    with account.app.app_context(), db.engine.begin() as connection:
        mine = {"id": account.user["id"]}
        tick = (
            connection.scalar(text("SELECT last_modified_at FROM users WHERE id = :id"), mine) + 9
        )
        moved = "UPDATE users SET last_modified_at = :tick WHERE id = :id"
        connection.execute(text(moved), mine | {"tick": tick})
        logged = "INSERT INTO sync_pushes (user_id, clock, device, session, as_sent)"
        connection.execute(text(f"{logged} VALUES (:id, :tick, 7, 8, 1)"), mine | {"tick": tick})
    return tick


def is_trusted_by_the_release_before(account: Account, since: int) -> bool:
    """Its log has all that was pushed after `since`."""
    with account.app.app_context(), db.engine.connect() as connection:
        query = text("SELECT log_purged_at_ms FROM users WHERE id = :id")
        return bool(since >= connection.scalar(query, {"id": account.user["id"]}))


def test_sessions_that_alternate_are_each_told_to_pull(pair: tuple[Device, Device]) -> None:
    phone, tablet = pair
    since = phone.pulled_at
    for one in (phone, tablet, phone, tablet):
        one.pulled_at = since
        one.push(projects=created(project()))
    for one in pair:
        one.pulled_at = since
        assert one.push(projects=created(project())) is None
        assert one.pull()["projects"]["created"]
        assert one.push(projects=created(project())) is not None


def test_a_session_that_lost_its_answers_is_not_told_to_pull(pair: tuple[Device, Device]) -> None:
    """Its lastPulledAt is that of long ago, and all since was its own."""
    phone, _ = pair
    since = phone.pulled_at
    for _ in range(3):
        phone.pulled_at = since
        assert phone.push(projects=created(project())) is not None


def test_what_was_not_stored_as_sent_is_pulled_first(pair: tuple[Device, Device]) -> None:
    phone, _ = pair
    since = phone.pulled_at
    assert phone.push(projects=created(project(id="odd", name=7))) is None
    assert phone.push(projects=created(project())) is None
    assert phone.pull()["projects"]["updated"][0]["id"] == "odd"
    assert phone.push(projects=created(project())) is not None
    phone.pulled_at = since
    assert phone.push(projects=created(project())) is None


def test_what_the_server_wrote_is_pulled_first(
    pair: tuple[Device, Device], account: Account
) -> None:
    """Contract, The server's own changes."""
    phone, _ = pair
    with account.app.app_context(), changes(account.user["id"]) as own:
        own.save(Project, {"id": "home", "name": "of the server"})
    assert phone.push(projects=created(project())) is None
    assert phone.pull()["projects"]["updated"][0]["name"] == "of the server"
    assert phone.push(projects=created(project())) is not None


def test_a_push_that_changes_nothing_begins_no_run(pair: tuple[Device, Device]) -> None:
    phone, tablet = pair
    since = phone.pulled_at
    phone.push(projects=created(project()))
    tablet.push(projects=deleted(new_id()))
    phone.pulled_at = since
    assert phone.push(projects=created(project())) is not None


def test_a_raised_clock_hides_nobodys_push(pair: tuple[Device, Device]) -> None:
    """Of an account that was restored from a backup (contract pull 1)."""
    phone, tablet = pair
    since = phone.pulled_at
    tablet.push(projects=created(project(id="other")))
    assert tablet.ask_pull(tablet.pull() and tablet.pulled_at + 1_000).status_code == 200
    phone.pulled_at = since
    assert phone.push(projects=created(project())) is None
    assert "other" in {record["id"] for record in phone.pull()["projects"]["created"]}
    tablet.pulled_at += 5_000
    assert tablet.push(projects=created(project())) is not None


@pytest.mark.parametrize("name", ["home of both", 7])  # stored as sent, and not
def test_a_raised_clock_is_nobodys_push(pair: tuple[Device, Device], name: Any) -> None:
    """Contract push 7 and pull 1: two devices come from before a restore, the one further ahead,
    and none has changed anything since; who pushed last does not matter."""
    phone, tablet = pair
    since = tablet.pulled_at
    tablet.push(projects=created(project(id="other", name=name)))
    tablet.pull()
    for device, ahead in ((phone, 1_000), (tablet, 2_000)):
        device.pulled_at = tablet.pulled_at + ahead
        device.pull()
    assert phone.pulled_at < tablet.pulled_at
    known = phone.pulled_at
    assert phone.push(projects=created(project())) is not None
    phone.pulled_at = known
    assert phone.push(projects=created(project())) is not None
    tablet.pulled_at = since
    assert tablet.push(projects=created(project())) is None


def test_a_session_has_had_its_own_pushes_whoever_raised_the_clock(
    pair: tuple[Device, Device],
) -> None:
    """Contract push 7 and pull 1."""
    phone, tablet = pair
    since = tablet.pulled_at
    assert tablet.push(projects=created(project(id="other"))) is not None
    phone.pulled_at = tablet.pulled_at + 1_000
    phone.pull()
    tablet.pulled_at = since
    assert tablet.push(projects=created(project())) is not None


def test_a_purge_hides_nobodys_push(pair: tuple[Device, Device], account: Account) -> None:
    phone, tablet = pair
    tablet.push(projects=updated(edited(project(id="home"), name="x")))
    with account.app.app_context():
        purge(db.engine, tablet.pull() and tablet.pulled_at + 1)
    assert phone.push(projects=created(project())) is None
    assert phone.pull()["projects"]["updated"][0]["name"] == "x"


def test_a_push_of_the_release_before_is_no_part_of_a_run(
    pair: tuple[Device, Device], account: Account
) -> None:
    """Which serves beside this one while it is deployed."""
    phone, _ = pair
    since = phone.pulled_at
    assert phone.push(projects=created(project())) is not None
    of_the_release_before(account)
    phone.pulled_at = since
    assert phone.push(projects=created(project())) is None
    phone.pull()
    since = phone.pulled_at
    assert phone.push(projects=created(project())) is not None
    phone.pulled_at = since
    assert phone.push(projects=created(project())) is not None


def test_the_release_before_knows_that_its_log_lacks_ours(
    pair: tuple[Device, Device], account: Account
) -> None:
    phone, tablet = pair
    since = tablet.pulled_at
    phone.push(projects=created(project()))
    assert not is_trusted_by_the_release_before(account, since)
    phone.pull()
    of_the_release_before(account)
    assert is_trusted_by_the_release_before(account, phone.pulled_at)


def test_a_purge_of_its_log_is_told_to_the_release_before(account: Account) -> None:
    tick = of_the_release_before(account)
    with account.app.app_context():
        assert purge(db.engine, tick + 1, dry_run=True).notes >= 1
        assert is_trusted_by_the_release_before(account, 0)
        assert purge(db.engine, tick + 1).notes >= 1
        assert not is_trusted_by_the_release_before(account, tick - 1)
        assert purge(db.engine, tick + 1).notes == 0


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("later", [0, 5])
def test_a_lost_commit_behind_which_another_process_stored_a_push(
    pair: tuple[Device, Device],
    account: Account,
    monkeypatch: Any,
    is_committed: bool,
    later: int,
) -> None:
    """Contract push 1 and Errors 6: 503 only where it is certain that nothing was stored. Of the
    same clock ours would have left no room for it."""
    phone, tablet = pair
    commit, rollback = RootTransaction.commit, RootTransaction.rollback
    mine = {"id": account.user["id"]}

    def broken(self: RootTransaction) -> None:
        query = "SELECT updated_at_ms FROM projects WHERE user_id = :id AND id = 'mine'"
        tick = self.connection.scalar(text(query), mine) + later
        (commit if is_committed else rollback)(self)
        monkeypatch.undo()
        if later or not is_committed:
            with account.app.app_context(), db.engine.begin() as connection:
                clock.write(connection, account.user["id"], tick, Run(8, tick - later - 1))
        raise OperationalError("COMMIT", {}, Exception(2013, "lost"), connection_invalidated=True)

    monkeypatch.setattr(RootTransaction, "commit", broken)
    answer = phone.ask_push({"projects": created(project(id="mine"))})
    assert ("mine" in holds(tablet)) == is_committed
    certain = 200 if is_committed else 503
    assert answer.status_code == (500 if later else certain)
    assert phone.ask_push({"projects": created(project(id="mine"))}).status_code == 200
    assert "mine" in holds(tablet)
