"""Contract, "Pull": migration sync (5), paging (6), replacement after a purge (7)."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import NOTHING, Account, Device, bare, created, deleted, edited, project, task, updated
from sqlalchemy import update

from melon_api.models.base import db, now_ms, utc_now
from melon_api.models.user import User
from melon_api.sync.rules.history import NOBODY, Run
from melon_api.sync.sql import clock
from melon_api.sync.sql.purge import purge

DAY_MS = 86_400_000


def migration(*tables: str, **columns: list[str]) -> dict[str, Any]:
    added = [{"table": table, "columns": names} for table, names in columns.items()]
    return {"from": 1, "tables": list(tables), "columns": added}


# 5: migration sync


def test_an_added_table_comes_whole_under_created(account: Account) -> None:
    """Contract pull 5."""
    phone, tablet = account.first, account.device()
    home, gone = project(), project()
    old, dead = task(home["id"]), task(home["id"])
    phone.push(projects=created(home, gone), tasks=created(old, dead))
    phone.push(projects=deleted(gone["id"]), tasks=deleted(dead["id"]))
    tablet.pull()
    changes = tablet.pull(migration=migration("tasks", "nonsense", "users", "sessions"))
    assert changes == {"projects": NOTHING, "tasks": created(bare(old))}


def test_own_new_records_of_an_added_table_stay_updated(account: Account) -> None:
    """Contract pull 5 with 3: never told to create what the device made."""
    phone = account.first
    home = project()
    old = task(home["id"])
    phone.push(projects=created(home), tasks=created(old))
    phone.pull()
    own = task(home["id"])
    phone.push(tasks=created(own))
    changes = phone.pull(migration=migration("tasks"))
    assert changes["tasks"] == {"created": [bare(old)], "updated": [bare(own)], "deleted": []}


def test_records_come_whose_added_columns_hold_something(account: Account) -> None:
    """Contract pull 5: what the client's own migration gives is left out."""
    phone, tablet = account.first, account.device()
    home = project(description="something")
    empty = project(name="", description=None)
    blank = project(name="", description="")
    spaces = project(name="  ", description=None)
    done = task(home["id"], is_completed=True, title="")
    plain = task(home["id"], title="", created_at=0)
    phone.push(projects=created(home, empty, blank, spaces), tasks=created(done, plain))
    tablet.pull()

    def ids(**columns: list[str]) -> dict[str, list[str]]:
        tablet_pull = tablet.pull(migration=migration(**columns))
        found = {name: sorted(r["id"] for r in t["updated"]) for name, t in tablet_pull.items()}
        assert all(not t["created"] and not t["deleted"] for t in tablet_pull.values())
        return found

    described = sorted([home["id"], blank["id"]])
    assert ids(projects=["description"]) == {"projects": described, "tasks": []}
    assert ids(projects=["name"])["projects"] == sorted([home["id"], spaces["id"]])
    assert ids(tasks=["is_completed", "title"]) == {"projects": [], "tasks": [done["id"]]}
    assert ids(tasks=["created_at"])["tasks"] == [done["id"]]
    assert ids(tasks=["user_id", "is_deleted", "nonsense", "id"]) == {"projects": [], "tasks": []}


def test_changes_since_come_with_a_migration_too(account: Account) -> None:
    """Contract pull 5: *also* returns."""
    phone, tablet = account.first, account.device()
    home = project(description="old")
    phone.push(projects=created(home))
    tablet.pull()
    fresh, gone = project(), project()
    phone.push(projects=created(fresh, gone))
    phone.push(projects=deleted(gone["id"]))
    changes = tablet.pull(migration=migration(projects=["description"]))
    assert changes["projects"] == {
        "created": [bare(fresh)],
        "updated": [bare(home)],
        "deleted": [gone["id"]],
    }


def test_a_migration_on_a_first_pull_adds_nothing(account: Account) -> None:
    home = project(description="x")
    account.first.push(projects=created(home))
    changes = account.device().pull(migration=migration("tasks", projects=["description"]))
    assert changes["projects"] == created(bare(home))


@NO_DATABASE
@pytest.mark.parametrize("wrong", ["x", 7, [], {"tables": "x"}, {"columns": [{"table": "x"}]}])
def test_a_wrong_migration_is_named(account: Account, wrong: Any) -> None:
    answer = account.first.ask_pull(1, migration=wrong)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["migration"])


