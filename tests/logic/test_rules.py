"""Rules of the app before a push is stored (contract push 10)."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import statements
from devices import (
    PASSWORD,
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
from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import aliased

from melon_api.logic import Changes, before_push, registry, run
from melon_api.logic import changes as changing
from melon_api.models.alteration import Alteration
from melon_api.models.base import db, now_ms
from melon_api.models.synced import Synced
from melon_api.sync.sql.purge import purge
from tests.example.models import Project, Task

REFUSED = 422, "refused"


@pytest.fixture(autouse=True)
def no_rules_afterwards() -> Iterator[None]:
    yield
    registry.rules.clear()


def asked(model: type[Synced] = Task) -> list[Changes]:
    """What a rule that does nothing is asked from now on."""
    seen: list[Changes] = []
    before_push(model)(seen.append)
    return seen


def ids(records: Any) -> list[str]:
    return sorted(record.id for record in records)


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json.get("code")


def refuse_long_titles(tasks: Changes) -> None:
    for one in tasks.saved:
        if len(one["title"]) > 5:
            one.refuse("Five letters at most.", "title")


# what a rule sees


def test_a_rule_sees_its_part_of_a_push_as_a_set(account: Account) -> None:
    """Contract push 10: created, updated, deleted, and what each was before."""
    phone, home = account.first, project()
    old, gone, same = (task(home["id"]) for _ in range(3))
    phone.push(projects=created(home), tasks=created(old, gone, same))
    seen = asked()
    new, edit = task(home["id"]), edited(old, title="Sand")
    tasks = {"created": [new], "updated": [edit, same], "deleted": [gone["id"], "unknown"]}
    phone.ask_push({"tasks": tasks}, appVersion="4.2")
    (changes,) = seen
    assert ids(changes.created) == [new["id"]]
    assert (ids(changes.updated), ids(changes.deleted)) == ([old["id"]], [gone["id"]])
    assert changes.created[0].before == {} and changes.created[0]["title"] == "Paint"
    edited_one = changes.updated[0]
    assert (edited_one.before["title"], edited_one["title"]) == ("Paint", "Sand")
    assert changes.deleted[0]["title"] == "Paint" and changes.deleted[0].is_deleted
    assert ids(changes.saved) == sorted([new["id"], old["id"]])
    assert changes.account.id == account.user["id"]
    assert changes.account.app_version == "4.2" and changes.account.session_id


def test_it_sees_what_the_merge_made_of_it(account: Account) -> None:
    """Contract push 3 and 10: of an edited record the columns that another device left alone."""
    phone, tablet, home = account.first, account.device(), project(name="A")
    phone.push(projects=created(home))
    tablet.pull()
    tablet.push(projects=updated(edited(home, name="B")))
    seen = asked(Project)
    phone.push(projects=updated(edited(home, description="C")))
    ((one,),) = [changes.updated for changes in seen]
    assert (one["name"], one["description"]) == ("B", "C")


def test_it_is_not_asked_about_nothing(account: Account) -> None:
    """Contract push 1 and 10: what is the same, unknown, deleted already, or of other tables."""
    phone, home = account.first, project()
    gone = task(home["id"])
    phone.push(projects=created(home), tasks=created(gone))
    phone.push(tasks=deleted(gone["id"]))
    seen = asked()
    phone.push(projects=updated(edited(home, name="B"), project()))
    phone.push(tasks={"created": [], "updated": [gone], "deleted": ["unknown", gone["id"]]})
    made_and_deleted = task(home["id"])
    phone.push(
        tasks={"created": [made_and_deleted], "updated": [], "deleted": [made_and_deleted["id"]]}
    )
    assert seen == []


def test_it_sees_what_goes_because_its_parent_does(account: Account) -> None:
    """Contract push 4 and 10: no way around a rule; and what is moved away in time stays."""
    phone, home, other = account.first, project(), project()
    stays, goes, new = (task(home["id"]) for _ in range(3))
    phone.push(projects=created(home, other), tasks=created(stays, goes))
    seen = asked()
    moved = edited(stays, project_id=other["id"])
    phone.push(projects=deleted(home["id"]), tasks={**updated(moved), "created": [new]})
    (changes,) = seen
    assert ids(changes.deleted) == [goes["id"]]
    assert ids(changes.updated) == [stays["id"]] and changes.created == []
    assert list(phone.records("tasks")) == [stays["id"]]


# refusals


def test_a_refused_record_is_named_with_the_rules_own_words(account: Account) -> None:
    """Contract push 10, Errors 2: nothing is stored, and it may be sent again."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    before_push(Task)(refuse_long_titles)
    good, bad = task(home["id"]), task(home["id"], title="Wallpaper")
    for _ in range(2):
        answer = phone.ask_push({"projects": created(project()), "tasks": created(good, bad)})
        assert code(answer) == REFUSED
        said = {"title": ["Five letters at most."]}
        assert answer.json["errors"] == {"changes": {"tasks": {"created": {"1": said}}}}
        assert list(phone.records("projects")) == [home["id"]] and phone.records("tasks") == {}
    phone.push(tasks=created(good, bad | {"title": "Paper"}))
    assert len(phone.records("tasks")) == 2


