"""The line that a request leaves in the log, and SQL in it."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app
from devices import API, Account, created, edited, project, updated
from flask import Flask

from melon_api.models.base import db

Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    """What a logger has told so far, as fields."""
    with caplog.at_level(logging.INFO):
        yield lambda name: [dict(r.msg) for r in caplog.records if r.name == name]  # type: ignore[call-overload]


def test_a_push_and_a_pull_tell_what_they_moved(account: Account, lines: Lines) -> None:
    phone = account.first
    phone.push(projects=created(project(), project()))
    phone.pull()
    pushed, pulled = lines("melon_api.requests")[-2:]
    assert pushed["event"] == f"POST {API}/sync/push 200"
    assert (pushed["method"], pushed["route"], pushed["status"]) == (
        "POST",
        f"{API}/sync/push",
        200,
    )
    assert (pushed["records_pushed"], pulled["records_pulled"]) == (2, 2)
    assert pulled["pull"] == "first"
    assert pushed["account_id"] == pulled["account_id"] == account.user["id"]
    assert pushed["session_id"] == pulled["session_id"]
    assert pushed["bytes_in"] > 100
    assert pulled["bytes_out"] > 100
    assert pushed["ms"] > 0
    assert pushed["sql"] >= 3
    assert pushed["client"] == "127.0.0.1"


def test_each_kind_of_pull_is_named(account: Account, lines: Lines) -> None:
    phone = account.first
    home = project()
    phone.push(projects=created(home))
    phone.pull()
    phone.push(projects=updated(edited(home, name="new")))
    phone.pull()
    phone.pull()
    phone.pull(replacement=True)
    told = [line["pull"] for line in lines("melon_api.requests") if "pull" in line]
    assert told == ["first", "incremental", "idle", "replacement"]


def test_conflicts_and_refusals_are_told(account: Account, lines: Lines) -> None:
    phone, tablet, home = account.first, account.device(), project()
    phone.push(projects=created(home))
    tablet.pull()
    phone.push(projects=updated(edited(home, name="phone's")))
    tablet.push(projects=updated(edited(home, name="tablet's")))
    assert lines("melon_api.requests")[-1]["conflicts"] == 1
    refused = tablet.ask_push({"projects": created(project(name="x" * 300))}, allowPartial=True)
    assert refused.status_code == 200
    line = lines("melon_api.requests")[-1]
    assert (line["records_pushed"], line["records_rejected"]) == (1, 1)


def test_nothing_of_a_request_is_told_of_the_next_one(account: Account, lines: Lines) -> None:
    account.first.push(projects=created(project()))
    account.app.test_client().get("/healthz")
    line = lines("melon_api.requests")[-1]
    assert line["route"] == "/healthz"
    assert not {"account_id", "records_pushed", "session_id", "sql"} & line.keys()


def test_an_unknown_address_is_told_on_one_line_without_its_query(
    plain_app: Flask, lines: Lines
) -> None:
    plain_app.test_client().get("/no%0Awhere/secret?token=secret")
    line = lines("melon_api.requests")[-1]
    assert (line["route"], line["path"], line["status"]) == ("(none)", "/no%0Awhere", 404)
    assert "secret" not in str(line)


@pytest.fixture
def app_with(request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    """Made before the test: it takes the root logger over."""
    url = f"sqlite:///{tmp_path}/l.db"
    return make_app(environment("sqlite", url, **request.param), tmp_path)


@pytest.mark.parametrize("app_with", [{"LOG_SQL": "true"}], indirect=True)
def test_sql_is_told_when_it_is_wanted_and_never_what_is_in_it(
    app_with: Flask, lines: Lines
) -> None:
    account = Account(app_with)
    account.first.push(projects=created(project(name="a private name")))
    told = lines("melon_api.sql")
    assert any(line["sql"].startswith("INSERT INTO projects") for line in told)
    assert {line["level"] for line in told} == {"info"}
    assert all(line["ms"] >= 0 for line in told)
    assert "private" not in str(told)
    assert account.email not in str(told)


@pytest.mark.parametrize("app_with", [{"SLOW_SQL_MS": "1"}], indirect=True)
def test_slow_sql_is_always_told(app_with: Flask, lines: Lines) -> None:
    count = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
        " SELECT COUNT(*) FROM n"
    )
    with app_with.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql(count)
    (line,) = [line for line in lines("melon_api.sql") if "RECURSIVE" in line["sql"]]
    assert (line["event"], line["level"]) == ("slow statement", "warning")
    assert line["ms"] >= 1


@pytest.mark.parametrize("app_with", [{"SLOW_SQL_MS": "100000"}], indirect=True)
def test_other_sql_is_not(app_with: Flask, lines: Lines) -> None:
    Account(app_with).first.pull()
    assert lines("melon_api.requests")
    assert not lines("melon_api.sql")


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a laptop's log prints of two requests and three other lines."""
    environ = environment("sqlite", f"sqlite:///{tmp_path}/dev.db", APP_ENV="development")
    app = make_app(environ, tmp_path)
    log = logging.getLogger("melon_api.x")
    capsys.readouterr()
    app.test_client().get("/healthz")
    app.test_client().get("/nowhere")
    log.warning("something %s", "odd")
    try:
        raise KeyError("k")
    except KeyError:
        log.exception("worse")
    log.info("as usual")
    return capsys.readouterr().err.splitlines()


def test_a_laptops_log_is_short(printed: list[str]) -> None:
    """Of a request only what it was and how it went; of what should not happen, where and why."""
    assert [line for line in printed if not re.match(r"\d\d:\d\d:\d\d ", line)] == printed[4:-1]
    texts = [line[9:] for line in printed]
    assert re.fullmatch(r"GET /healthz 200 \d+ ms request_id=\w{32}", texts[0])
    assert re.fullmatch(r"GET /nowhere 404 \d+ ms request_id=\w{32}", texts[1])
    assert texts[2] == "WARNING something odd logger=melon_api.x request_id=-"
    assert texts[3] == "ERROR worse logger=melon_api.x request_id=-"
    assert "Traceback" in printed[4]
    assert texts[-1] == "as usual request_id=-"