def test_a_wrong_migration_in_a_query_is_named(account: Account) -> None:
    answer = account.first.call("GET", "/sync/pull?last_pulled_at=1&migration={")
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["migration"])


# 6: paging


def pages(device: Device, since: int | None, limit: int, **more: Any) -> list[dict[str, Any]]:
    """All pages of a pull, as answered."""
    answers = [device.ask_pull(since, limit=limit, **more).json]
    while answers[-1]["cursor"] is not None:
        answer = device.ask_pull(since, limit=limit, cursor=answers[-1]["cursor"])
        assert answer.status_code == 200, answer.text
        answers.append(answer.json)
    return answers


def together(answers: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for answer, (table, lists) in itertools.product(answers, answers[0]["changes"].items()):
        for key in lists:
            into = whole.setdefault(table, {}).setdefault(key, [])
            into += answer["changes"][table][key]
    return whole


def ordered(changes: dict[str, Any]) -> dict[str, Any]:
    def name(item: Any) -> str:
        return item if isinstance(item, str) else item["id"]

    return {t: {k: sorted(v, key=name) for k, v in c.items()} for t, c in changes.items()}


def size(answer: dict[str, Any]) -> int:
    return sum(len(items) for lists in answer["changes"].values() for items in lists.values())


def filled(account: Account) -> tuple[Device, int | None]:
    """An account with things created, updated and deleted since the tablet's pull."""
    phone, tablet = account.first, account.device()
    homes = [project() for _ in range(4)]
    tasks = [task(homes[i % 4]["id"]) for i in range(9)]
    phone.push(projects=created(*homes), tasks=created(*tasks))
    tablet.pull()
    phone.push(
        projects=created(project(), project()),
        tasks={"updated": [edited(tasks[0], title="x")], "deleted": [tasks[1]["id"]]},
    )
    return tablet, tablet.pulled_at


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 14, 15, 1000])
@pytest.mark.parametrize("first", [True, False])
def test_the_pages_together_are_the_unpaged_pull(account: Account, limit: int, first: bool) -> None:
    """Contract pull 6."""
    tablet, since = filled(account)
    since = None if first else since
    whole = tablet.ask_pull(since).json
    assert "cursor" not in whole
    answers = pages(tablet, since, limit)
    assert ordered(together(answers)) == ordered(whole["changes"])
    assert {answer["timestamp"] for answer in answers} == {whole["timestamp"]}
    assert all(size(answer) == limit for answer in answers[:-1])
    assert size(answers[-1]) > 0
    told = [table for a in answers for table, c in a["changes"].items() if any(c.values())]
    assert told == sorted(told)  # "projects" come before "tasks"


def test_a_migration_and_a_query_page_too(account: Account) -> None:
    """Contract pull 6: in body or query."""
    tablet, since = filled(account)
    wanted = tablet.ask_pull(since, migration=migration("tasks")).json["changes"]
    answers = pages(tablet, since, 3, migration=migration("tasks"))
    assert ordered(together(answers)) == ordered(wanted)
    path = f"/sync/pull?last_pulled_at={since}&limit=2"
    answer = tablet.call("GET", path).json
    path += f"&cursor={answer['cursor']}"
    assert size(tablet.call("GET", path).json) == 2


def ask(device: Device, method: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
    """A pull as `POST` with a body, or as `GET` without one."""
    more = {"json": body or {}} if method == "POST" else {}
    return device.call(method, "/sync/pull", query_string=query, **more)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_pages_by_the_query(account: Account, method: str) -> None:
    """Contract pull 6: of `POST` and `GET` alike."""
    tablet, since = filled(account)
    whole = tablet.ask_pull(since).json
    answers = [ask(tablet, method, {"lastPulledAt": since}, last_pulled_at=since, limit=3).json]
    while cursor := answers[-1]["cursor"]:
        answers.append(ask(tablet, method, limit=3, cursor=cursor).json)
    assert ordered(together(answers)) == ordered(whole["changes"])
    assert [size(answer) for answer in answers[:-1]] == [3] * (len(answers) - 1)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("query", "place"),
    [({"limit": "x"}, "limit"), ({"limit": "0"}, "limit"), ({"cursor": "W10.x"}, "cursor")],
)
def test_what_is_wrong_in_a_query_is_named(
    account: Account, method: str, query: dict[str, str], place: str
) -> None:
    """Contract pull 6."""
    answer = ask(account.first, method, **query)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [place])


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", ["lastPulledAt", "last_pulled_at"])
def test_a_name_is_read_in_either_spelling(account: Account, method: str, name: str) -> None:
    """Contract pull 6."""
    tablet, since = filled(account)
    wanted = tablet.ask_pull(since).json
    assert size(wanted) < size(tablet.ask_pull(None).json)
    query = {name: since} if method == "GET" else {}
    assert ask(tablet, method, {name: since}, **query).json == wanted
    assert ask(tablet, method, **{name: since}).json == wanted


