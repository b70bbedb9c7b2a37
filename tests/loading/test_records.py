"""`flask data load` (contract, The server's own changes), on every backend."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import NO_DATABASE, statements
from devices import Account, bare, created, deleted, new_id, project, task
from flask import Flask

from melon_api.loading import records, window
from melon_api.logic import Changes, before_push, registry
from tests.example.models import Project, Task


@pytest.fixture(autouse=True)
def no_rules_afterwards() -> Iterator[None]:
    yield
    registry.rules.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def line(account: str, table: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"account": account, "table": table, "record": bare(record)}


def load(app: Flask, file: Path, *lines: Any, options: tuple[str, ...] = ()) -> Result:
    """Lines that are text are written as they are."""
    if lines:
        texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
        file.write_text("\n".join(texts) + "\n")
    return app.test_cli_runner().invoke(args=["data", "load", *options, str(file)])


def bad(result: Result) -> dict[int, str]:
    """What was said of which line."""
    said = [one.removeprefix("line ").partition(": ") for one in result.stderr.splitlines()]
    return {int(number): sentence for number, _, sentence in said if number.isdigit()}


def test_phones_get_what_is_loaded(account: Account, file: Path) -> None:
    """Contract pull 1 and 3: as from one more device; a child may come before its parent, and the
    account be named as people write it."""
    phone, tablet, home = account.first, account.device(), project()
    for device in (phone, tablet):
        device.pull()
    paint = task(home["id"])
    names = f" {account.email.upper()} ", account.user["id"]
    lines = line(names[0], "tasks", paint), line(names[1], "projects", home)
    result = load(account.app, file, *lines)
    assert (result.exit_code, result.stdout) == (0, "Stored 2 records.\n")
    for device in (phone, tablet):
        told = device.pull()
        assert (told["projects"]["created"], told["tasks"]["created"]) == (
            [bare(home)],
            [bare(paint)],
        )
    changed = paint | {"title": "Sand"}
    assert load(account.app, file, line(names[0], "tasks", changed)).exit_code == 0
    assert phone.pull()["tasks"]["updated"] == [bare(changed)]


def test_twice_is_once(account: Account, file: Path) -> None:
    """Contract push 1: no clock moves."""
    home = project()
    lines = line(account.email, "projects", home), line(account.email, "tasks", task(home["id"]))
    load(account.app, file, *lines)
    account.first.pull()
    clock = account.first.pulled_at
    assert load(account.app, file).exit_code == 0
    account.first.pull()
    assert account.first.pulled_at == clock


def test_what_was_left_out_stays(account: Account, file: Path) -> None:
    """Contract push 5: an absent column keeps its value, or starts empty."""
    home = project(description="here")
    account.first.push(projects=created(home))
    some = {"id": home["id"], "name": "Office"}, {"id": "new", "name": "New"}
    load(account.app, file, *(line(account.email, "projects", one) for one in some))
    stored = account.first.records("projects")
    assert stored[home["id"]] == bare(home) | {"name": "Office"}
    assert stored["new"] == {**some[1], "description": None, "created_at": 0, "updated_at": 0}


RECORD = {"id": "a", "name": "A"}
BAD = {
    "nonsense": "not JSON",
    "[1]": "not a JSON object",
    '"text"': "not a JSON object",
    "[" * 5000: "not JSON",
    '{"a":' * 5000: "not JSON",
    json.dumps({"account": "EMAIL", "table": "projects"}): "not exactly",
    json.dumps({**line("EMAIL", "projects", RECORD), "more": 1}): "not exactly",
    json.dumps(line("nobody@example.com", "projects", RECORD)): "there is no 'nobody@",
    json.dumps(line("x" * 100_000, "projects", RECORD)): "not an address or an id",
    json.dumps({"account": None, "table": "projects", "record": RECORD}): "not an address",
    json.dumps(line("\0", "projects", RECORD)): "there is no ",
    json.dumps(line("EMAIL", "users", RECORD)): "there is no 'users' that syncs",
    json.dumps({"account": "EMAIL", "table": ["projects"], "record": RECORD}): "there is no [",
    json.dumps({"account": "EMAIL", "table": "projects", "record": [RECORD]}): "not an object",
    json.dumps(line("EMAIL", "projects", {"name": "A"})): "record.id",
    json.dumps(line("EMAIL", "projects", {"id": 5})): "record.id",
    json.dumps(line("EMAIL", "projects", {"id": "a" * 37})): "record.id",
    json.dumps(line("EMAIL", "projects", {"id": "a", "name": None})): "name: it may not be null",
    json.dumps(line("EMAIL", "projects", {"id": "a", "name": 5})): "name: of another type",
    json.dumps(line("EMAIL", "projects", {"id": "a", "name": "x" * 256})): "name: Longer than",
    json.dumps(line("EMAIL", "projects", {"id": "a", "user_id": "b"})): "user_id: no such column",
    json.dumps(line("EMAIL", "projects", {"id": "a", "created_at": float("nan")})): "not JSON",
    json.dumps(line("EMAIL", "projects", {"id": "a", "created_at": 10**400})): "",
    json.dumps(line("EMAIL", "projects", {"id": "a", "name": "\ud83d"})): "not JSON",
    json.dumps(line("EMAIL", "tasks", {"id": "a", "project_id": "nope"})): "No record 'nope'",
    json.dumps(line("EMAIL", "tasks", {"id": "a"})): "It needs a project_id",
}


def test_each_bad_line_is_named_and_the_others_are_stored(account: Account, file: Path) -> None:
    good = project(), project()
    lines = [text.replace("EMAIL", account.email) for text in BAD]
    lines = [json.dumps(line(account.email, "projects", good[0])), "", *lines]
    result = load(account.app, file, *lines, line(account.email, "projects", good[1]))
    assert result.exit_code == 1
    said = bad(result)
    assert sorted(said) == list(range(3, 3 + len(BAD)))
    for number, words in enumerate(BAD.values(), 3):
        assert words in said[number] and len(said[number]) < 500
    assert f"Stored 2 records. Bad lines: {len(BAD)}.\n" in result.stdout
    assert set(account.first.records("projects")) == {one["id"] for one in good}
    assert account.first.records("tasks") == {}


def test_bytes_that_are_no_text_are_a_bad_line(account: Account, file: Path) -> None:
    home = json.dumps(line(account.email, "projects", project()))
    file.write_bytes(b"\xef\xbb\xbf" + home.encode() + b"\r\n\xff\xfe\0\n" + b"   \n")
    result = load(account.app, file)
    assert list(bad(result)) == [2] and "Stored 1 records." in result.stdout


def test_a_line_cannot_pretend_to_be_the_terminal(account: Account, file: Path) -> None:
    odd = line(account.email, "\x1b[31m\nline 7: all is well", RECORD)
    result = load(account.app, file, odd)
    assert list(bad(result)) == [1] and "\x1b" not in result.output


@NO_DATABASE
def test_a_line_of_too_many_values_is_passed_over(account: Account, tmp_path: Path) -> None:
    """It is 9 MB of the file's 9 kB, and would be 500 MB of values."""
    bomb = f'{{"account": "{account.email}", "record": [{"[]," * 3_000_000}0]}}\n'
    home = json.dumps(line(account.email, "projects", project()))
    file = tmp_path / "records.jsonl.gz"
    file.write_bytes(gzip.compress(f"{bomb}{home}".encode()))
    result = load(account.app, file)
    assert bad(result) == {1: "it holds too many values"}
    assert len(account.first.records("projects")) == 1