def test_a_record_is_refused_as_a_whole(account: Account) -> None:
    """Contract push 10: where no column is to blame; by two rules, each of which is heard."""
    phone, home = account.first, project()

    @before_push(Project)
    def never(projects: Changes) -> None:
        for one in projects.saved:
            one.refuse("Not today.")

    @before_push(Project)
    def nor_so(projects: Changes) -> None:
        for one in projects.saved:
            one.refuse("Too short.", "name")
            one.refuse("Too plain.", "name")
            one.refuse("Not today.")

    answer = phone.ask_push({"projects": updated(home)})
    said = {"": ["Not today."], "name": ["Too short.", "Too plain."]}
    assert answer.json["errors"]["changes"] == {"projects": {"updated": {"0": said}}}


def test_all_422s_of_a_push_at_once(account: Account) -> None:
    """Contract, Errors 4: the rules are asked about the good part of a push as well."""
    phone, home = account.first, project()
    before_push(Task)(refuse_long_titles)
    tasks = [
        task(home["id"], title="Wallpaper"),
        task("nobody"),
        task(home["id"], title="x" * 256),
    ]
    for count, expected in ((3, "validation_failed"), (2, "refused")):
        answer = phone.ask_push({"projects": created(home), "tasks": created(*tasks[:count])})
        assert code(answer) == (422, expected)
        assert len(answer.json["errors"]["changes"]["tasks"]["created"]) == count
    assert phone.records("projects") == {}


def test_a_409_only_where_no_rule_refuses(account: Account, settings_of: Any) -> None:
    """Contract, Errors 4 and push 3."""
    settings_of(SYNC_CONFLICT_POLICY="reject")
    phone, tablet, home = account.first, account.device(), project()
    phone.push(projects=created(home))
    tablet.pull()
    tablet.push(projects=updated(edited(home, name="B")))
    before_push(Task)(refuse_long_titles)
    mine = {"projects": updated(edited(home, name="C"))}
    bad = task(home["id"], title="Wallpaper")
    assert code(phone.ask_push(mine | {"tasks": created(bad)})) == REFUSED
    assert code(phone.ask_push(mine)) == (409, "sync_conflict")
    answer = phone.ask_push(mine | {"tasks": created(bad)}, allowPartial=True)
    refused = {"projects": {home["id"]: "sync_conflict"}, "tasks": {bad["id"]: "refused"}}
    assert answer.json["rejected"] == refused