def test_what_the_body_says_counts(account: Account) -> None:
    """Contract pull 6: before the query, and in its own spelling before the other."""
    tablet, since = filled(account)
    first, news = tablet.ask_pull(None).json, tablet.ask_pull(since).json
    body: dict[str, Any] = {"lastPulledAt": since, "last_pulled_at": 0, "limit": None}
    assert ask(tablet, "POST", body, last_pulled_at=0, limit=1).json == news
    assert ask(tablet, "POST", {"lastPulledAt": None}, last_pulled_at=since).json == first
    assert size(ask(tablet, "POST", {"limit": 2}, limit=1).json) == 2


def test_pages_stand_while_others_push(account: Account) -> None:
    """Contract pull 6: edited, deleted, created and moved between the pages."""
    phone, tablet = account.first, account.device()
    homes = [project(id=f"p{i}") for i in range(3)]
    tasks = [task("p0", id=f"t{i}") for i in range(6)]
    phone.push(projects=created(*homes), tasks=created(*tasks))
    whole = tablet.ask_pull(None).json
    answers = [tablet.ask_pull(None, limit=1).json]
    steps: list[dict[str, Any]] = [
        {"projects": created(project(id="p00")), "tasks": created(task("p00", id="t00"))},
        {"tasks": updated(edited(tasks[0], title="late"), edited(tasks[5], title="late"))},
        {"projects": updated(edited(homes[0], name="late")), "tasks": deleted("t4")},
        {"tasks": created(task("p1", id="a-first"), task("p1", id="z-last"))},
    ]
    for step in steps:
        phone.push(**step)
        answers.append(tablet.ask_pull(None, limit=1, cursor=answers[-1]["cursor"]).json)
    while answers[-1]["cursor"]:
        answers.append(tablet.ask_pull(None, limit=1, cursor=answers[-1]["cursor"]).json)
    got = together(answers)
    ids = {table: [r["id"] for r in changes["created"]] for table, changes in got.items()}
    assert ids == {"projects": ["p0", "p1", "p2"], "tasks": ["t0", "t1", "t2", "t3", "t5"]}
    assert {answer["timestamp"] for answer in answers} == {whole["timestamp"]}
    tablet.pulled_at = whole["timestamp"]
    rest = tablet.pull()
    assert {r["id"] for r in rest["tasks"]["created"]} == {"t00", "a-first", "z-last"}
    assert {r["id"] for r in rest["tasks"]["updated"]} == {"t0", "t5"}
    assert rest["tasks"]["deleted"] == ["t4"]
    assert [r["id"] for r in rest["projects"]["created"]] == ["p00"]