@NO_DATABASE
def test_a_line_of_100_mb_is_passed_over(account: Account, tmp_path: Path) -> None:
    home = json.dumps(line(account.email, "projects", project())).encode()
    file = tmp_path / "records.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as packed:
        for _ in range(100):
            packed.write(b"a" * 1_000_000)
        packed.write(b"\n" + home)
    result = load(account.app, file)
    assert bad(result) == {1: "longer than 32 MiB"}
    assert len(account.first.records("projects")) == 1


def test_a_damaged_gzip_is_said_and_what_came_before_is_stored(
    account: Account, tmp_path: Path
) -> None:
    lines = [json.dumps(line(account.email, "projects", project())) for _ in range(2_000)]
    packed, file = gzip.compress("\n".join(lines).encode()), tmp_path / "records.gz"
    file.write_bytes(packed[: len(packed) // 2])
    result = load(account.app, file)
    (number,) = bad(result)
    assert result.exit_code == 1 and "gzip is damaged" in bad(result)[number]
    assert len(account.first.records("projects")) == number - 1 > 100
    file.write_bytes(packed)
    assert load(account.app, file).exit_code == 0
    assert len(account.first.records("projects")) == 2_000


@NO_DATABASE
@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux alone has it")
def test_a_disk_that_fails_is_said(account: Account) -> None:
    """What came before is stored, and counted."""
    result = load(account.app, Path("/proc/self/mem"))
    assert bad(result) == {1: "the file cannot be read from here on: Input/output error"}
    assert result.stdout == "Stored 0 records. Bad lines: 1.\n"


def test_a_deleted_record_stays_deleted_and_is_reported(account: Account, file: Path) -> None:
    """And what belongs to it (contract push 4)."""
    gone, child = project(), task("")
    account.first.push(projects=created(gone))
    account.first.push(projects=deleted(gone["id"]))
    child["project_id"] = gone["id"]
    lines = line(account.email, "projects", gone), line(account.email, "tasks", child)
    result = load(account.app, file, *lines)
    assert {number for number, said in bad(result).items() if "deleted" in said} == {1, 2}
    assert account.first.records("projects") == account.first.records("tasks") == {}


def test_a_rule_refuses_single_records(account: Account, file: Path) -> None:
    """Contract push 10; though it refuses but one at a time, all is done in few rounds."""
    rounds = []

    @before_push(Project)
    def no_thirteens(projects: Changes) -> None:
        rounds.append(len(projects.saved))
        for one in projects.saved:
            if one["name"] == "13":
                one.refuse("Unlucky.", "name")
                return

    some = [project(name=str(number % 20)) for number in range(200)]
    orphan = task(some[13]["id"])
    lines = [line(account.email, "projects", one) for one in some]
    result = load(account.app, file, *lines, line(account.email, "tasks", orphan))
    expected = dict.fromkeys(range(14, 200, 20), "record.name: Unlucky.")
    expected[201] = f"tasks {orphan['id']!r}: project_id: No record {some[13]['id']!r} in projects."
    assert bad(result) == expected
    assert len(account.first.records("projects")) == 190
    assert len(rounds) < 60


def test_what_a_rule_says_of_another_record_is_said_of_the_line(
    account: Account, file: Path
) -> None:
    account.first.push(projects=created(project(id="total")))

    @before_push(Task)
    def no_paint(tasks: Changes) -> None:
        if any(one["title"] == "Paint" for one in tasks.saved):
            tasks.account.get(Project, ["total"])["total"].refuse("No more paint.")

    lines = [task("total", title=title) for title in ("Sand", "Paint", "Oil")]
    result = load(account.app, file, *(line(account.email, "tasks", one) for one in lines))
    assert bad(result) == {2: "projects.total: No more paint."}
    assert len(account.first.records("tasks")) == 2


def test_a_dry_run_says_the_same_and_stores_nothing(account: Account, file: Path) -> None:
    @before_push(Project)
    def no_thirteens(projects: Changes) -> None:
        for one in projects.saved:
            if one["name"] == "13":
                one.refuse("Unlucky.", "name")

    account.first.pull()
    clock, home = account.first.pulled_at, project()
    some = task(home["id"]), task("nope")
    lines = [line(account.email, "tasks", one) for one in some]
    lines += [line(account.email, "projects", one) for one in (home, project(name="13"))]
    dry = load(account.app, file, *lines, options=("--dry-run",))
    assert dry.stdout == "Would store 2 records. Bad lines: 2.\n"
    account.first.pull()
    assert account.first.pulled_at == clock and account.first.records("projects") == {}
    wet = load(account.app, file)
    assert bad(wet) == bad(dry) and set(bad(wet)) == {2, 4}
    assert len(account.first.records("tasks")) == 1


def test_lines_are_stored_by_account_in_sets(app: Flask, file: Path) -> None:
    """However they are mixed, and however many: the statements are counted."""
    accounts = [Account(app) for _ in range(4)]
    counts = []
    for size in (5, 100):
        for is_mixed in (False, True):
            homes = [project() for _ in accounts]
            lines = [
                line(one.email, *what)
                for one, home in zip(accounts, homes, strict=True)
                for what in [
                    ("projects", home),
                    *(("tasks", task(home["id"])) for _ in range(size)),
                ]
            ]
            if is_mixed:
                random.Random(size).shuffle(lines)
            with statements(app) as seen:
                assert load(app, file, *lines).exit_code == 0
            counts.append(len(seen))
    assert len(set(counts)) == 1
    for one in accounts:
        assert len(one.first.records("tasks")) == 2 * 105


def test_more_lines_than_wait_are_stored_on_the_way(
    account: Account, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that comes long before its parent waits for it, one without a parent is told."""
    monkeypatch.setattr(records, "Window", lambda: window.Window(3_000))
    home, late = project(), project()
    tasks = [task(home["id"]) for _ in range(50)] + [task("nope"), task(late["id"])]
    lines = [line(account.email, "tasks", task(late["id"])), line(account.email, "projects", home)]
    lines += [line(account.email, "tasks", one) for one in tasks]
    result = load(account.app, file, *lines, line(account.email, "projects", late))
    assert list(bad(result)) == [53] and "No record 'nope'" in bad(result)[53]
    assert "Stored 54 records. Bad lines: 1." in result.stdout
    assert len(account.first.records("tasks")) == 52


def test_who_is_cut_off_runs_it_again(app: Flask, file: Path) -> None:
    accounts = [Account(app) for _ in range(3)]
    marks = [project(id=new_id()) for _ in accounts]

    @before_push(Project)
    def cut_off(projects: Changes) -> None:
        if projects.account.id == accounts[1].user["id"]:
            raise KeyboardInterrupt

    lines = [line(one.email, "projects", mark) for one, mark in zip(accounts, marks, strict=True)]
    assert "Aborted" in load(app, file, *lines).stderr
    assert [len(one.first.records("projects")) for one in accounts] == [1, 0, 0]
    registry.rules.clear()
    accounts[0].first.pull()
    clock = accounts[0].first.pulled_at
    assert load(app, file).exit_code == 0
    assert [len(one.first.records("projects")) for one in accounts] == [1, 1, 1]
    accounts[0].first.pull()
    assert accounts[0].first.pulled_at == clock


def test_the_same_record_twice_is_stored_as_it_came_last(account: Account, file: Path) -> None:
    home = project()
    lines = [line(account.email, "projects", home | {"name": name}) for name in "ABC"]
    load(account.app, file, *lines)
    assert account.first.records("projects")[home["id"]]["name"] == "C"
