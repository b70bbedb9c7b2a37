"""What a rule of the app must not be able to do, by accident or when it catches its own mistakes
(contract push 10)."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from devices import Account, created, edited, project, updated
from sqlalchemy import (
    Column,
    Executable,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    event,
    func,
    insert,
    literal_column,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import OperationalError

from melon_api.logic import Changes, before_push, registry
from melon_api.models.base import db
from melon_api.models.session import Session
from melon_api.models.user import User
from tests.example.models import Project, Task

PROJECTS: Table = Project.__table__
TASKS: Table = Task.__table__
STATS = Table(  # the app's own, which does not sync
    "app_stats",
    MetaData(),
    Column("user_id", String(36), primary_key=True),
    Column("count", Integer),
)
COUNT = select(func.count(Task.id))


@pytest.fixture(autouse=True)
def no_rules_afterwards() -> Iterator[None]:
    yield
    registry.rules.clear()


def fails(account: Account, caplog: pytest.LogCaptureFixture, statement: Executable) -> str:
    """What the log says of a rule that executes it."""
    before_push(Project)(lambda projects: projects.account.execute(statement) and None)
    answer = account.first.ask_push({"projects": created(project())})
    assert answer.status_code == 500
    registry.rules.clear()
    assert account.first.records("projects") == {}
    return caplog.text


SELECTS: list[Callable[[], Executable]] = [
    lambda: select(PROJECTS),
    lambda: select(PROJECTS.alias().c.name),
    lambda: select(func.count()).select_from(PROJECTS.alias()),
    lambda: select(func.count()).select_from(PROJECTS.join(TASKS, true())),
    lambda: select(func.count()).select_from(PROJECTS.alias().join(TASKS.alias(), true())),
    lambda: select(select(PROJECTS.alias().c.name).subquery().c.name),
    lambda: select(Project.name).where(select(PROJECTS.alias().c.id).exists()),
]


@pytest.mark.parametrize("ask", SELECTS)
def test_no_table_is_read_past_its_model(
    account: Account, caplog: pytest.LogCaptureFixture, ask: Callable[[], Executable]
) -> None:
    """Contract push 10 and 11: whole, as an alias, in a join: that would be every account's."""
    assert "ask by models" in fails(account, caplog, ask())


ENGINES: list[Callable[[], Executable]] = [
    lambda: update(User).values(name="x"),
    lambda: delete(User),
    lambda: delete(Task),
    lambda: update(Task).values(title="x"),
    lambda: insert(Task).values(id="x"),
]


@pytest.mark.parametrize("change", ENGINES)
def test_what_is_the_engines_is_not_changed_past_it(
    account: Account, caplog: pytest.LogCaptureFixture, change: Callable[[], Executable]
) -> None:
    """Contract push 10: neither what syncs, by its model, nor accounts."""
    text_of_log = fails(account, caplog, change())
    assert "the engine's own" in text_of_log or "records that sync" in text_of_log


BESIDE: list[Callable[[], Executable]] = [
    lambda: update(STATS).values(count=COUNT.scalar_subquery()),
    lambda: update(STATS).values(count=literal_column("(SELECT COUNT(*) FROM tasks)")),
    lambda: update(STATS).values(count=Task.created_at),
    lambda: delete(STATS).where(STATS.c.user_id.in_(select(Task.id))),
    lambda: delete(STATS).where(STATS.c.user_id == Task.user_id),
    lambda: delete(STATS).where(text("1 = 1")),
    lambda: insert(STATS).from_select(["user_id"], select(Task.title)),
    lambda: insert(STATS).values(count=COUNT.scalar_subquery()),
    lambda: insert(STATS).values([{"user_id": "x", "count": COUNT.scalar_subquery()}]),
]


@pytest.mark.parametrize("change", BESIDE)
def test_a_change_of_an_own_table_reads_no_other(
    account: Account, caplog: pytest.LogCaptureFixture, change: Callable[[], Executable]
) -> None:
    """Contract push 10 and 11: nothing narrows what it would read there."""
    assert "look them up first" in fails(account, caplog, change())


STRANGERS: list[Callable[[str], Executable]] = [
    lambda _own: insert(STATS).values(user_id="other", count=1),
    lambda _own: insert(STATS).values({STATS.c.user_id: "other"}),
    lambda own: insert(STATS).values([{"user_id": own}, {"user_id": "other"}]),
    lambda _own: insert(STATS).values([("other", 1)]),
    lambda _own: insert(STATS).values(("other", 1)),
    lambda _own: insert(STATS).values(count=1),
    lambda _own: insert(STATS).values([{"count": 1}]),
    lambda _own: insert(STATS).values(user_id=func.lower("OTHER")),
    lambda _own: insert(STATS),
    lambda _own: insert(Session).values(user_id="other"),
    lambda own: mysql.insert(STATS).values(user_id=own).on_duplicate_key_update(count=5),
    lambda own: sqlite.insert(STATS).values(user_id=own).on_conflict_do_update(set_={"count": 5}),
    lambda own: insert(STATS).prefix_with("OR REPLACE").values(user_id=own),
    lambda _own: update(STATS).values(user_id="other"),
    lambda _own: update(STATS).ordered_values((STATS.c.user_id, "other")),
]