def test_no_record_is_skipped_when_one_that_was_told_goes(account: Account) -> None:
    """Contract pull 6: an offset would count the deleted ones as told."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(*(project(id=f"p{i}") for i in range(6))))
    answers = [tablet.ask_pull(None, limit=2).json]
    phone.push(projects=deleted("p0", "p1"))
    answers.append(tablet.ask_pull(None, limit=2, cursor=answers[-1]["cursor"]).json)
    answers.append(tablet.ask_pull(None, limit=2, cursor=answers[-1]["cursor"]).json)
    told = [record["id"] for record in together(answers)["projects"]["created"]]
    assert told == [f"p{i}" for i in range(6)]
    tablet.pulled_at = answers[0]["timestamp"]
    assert tablet.pull()["projects"] == deleted("p0", "p1")


def test_an_idle_paged_pull_is_one_empty_page(account: Account) -> None:
    account.first.pull()
    (answer,) = pages(account.first, account.first.pulled_at, 1)
    assert size(answer) == 0


def test_the_rest_may_be_asked_for_at_once(account: Account) -> None:
    tablet, _ = filled(account)
    cursor = tablet.ask_pull(None, limit=1).json["cursor"]
    rest = tablet.ask_pull(None, cursor=cursor).json
    assert rest["cursor"] is None
    assert size(rest) == 13


@pytest.mark.parametrize("wrong", ["x", "", "W10.x", 7, []])
def test_a_cursor_of_ones_own_making_is_refused(account: Account, wrong: Any) -> None:
    """Contract pull 6."""
    answer = account.first.ask_pull(None, limit=1, cursor=wrong)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["cursor"]


def test_a_cursor_counts_for_its_account_alone(account: Account) -> None:
    """Contract pull 6."""
    tablet, _ = filled(account)
    cursor = tablet.ask_pull(None, limit=1).json["cursor"]
    stranger = Account(account.app).first
    answer = stranger.ask_pull(None, limit=1, cursor=cursor)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["cursor"])


@NO_DATABASE
@pytest.mark.parametrize("wrong", [0, -1, 1.5, "x", True, 10**9])
def test_a_wrong_limit_is_named(account: Account, wrong: Any) -> None:
    answer = account.first.ask_pull(None, limit=wrong)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["limit"])


# 7: tombstones end


def purge_all(account: Account) -> Any:
    """As `flask sync purge --older-than` does, up to now."""
    with account.app.app_context():
        return purge(db.engine, now_ms() + 1)


def test_a_stale_device_gets_the_full_set(account: Account) -> None:
    """Contract pull 7."""
    phone, tablet = account.first, account.device()
    kept, edited_one, gone = project(), project(), project()
    phone.push(projects=created(kept, edited_one, gone))
    tablet.pull()
    phone.pull()
    phone.push(projects=updated(edited(edited_one, name="x")))
    own = project()
    tablet.push(projects=created(own))
    phone.push(projects={"created": [late := project()], "deleted": [gone["id"]]})
    purge_all(account)
    answer = tablet.ask_pull(tablet.pulled_at).json
    assert answer["experimentalStrategy"] == "replacement"
    wanted = {
        "created": [bare(late)],
        "updated": [bare(kept), bare(edited_one) | {"name": "x"}, bare(own)],
        "deleted": [],
    }
    assert ordered(answer["changes"])["projects"] == ordered({"projects": wanted})["projects"]
    assert "experimentalStrategy" not in tablet.ask_pull(answer["timestamp"]).json
    assert "experimentalStrategy" not in tablet.ask_pull(None).json


def test_a_stale_device_may_not_push_before_its_pull(account: Account) -> None:
    """Contract pull 7: with allowPartial too."""
    phone, tablet = account.first, account.device()
    gone = project()
    phone.push(projects=created(gone))
    tablet.pull()
    phone.push(projects=deleted(gone["id"]))
    purge_all(account)
    fresh = {"projects": created(project())}
    for partial in (False, True):
        answer = tablet.ask_push(fresh, allowPartial=partial)
        assert (answer.status_code, answer.json["code"]) == (409, "sync_conflict")
    assert tablet.records("projects") == {}
    tablet.pull()
    assert tablet.ask_push(fresh).status_code == 200


def test_each_page_of_a_replacement_says_so(account: Account) -> None:
    """Contract pull 7."""
    phone, tablet = account.first, account.device()
    gone = project()
    phone.push(projects=created(gone, project(), project(), project()))
    tablet.pull()
    phone.push(projects=deleted(gone["id"]))
    purge_all(account)
    answers = pages(tablet, tablet.pulled_at, 1)
    assert [a["experimentalStrategy"] for a in answers] == ["replacement"] * 3


def test_a_device_that_was_told_is_not_stale(account: Account) -> None:
    """Contract pull 7: older than the newest *purged deletion*."""
    phone, tablet = account.first, account.device()
    gone = project()
    phone.push(projects=created(gone, project()))
    phone.push(projects=deleted(gone["id"]))
    tablet.pull()
    phone.push(projects=created(project()))
    purge_all(account)
    answer = tablet.ask_pull(tablet.pulled_at).json
    assert "experimentalStrategy" not in answer
    assert size(answer) == 1
    assert tablet.ask_push({"projects": created(project())}).status_code == 200


def test_purging_leaves_young_deletions_and_other_accounts_alone(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract pull 7: by age; a second run finds nothing."""
    phone, tablet = account.first, account.device()
    now = now_ms()
    old, young = project(), project()
    monkeypatch.setattr(clock, "now_ms", lambda: now - 100 * DAY_MS)
    with account.app.app_context(), db.engine.begin() as connection:
        ago = now - 101 * DAY_MS
        clock.write(connection, account.user["id"], ago, Run(NOBODY, ago))
        opened = {"created_at": utc_now() - timedelta(days=101)}
        connection.execute(update(User).where(User.id == account.user["id"]).values(opened))
    phone.push(projects=created(old, young))
    phone.push(projects=deleted(old["id"]))
    monkeypatch.undo()
    tablet.pull()
    phone.push(projects=deleted(young["id"]))
    with account.app.app_context():
        dry = purge(db.engine, now - 90 * DAY_MS, dry_run=True)
        assert dry.tombstones >= 1
        assert purge(db.engine, now - 90 * DAY_MS).tombstones == dry.tombstones
        assert purge(db.engine, now - 90 * DAY_MS).tombstones == 0
    answer = tablet.ask_pull(tablet.pulled_at).json
    assert answer["changes"]["projects"]["deleted"] == [young["id"]]