def test_a_partial_push_leaves_the_refused_out(account: Account) -> None:
    """Contract push 6 and 10: and what descends from it, the rest is stored."""
    phone, good, bad = account.first, project(), project(name="bad")

    @before_push(Project)
    def no_bad_ones(projects: Changes) -> None:
        for one in projects.saved:
            if one["name"] == "bad":
                one.refuse("Bad.")

    kept, child = task(good["id"]), task(bad["id"])
    changes = {"projects": created(bad, good), "tasks": created(child, kept)}
    answer = phone.ask_push(changes, allowPartial=True)
    assert answer.json["timestamp"] is None
    assert answer.json["rejected"] == {
        "projects": {bad["id"]: "refused"},
        "tasks": {child["id"]: "unknown_parent"},
    }
    assert answer.json["experimentalRejectedIds"] == {
        "projects": [bad["id"]],
        "tasks": [child["id"]],
    }
    assert answer.json["errors"]["changes"]["projects"] == {"created": {"0": ["Bad."]}}
    assert list(phone.records("projects")) == [good["id"]]
    assert list(phone.records("tasks")) == [kept["id"]]


def test_of_a_partial_push_an_edit_is_refused_alone(account: Account) -> None:
    """Contract push 6 and 10: its child finds the parent as it was."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    before_push(Project)(lambda projects: [one.refuse("No.") for one in projects.updated])
    child = task(home["id"])
    changes = {"projects": updated(edited(home, name="B")), "tasks": created(child)}
    answer = phone.ask_push(changes, allowPartial=True)
    assert answer.json["rejected"] == {"projects": {home["id"]: "refused"}}
    assert phone.records("projects")[home["id"]]["name"] == "Home"
    assert list(phone.records("tasks")) == [child["id"]]


def test_a_deletion_is_refused_with_what_would_go_with_it(account: Account) -> None:
    """Contract push 4, 6 and 10: at the place of the deletion that was pushed."""
    phone, home, other = account.first, project(), project()
    kept, free = task(home["id"], is_completed=True), task(other["id"])
    phone.push(projects=created(home, other), tasks=created(kept, free))

    @before_push(Task)
    def keep_what_is_done(tasks: Changes) -> None:
        for one in tasks.deleted:
            if one["is_completed"]:
                one.refuse("It is done; keep it.")

    gone = {"projects": deleted(other["id"], home["id"])}
    answer = phone.ask_push(gone)
    assert code(answer) == REFUSED
    said = ["It is done; keep it."]
    assert answer.json["errors"] == {"changes": {"projects": {"deleted": {"1": said}}}}
    late = task(home["id"])  # under a parent that stays after all
    for changes in (gone, gone | {"tasks": {"deleted": [kept["id"]], "created": [late]}}):
        answer = phone.ask_push(changes, allowPartial=True)
    assert answer.json["rejected"] == {
        "projects": {home["id"]: "refused"},
        "tasks": {kept["id"]: "refused"},
    }
    assert list(phone.records("projects")) == [home["id"]]
    assert set(phone.records("tasks")) == {kept["id"], late["id"]}


def test_what_is_counted_for_a_partial_push_is_what_is_stored(account: Account) -> None:
    """Contract push 6 and 10: the rules begin anew without the refused, so no number is lost."""
    phone, home = account.first, project()

    @before_push(Task)
    def number(tasks: Changes) -> None:
        stored = tasks.account.scalar(select(func.count()).select_from(Task))
        for at, one in enumerate(tasks.created, stored + 1):
            one["description"] = f"{at}"

    before_push(Task)(refuse_long_titles)
    titles = ["One", "Wallpaper", "Two"]
    tasks = [task(home["id"], title=title) for title in titles]
    changes = {"projects": created(home), "tasks": created(*tasks)}
    answer = phone.ask_push(changes, allowPartial=True)
    assert answer.json["rejected"] == {"tasks": {tasks[1]["id"]: "refused"}}
    numbers = {one["title"]: one["description"] for one in phone.records("tasks").values()}
    assert numbers == {"One": "1", "Two": "2"}


# what a rule changes


def number_titles(tasks: Changes) -> None:
    for one in tasks.created:
        one["title"] = "1"
    for one in tasks.updated:
        one["title"] = one.before["title"]


def test_what_a_rule_sets_is_told_to_the_pushing_phone_too(account: Account) -> None:
    """Contract push 7 and 10: timestamp null, then `updated` at its next pull, once."""
    phone, tablet, home = account.first, account.device(), project()
    phone.push(projects=created(home))
    phone.pull(), tablet.pull()
    before_push(Task)(number_titles)
    new = task(home["id"])
    assert phone.push(tasks=created(new)) is None
    told = bare(new) | {"title": "1"}
    assert phone.pull()["tasks"] == updated(told)
    assert phone.pull()["tasks"] == updated()
    assert tablet.pull()["tasks"] == created(told)
    assert phone.push(tasks=updated(edited(told, title="mine"))) is None
    assert phone.pull()["tasks"] == updated(told)
    assert phone.push(tasks=updated(edited(told, description="?"))) is not None


def test_a_repeated_push_changes_nothing(account: Account) -> None:
    """Contract push 1 and 10: though the rule stored something else than was sent."""
    phone, home, new = account.first, project(), task("home")
    before_push(Task)(number_titles)
    seen = asked()
    changes = {"projects": created(home | {"id": "home"}), "tasks": created(new)}
    phone.ask_push(changes)
    clock = phone.ask_pull(None).json["timestamp"]
    for more in ({}, {"allowPartial": True}):
        answer = phone.ask_push(changes, **more)
        assert (answer.status_code, answer.json["timestamp"]) == (200, None)
        assert phone.ask_pull(None).json["timestamp"] == clock
    assert len(seen) == 1
    assert phone.records("tasks")[new["id"]]["title"] == "1"


@pytest.mark.parametrize("policy", ["last_write_wins", "reject"])
@pytest.mark.parametrize("changed", ["", "description"])
def test_what_was_altered_and_is_sent_again_with_an_edit_beside_it(
    account: Account, settings_of: Any, policy: str, changed: str
) -> None:
    """Contract push 1, 3 and 10: by a phone that has not been told yet, as its answer was lost."""
    settings_of(SYNC_CONFLICT_POLICY=policy)
    phone, home, new = account.first, project(), task("home")
    before_push(Task)(lambda tasks: [one.update({"title": "1"}) for one in tasks.created])
    phone.push(projects=created(home | {"id": "home"}), tasks=created(new))
    phone.push(tasks=updated(new | {"description": "more", "_changed": changed}))
    stored = phone.records("tasks")[new["id"]]
    assert (stored["title"], stored["description"]) == ("1", "more")
    phone.push(tasks=updated(edited(new, title="other")))
    assert phone.records("tasks")[new["id"]]["title"] == "other"


def test_what_was_altered_is_forgotten_with_the_log_and_the_account(account: Account) -> None:
    """Contract, Accounts 12."""
    phone, home = account.first, project()
    before_push(Task)(number_titles)
    phone.push(projects=created(home), tasks=created(task(home["id"])))
    with account.app.app_context():
        mine = select(func.count()).where(Alteration.user_id == account.user["id"])
        assert db.session.scalar(mine) == 1
        db.session.rollback()
        purge(db.engine, now_ms() + 10_000)
        assert db.session.scalar(mine) == 0
        db.session.rollback()
        phone.push(tasks=created(task(home["id"])))
        assert phone.call("DELETE", "/users/me", json={"password": PASSWORD}).status_code == 204
        assert db.session.scalar(mine) == 0
        db.session.rollback()


def test_what_a_rule_makes_deletes_and_changes_elsewhere(account: Account) -> None:
    """Contract pull 3, push 4, 7 and 10: through the same clock and cascade, as the server's."""
    phone, tablet, home, other = account.first, account.device(), project(), project()
    child = task(other["id"])
    phone.push(projects=created(home, other), tasks=created(child))
    phone.pull(), tablet.pull()

    @before_push(Project)
    def reorganise(projects: Changes) -> None:
        changed = projects.account
        changed.save(Task, {"id": "made", "title": "Made", "project_id": home["id"]})
        (found,) = changed.select(Project, Project.id == other["id"])
        found.delete()

    assert phone.push(projects=updated(edited(home, name="B"))) is None
    for device in (phone, tablet):
        told = device.pull()
        assert told["projects"]["deleted"] == [other["id"]]
        assert told["tasks"]["deleted"] == [child["id"]]
        assert [one["id"] for one in told["tasks"]["created"]] == ["made"]
    assert list(phone.records("tasks")) == ["made"]
    phone.push(tasks=deleted("made"))
    phone.pull()
    registry.rules.clear()
    before_push(Project)(lambda p: p.account.save(Task, {"id": "made", "title": "again"}))
    assert phone.push(projects=updated(edited(home, name="C"))) is not None
    assert phone.records("tasks") == {}  # a deleted id stays deleted