@pytest.mark.parametrize("change", STRANGERS)
def test_a_row_is_never_made_anothers(
    account: Account, caplog: pytest.LogCaptureFixture, change: Callable[[str], Executable]
) -> None:
    """Contract push 10 and 11: nor is another's written over by one that is this account's."""
    said = fails(account, caplog, change(account.user["id"]))
    assert "this account's alone" in said or "look them up first" in said


def test_an_own_table_is_changed_for_this_account_alone(account: Account) -> None:
    """Contract push 10."""

    @before_push(Project)
    def count(projects: Changes) -> None:
        mine = projects.account
        mine.execute(insert(STATS).values([{"user_id": mine.id, "count": 1}]))
        mine.execute(update(STATS).values(count=STATS.c.count + 1))
        mine.execute(update(STATS).values(user_id=mine.id))

    with account.app.app_context(), db.engine.begin() as connection:
        STATS.create(connection)
        connection.execute(STATS.insert().values(user_id="other", count=1))
    account.first.push(projects=created(project()))
    with account.app.app_context(), db.engine.begin() as connection:
        counts = {row[0]: row[1] for row in connection.execute(select(STATS))}
        STATS.drop(connection)
    assert counts == {"other": 1, account.user["id"]: 2}


def test_a_mistake_that_a_rule_catches_is_that_one_alone(account: Account) -> None:
    """Contract push 7 and 10: what it writes after it is stored, and told."""
    phone, home = account.first, project()

    @before_push(Project)
    def catches(projects: Changes) -> None:
        with pytest.raises(ValueError, match="No record 'nobody'"):
            projects.account.save(Task, {"title": "x", "project_id": "nobody"})
        for one in projects.created:
            one["description"] = "fine"

    assert phone.push(projects=created(home)) is None
    assert phone.records("projects")[home["id"]]["description"] == "fine"


def test_one_save_of_the_same_record_twice_keeps_both(account: Account) -> None:
    """Contract push 10."""

    @before_push(Project)
    def twice(projects: Changes) -> None:
        one, other = {"id": "one", "name": "N"}, {"id": "one", "description": "D"}
        projects.account.save(Project, one, other)

    account.first.push(projects=created(project()))
    stored = account.first.records("projects")["one"]
    assert (stored["name"], stored["description"]) == ("N", "D")


@pytest.mark.parametrize(
    "values", [{"name": "half \ud83d"}, {"id": "x"}, {"_status": "x"}, {"_changed": "x"}]
)
def test_what_no_column_holds_is_said_where_it_is_set(
    account: Account, caplog: pytest.LogCaptureFixture, values: dict[str, Any]
) -> None:
    """Contract push 10: the log names the rule, and nothing is left out in silence."""

    @before_push(Project)
    def sets(projects: Changes) -> None:
        projects.created[0].update(values)

    answer = account.first.ask_push({"projects": created(project())})
    assert answer.status_code == 500
    assert "sets" in caplog.text and "ValueError" in caplog.text
    registry.rules.clear()
    assert account.first.records("projects") == {}


def test_a_deadlock_that_a_rule_catches_is_tried_again(account: Account) -> None:
    """Contract push 1 and 10: the database has undone the transaction, the account's lock too."""
    phone, home, tries = account.first, project(), list[int]()

    def deadlock(*_: Any) -> None:
        if tries == [1]:
            tries.append(2)
            raise OperationalError("SELECT", {}, Exception(1213, "Deadlock found"))

    @before_push(Project)
    def catches_all(projects: Changes) -> None:
        tries.append(len(tries) + 1)
        with contextlib.suppress(Exception):
            projects.account.scalar(COUNT)

    with account.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", deadlock)
    try:
        phone.push(projects=created(home))
    finally:
        event.remove(engine, "before_cursor_execute", deadlock)
    assert tries == [1, 2, 3]
    assert list(phone.records("projects")) == [home["id"]]


def test_what_was_altered_may_be_edited_back(account: Account) -> None:
    """Contract push 3 and 10: before the phone was told; what it sent first is an edit then."""
    phone, home = account.first, project(name="A")
    before_push(Project)(
        lambda projects: [p.update({"name": "B"}) for p in projects.created] and None
    )
    phone.push(projects=created(home))
    for name in ("C", "A"):
        phone.push(projects=updated(edited(home, name=name)))
        assert phone.records("projects")[home["id"]]["name"] == name