def test_purging_ends_trees_of_tombstones_and_keeps_what_creators_need(account: Account) -> None:
    """A device that made a record, then slept through a purge, is not told to create it."""
    phone, tablet = account.first, account.device()
    phone.pull()
    tablet.pull()
    home, gone = project(), project()
    phone.push(projects=created(home, gone), tasks=created(task(gone["id"])))
    phone.push(projects=updated(edited(home, name="x")))
    tablet.push(projects=deleted(gone["id"]))
    done = purge_all(account)
    assert done.tombstones >= 2
    answer = phone.ask_pull(phone.pulled_at).json
    assert answer["changes"]["projects"] == updated(bare(home) | {"name": "x"})
    assert purge_all(account).tombstones == 0


def test_a_push_whose_rivals_are_forgotten_is_not_called_up_to_date(account: Account) -> None:
    """Contract push 7 after a purge."""
    phone, tablet = account.first, account.device()
    home = project()
    phone.push(projects=created(home))
    phone.pull(), tablet.pull()
    tablet.push(projects=updated(edited(home, name="x")))
    purge_all(account)
    assert phone.push(projects=created(project())) is None


def test_purging_twice_at_once_while_people_sync_harms_nobody(account: Account) -> None:
    """Contract pull 7: from a scheduler, on a live database."""
    phone, tablet = account.first, account.device()
    tablet.pull()
    gone = [project() for _ in range(30)]
    phone.push(projects=created(*gone))

    def sync() -> None:
        for record in gone:
            phone.pull()
            phone.push(projects={"created": [project()], "deleted": [record["id"]]})

    with ThreadPoolExecutor() as threads:
        work = [threads.submit(sync)]
        work += [threads.submit(purge_all, account) for _ in range(6)]
        for done in work:
            done.result()
    purge_all(account)
    assert tablet.ask_pull(tablet.pulled_at).json["experimentalStrategy"] == "replacement"
    assert len(tablet.records("projects")) == len(gone)


def said(result: Any) -> list[str]:
    """Of deletions; a line before it says what became of guests."""
    *_, line = result.output.splitlines()
    return str(line).split()


def test_the_purge_command(account: Account) -> None:
    account.first.push(projects=created(gone := project()))
    account.first.push(projects=deleted(gone["id"]))
    runner = account.app.test_cli_runner()
    result = runner.invoke(args=["sync", "purge", "--older-than", "90d", "--dry-run"])
    assert (result.exit_code, said(result)[:2]) == (0, ["Would", "forget"])
    result = runner.invoke(args=["sync", "purge", "--older-than", "12h"])
    assert (result.exit_code, said(result)[0]) == (0, "Forgot")
    result = runner.invoke(args=["sync", "purge", "--older-than", "soon"])
    assert result.exit_code == 2
    assert "90d" in result.output