def test_what_a_rule_writes_is_anothers_change(account: Account) -> None:
    """Contract push 3 and 10: of a record that was not pushed, and is edited before a pull."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    phone.pull()

    @before_push(Task)
    def count(tasks: Changes) -> None:
        for one in tasks.account.get(
            Project, {new["project_id"] for new in tasks.created}
        ).values():
            one["description"] = "1 task"

    phone.push(tasks=created(task(home["id"])))
    phone.push(projects=updated(edited(home, name="B")))
    stored = phone.records("projects")[home["id"]]
    assert (stored["name"], stored["description"]) == ("B", "1 task")


def test_a_rule_deletes_what_is_pushed(account: Account) -> None:
    """Contract push 4 and 10: what is pushed under it is stored as deleted, both are told so."""
    phone, home = account.first, project()
    before_push(Project)(lambda projects: [one.delete() for one in projects.created])
    child = task(home["id"])
    changes = {"projects": created(home), "tasks": created(child)}
    for _ in range(2):
        answer = phone.ask_push(changes)
        assert (answer.status_code, answer.json["timestamp"]) == (200, None), answer.text
    assert phone.records("projects") == phone.records("tasks") == {}
    told = phone.ask_pull(phone.ask_pull(None).json["timestamp"] - 1).json["changes"]
    assert told["projects"]["deleted"] == [home["id"]]
    assert told["tasks"]["deleted"] == [child["id"]]


def test_rules_run_parents_first_and_see_what_is_left(account: Account) -> None:
    """Contract push 10: each once."""
    phone, home = account.first, project()
    order = []

    @before_push(Task)
    def second(tasks: Changes) -> None:
        order.append(("tasks", ids(tasks.created)))

    @before_push(Project)
    def first(projects: Changes) -> None:
        made = projects.account.save(Task, {"id": "made", "project_id": projects.created[0].id})
        order.append(("projects", ids(made)))

    phone.push(projects=created(home))
    assert order == [("projects", ["made"]), ("tasks", ["made"])]
    assert phone.records("tasks")["made"]["title"] == ""


def test_what_a_rule_deletes_takes_along_is_seen_by_the_next(account: Account) -> None:
    """Contract push 4 and 10: of the same table, and of those below; no way around a rule."""
    phone, home, other, kept = account.first, project(), project(), project()
    tasks = [task(one["id"]) for one in (home, home, other, kept)]
    phone.push(projects=created(home, other, kept), tasks=created(*tasks))
    seen: list[list[str]] = []

    @before_push(Project)
    def other_goes_with_home(projects: Changes) -> None:
        for found in projects.account.get(Project, [other["id"]]).values():
            found.delete()

    @before_push(Task)
    def home_goes_with_its_first(tasks: Changes) -> None:
        seen.append(ids(tasks.deleted))
        for found in tasks.account.get(Project, [home["id"]]).values():
            found.delete()

    @before_push(Task)
    def sees(tasks: Changes) -> None:
        seen.append(ids(tasks.deleted))

    phone.push(projects=updated(edited(kept, name="Kept")))
    below_other, below_home = [tasks[2]["id"]], [one["id"] for one in tasks[:2]]
    assert seen == [below_other, sorted(below_other + below_home)]
    assert list(phone.records("projects")) == [kept["id"]]
    assert list(phone.records("tasks")) == [tasks[3]["id"]]


# what goes wrong in one


def test_a_rule_that_fails_stores_nothing_and_is_named_in_the_log(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract push 1 and 10."""

    @before_push(Project)
    def divides_by_zero(projects: Changes) -> None:
        projects.created[0]["name"] = str(1 // 0)

    answer = account.first.ask_push({"projects": created(project())}, allowPartial=True)
    assert code(answer) == (500, "internal_error")
    assert "test_rules" in caplog.text and "divides_by_zero" in caplog.text
    assert account.first.records("projects") == {}


def exits(_projects: Changes) -> None:
    sys.exit(3)


def waits_for_itself(projects: Changes) -> None:
    """The push holds the account."""
    with changing(projects.account.id) as account:
        account.save(Project, {"name": "Another"})


@pytest.mark.parametrize(
    ("rule", "why"), [(exits, "SystemExit: 3"), (waits_for_itself, "is being changed already")]
)
def test_a_rule_that_goes_astray_is_a_rule_that_fails(
    account: Account, caplog: pytest.LogCaptureFixture, rule: Callable[[Changes], None], why: str
) -> None:
    """Nor a 503 after the database's patience, for ever, nor an answer of the web server's own."""
    before_push(Project)(rule)
    answer = account.first.ask_push({"projects": created(project())})
    assert code(answer) == (500, "internal_error")
    assert f"the rule {rule.__module__}.{rule.__name__} failed" in caplog.text
    assert why in caplog.text
    registry.rules.clear()
    assert account.first.records("projects") == {}


def test_a_rule_that_refuses_one_at_a_time_is_stopped(
    account: Account, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract push 6 and 10: each time all begins anew, which of many records would take quadratic
    time; of few it may."""
    rounds: list[int] = []

    @before_push(Project)
    def refuses_the_first(projects: Changes) -> None:
        rounds.append(len(projects.created))
        bad = [one for one in projects.created if one["name"] == "bad"]
        for one in bad[:1]:
            one.refuse("Bad.")

    phone, bad = account.first, [project(name="bad") for _ in range(30)]
    changes = {"projects": created(*bad, project(id="good"))}
    answer = phone.ask_push(changes, allowPartial=True)
    assert len(answer.json["rejected"]["projects"]) == 30 and len(rounds) == 31
    assert list(phone.records("projects")) == ["good"]
    monkeypatch.setattr(run, "MOST_ASKED", 31 * 25)
    rounds.clear()
    answer = phone.ask_push({"projects": created(*bad, project())}, allowPartial=True)
    assert code(answer) == (500, "internal_error") and len(rounds) == 25
    assert "refuses_the_first: it refuses a few records of many at a time" in caplog.text
    assert list(phone.records("projects")) == ["good"]


WRONG: list[Callable[[Changes], Any]] = [
    lambda projects: projects.created[0].update({"name": 5}),
    lambda projects: projects.created[0].update({"name": None}),
    lambda projects: projects.created[0].update({"name": "x" * 256}),
    lambda projects: projects.created[0].update({"colour": "red"}),
    lambda projects: projects.created[0].update({"user_id": "x"}),
    lambda projects: projects.created[0].refuse("No.", "colour"),
    lambda projects: projects.account.save(Task, {"title": "x"}),
    lambda projects: projects.account.save(Task, {"title": "x", "project_id": "nobody"}),
    lambda projects: projects.account.save(Project, {"id": "no id!"}),
    lambda projects: projects.account.save(Project, {"id": None}),
    lambda projects: (projects.created[0].delete(), projects.created[0].update({"name": "x"})),
    lambda projects: projects.account.save(Project, {"id": "x"})[0].refuse("Not of this push."),
    lambda projects: projects.account.scalar(text("SELECT name FROM projects")),
    lambda projects: projects.account.scalar(select(text("name")).select_from(Project)),
    lambda projects: projects.account.scalar(select(TABLE.c.name)),
    lambda projects: projects.account.scalar(select(func.count()).select_from(TABLE)),
    lambda projects: projects.account.scalar(
        select(Project.id).where(Project.id.in_(select(TABLE.c.id)))
    ),
    lambda projects: projects.account.execute(TABLE.delete()),
    lambda projects: projects.account.execute(TABLE.update().values(name="x")),
    lambda projects: projects.account.execute(TABLE.insert().values(name="x")),
]
TABLE: Table = Project.__table__


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_rule_may_not_do_is_a_crash_of_it(
    account: Account, wrong: Callable[[Changes], Any]
) -> None:
    """Contract push 10: never put right in silence, never an orphan, never another's rows."""
    before_push(Project)(wrong)
    answer = account.first.ask_push({"projects": created(project())})
    assert code(answer) == (500, "internal_error")
    registry.rules.clear()
    assert account.first.records("projects") == {}


def test_a_rule_wants_a_model_that_syncs() -> None:
    for wrong in (Synced, TABLE, "projects", None):
        with pytest.raises(TypeError, match="wants a model that syncs"):
            before_push(wrong)  # type: ignore[arg-type]


# whose rows it sees


def test_a_rule_sees_no_other_accounts_rows(account: Account, app: Any) -> None:
    """Contract push 10 and 11: whatever it selects, wherever in it a model stands."""
    stranger = Account(app)
    home = project(id="home", name="Stranger")
    tasks = [task("home", id=f"t{n}", title="Stranger") for n in range(3)]
    stranger.first.push(projects=created(home), tasks=created(*tasks))
    phone, mine = account.first, project(id="home", name="Mine")
    phone.push(projects=created(mine), tasks=created(task("home", id="t0", title="Mine")))
    gone = project(name="Gone")
    phone.push(projects=created(gone))
    phone.push(projects=deleted(gone["id"]))
    other = aliased(Task)
    own = select(Task.title).where(Task.project_id == Project.id)
    queries = [
        select(func.max(Task.title)),
        select(func.count()).select_from(Task),
        select(Task.title).join(Project, Project.id == Task.project_id),
        select(func.count(Project.id)).outerjoin(Task, Project.id == Task.project_id),
        select(func.max(other.title)),
        select(own.scalar_subquery()).select_from(Project),
        select(Project.name).where(own.exists()),
        select(func.count()).select_from(select(Task.id).subquery()),
        select(select(Task.title).cte().c.title),
        select(Task.title).union_all(select(Project.name)),
    ]
    found: list[list[Any]] = []

    @before_push(Project)
    def look(projects: Changes) -> None:
        found.extend([list(projects.account.execute(query).scalars()) for query in queries])
        found.append([one["title"] for one in projects.account.select(Task)])
        found.append([one["name"] for one in projects.account.get(Project, ["home"]).values()])

    phone.push(projects=created(project()))
    mine_alone = [["Mine"], [1], ["Mine"], [1], ["Mine"], ["Mine"], ["Mine"], [1], ["Mine"]]
    assert found == [*mine_alone, ["Mine", "Mine"], ["Mine"], ["Mine"]]


# what it costs


def test_a_rule_on_many_records_is_asked_once(account: Account) -> None:
    """Contract push 10: and no statement for each record."""
    phone, home = account.first, project()
    phone.push(projects=created(home))

    @before_push(Task)
    def look_after(tasks: Changes) -> None:
        sizes.append(len(tasks.saved))
        homes = tasks.account.get(Project, {one["project_id"] for one in tasks.saved})
        for one in tasks.saved:
            one["description"] = homes[one["project_id"]]["name"]
        tasks.account.save(Task, *({"id": new_id(), "project_id": home["id"]} for _ in tasks.saved))

    counts, sizes = [], list[int]()
    for size in (1, 1000):
        phone.pull()
        with statements(account.app) as seen:
            phone.push(tasks=created(*(task(home["id"]) for _ in range(size))))
        counts.append(len(seen))
    assert sizes == [1, 1000]
    assert counts[0] == counts[1]
    assert len(phone.records("tasks")) == 2002


def test_who_has_no_rule_pays_nothing(account: Account) -> None:
    """A rule of another table, too, costs no statement."""
    phone, home = account.first, project()
    phone.push(projects=created(home))
    counts = []
    for register in (lambda: None, lambda: asked(Task)):
        register()
        with statements(account.app) as seen:
            phone.push(projects=updated(edited(home, name=new_id())))
        counts.append(len(seen))
    assert counts[0] == counts[1]
