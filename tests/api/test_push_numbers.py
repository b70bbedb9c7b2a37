"""Late copies of a push, and pushes whose client has hung up (contract push 8)."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import statements
from devices import Account, Device, created, deleted, edited, project, updated
from servers import Server, serving
from test_fairness import Call, held_account, push, register
from test_push import failure

KINDS = ["sqlite", "mariadb", "mysql"]


def outdated(answer: Any) -> int:
    assert failure(answer) == (409, "push_outdated")
    newest: int = answer.json["errors"]["pushNumber"]
    return newest


def pushed(phone: Device, number: Any, **tables: Any) -> Any:
    return phone.ask_push(tables, pushNumber=number)


# the number


@pytest.mark.parametrize("more", [{}, {"allowPartial": True}])
def test_a_late_copy_undoes_nothing(account: Account, more: dict[str, bool]) -> None:
    """Contract push 8: what came after it stays, and it is told the newest number."""
    phone, home = account.first, project()
    first = {"projects": created(home)}
    assert phone.ask_push(first, pushNumber=1).status_code == 200
    gone = {"projects": updated(edited(home, name="Old"))}
    assert phone.ask_push(gone, pushNumber=2).status_code == 200
    assert pushed(phone, 4, projects=updated(edited(home, name="New"))).status_code == 200
    assert outdated(phone.ask_push(gone, pushNumber=2, **more)) == 4
    assert outdated(phone.ask_push({"projects": created(project())}, pushNumber=3, **more)) == 4
    assert [p["name"] for p in phone.records("projects").values()] == ["New"]


def test_the_newest_number_again_is_the_same_push_again(account: Account) -> None:
    """Contract push 8 and 1."""
    phone, home = account.first, project()
    before = pushed(phone, 7, projects=created(home)).json["timestamp"]
    again = pushed(phone, 7, projects=created(home))
    assert (again.status_code, again.json["timestamp"]) == (200, before)
    assert phone.push(projects=updated(edited(home, name="Unnumbered")))


def test_the_number_is_stored_with_the_push_alone(account: Account) -> None:
    """Contract push 8: also where it changed nothing; not where it failed."""
    phone, home = account.first, project()
    assert pushed(phone, 5, projects=created(home, project(name="x" * 999))).status_code == 422
    assert pushed(phone, 2, projects=created(home)).status_code == 200
    assert pushed(phone, 6, projects=created(home)).status_code == 200
    assert outdated(pushed(phone, 5, projects=deleted(home["id"]))) == 6
    assert pushed(phone, 2**53 - 1).status_code == 200


def test_a_session_counts_for_itself(account: Account) -> None:
    """Contract push 8: another device, and the same one signed in again, start anew."""
    assert (
        pushed(account.device(device_id="one"), 9, projects=created(project())).status_code == 200
    )
    for device_id in ("one", "two"):
        phone = account.device(device_id=device_id)
        assert pushed(phone, 1, projects=created(project())).status_code == 200


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "1", True, [], 2**53])
def test_a_wrong_number_is_named(account: Account, wrong: Any) -> None:
    """Contract push 8: a whole number from 1."""
    answer = pushed(account.first, wrong, projects=created(project()))
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["pushNumber"]


@pytest.mark.parametrize("since", ["last_pulled_at=0&", ""])
def test_the_number_may_stand_in_the_query(account: Account, since: str) -> None:
    """Contract push 8: `push_number`, with the changes alone as the body or the whole."""
    phone = account.first
    changes = {"projects": created(project())}
    body = changes if since else {"changes": changes, "lastPulledAt": 0}

    def ask(number: str) -> Any:
        return phone.call("POST", f"/sync/push?{since}push_number={number}", json=body)

    assert ask("3").status_code == 200
    assert outdated(ask("2")) == 3
    assert ask("").status_code == ask("null").status_code == 200
    assert list(ask("x").json["errors"]) == list(ask("0").json["errors"]) == ["pushNumber"]


def test_a_number_costs_one_statement_and_none_is_free(account: Account) -> None:
    phone = account.first
    phone.push(projects=created(project()))
    counts = []
    for more in ({}, {"pushNumber": 1}):
        with statements(account.app) as seen:
            phone.ask_push({"projects": created(project())}, **more)
        counts.append(len([one for one in seen if "BEGIN" not in one]))
    assert counts[1] == counts[0] + 1


# who has hung up


@contextmanager
def locked(server: Server, kind: str, user_id: str) -> Iterator[None]:
    if kind != "sqlite":
        with held_account(server, kind, user_id):
            yield
        return
    path = urlsplit(server.environ["DATABASE_URL"]).path[1:]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def stored(server: Server, token: str) -> set[str]:
    answer = Call(server, "/sync/pull", {"lastPulledAt": None}, token).answer()
    return {record["id"] for record in answer.json["changes"]["projects"]["created"]}


def push_of(server: Server, token: str, record: dict[str, Any], **more: Any) -> Call:
    body = {"changes": {"projects": created(record)}, "lastPulledAt": 0, **more}
    return Call(server, "/sync/push", body, token)


def close(call: Call) -> None:
    call._connection.close()


def shut(call: Call) -> None:
    call._connection.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_hung_up_stores_nothing(tmp_path: Path, kind: str) -> None:
    """Contract push 8: neither a push that waits for the database's lock, nor those behind it in
    this process's queue; who still waits is stored."""
    with serving(kind, tmp_path, workers=1, WEB_THREADS="4") as server:
        who = register(server)
        token = who["access_token"]
        with locked(server, kind, who["user"]["id"]):
            left = [push(server, token) for _ in range(3)]
            kept = project()
            waits = push_of(server, token, kept)
            wait_until_asked(server, token)
            for call in left:
                close(call)
        assert waits.answer().status == 200
        assert stored(server, token) == {kept["id"]}
        log = server.log.read_text()
    assert "Traceback" not in log


def wait_until_asked(server: Server, token: str) -> None:
    """Until the server has read what was sent before: it answers others meanwhile."""
    for _ in range(3):
        assert Call(server, "/sync/pull", {"lastPulledAt": None}, token).answer().status == 200


@pytest.mark.parametrize("kind", ["mariadb"])
def test_who_closes_its_side_is_told_that_nothing_is_stored(tmp_path: Path, kind: str) -> None:
    """Contract push 8: half a close is taken for a whole one, and said."""
    with serving(kind, tmp_path, workers=1) as server:
        who = register(server)
        with locked(server, kind, who["user"]["id"]):
            call = push(server, who["access_token"])
            wait_until_asked(server, who["access_token"])
            shut(call)
        answer = call.answer()
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert stored(server, who["access_token"]) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_the_network_kept_comes_too_late(tmp_path: Path, kind: str) -> None:
    """Contract push 8: the same request again, after a newer one of its session, on a real wire."""
    with serving(kind, tmp_path) as server:
        token, home = register(server)["access_token"], project()
        assert push_of(server, token, home, pushNumber=1).answer().status == 200
        late = home | {"name": "Late", "_changed": "name"}
        newest = home | {"name": "Newest", "_changed": "name"}
        close(push_of(server, token, late, pushNumber=2))
        assert push_of(server, token, newest, pushNumber=3).answer().status == 200
        copy = push_of(server, token, late, pushNumber=2).answer()
        assert (copy.status, copy.json["code"]) == (409, "push_outdated")
        assert copy.json["errors"] == {"pushNumber": 3}
        answer = Call(server, "/sync/pull", {"lastPulledAt": None}, token).answer()
        assert [r["name"] for r in answer.json["changes"]["projects"]["created"]] == ["Newest"]
