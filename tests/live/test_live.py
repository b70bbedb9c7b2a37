"""The live process from outside: each sentence of the contract's Live."""

import itertools
import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from devices import PASSWORD, created, deleted, edited, project, task, updated
from living import Listener, Live, Person

pytest_plugins = ["live_fixtures"]

LONG = 10  # s: it comes, however slow the machine is
NEVER = 0.8  # s: long enough for what would come at once
JSON = {"Accept": "application/json"}
EVENTS = {"Accept": "text/event-stream"}


def test_it_tells_of_another_phones_push(live: Live, ada: Person) -> None:
    """Contract, Live 1: after each commit that the session did not make itself."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live, **EVENTS).head() as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        assert not stream.news(NEVER)
        for number in range(3):
            tablet.push(projects=created(project(name=f"{number}")))
            assert stream.news(LONG)
        assert not stream.news(NEVER)
    assert len(phone.pull()["projects"]["created"]) == 3


def test_what_it_pushed_itself_is_no_news(live: Live, ada: Person) -> None:
    """Contract, Live 1: neither before, nor while it listens."""
    phone = ada.first
    home = project()
    phone.push(projects=created(home))
    with phone.listen(live, "?since=0").head() as stream:
        phone.push(projects=updated(edited(home, name="Own")))
        assert not stream.news(NEVER)


def test_what_has_come_already_is_told_at_once(live: Live, ada: Person) -> None:
    """Contract, Live 1: where that is so already for `since`."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    tablet.push(projects=created(project()))
    with phone.listen(live).head() as stream:
        assert stream.news(LONG)
        assert not stream.news(NEVER)
    phone.pull()
    with phone.listen(live).head() as stream:
        assert not stream.news(NEVER)


def test_what_the_server_made_of_a_push_is_told_to_its_phone(live: Live, ada: Person) -> None:
    """Contract, Live 1: what the server altered or refused of its push included. A child under a
    deleted parent is stored as deleted (push 4)."""
    phone = ada.first
    home = project()
    phone.push(projects=created(home))
    phone.push(projects=deleted(home["id"]))
    with phone.listen(live).head() as stream:
        assert not stream.news(NEVER)
        assert phone.push(tasks=created(task(home["id"]))) is None
        assert stream.news(LONG)


def test_a_push_of_a_phone_that_was_told_is_no_news(live: Live, ada: Person) -> None:
    """Contract, Live 1: it has pulled meanwhile, which nobody says here."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live).head() as stream:
        tablet.push(projects=created(project()))
        assert stream.news(LONG)
        phone.pull()
        for _ in range(3):
            phone.push(projects=created(project()))
        assert not stream.news(NEVER)


def test_another_accounts_push_is_nobodys_business(live: Live, ada: Person) -> None:
    """Contract, Live 1."""
    eve = Person(ada.server)
    ada.first.pull()
    with ada.first.listen(live).head() as stream:
        eve.first.push(projects=created(project()))
        assert not stream.news(NEVER)


def test_commits_in_one_moment_may_be_one_event(live: Live, ada: Person) -> None:
    """Contract, Live 1: and the last one is told."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live).head() as stream:
        for _ in range(10):
            tablet.push(projects=created(project()))
        told = sum(itertools.takewhile(bool, (stream.news(2) for _ in range(11))))
        assert 1 <= told <= 10
    assert len(phone.pull()["projects"]["created"]) == 10


def test_a_since_ahead_of_the_clock_waits_from_now_on(live: Live, ada: Person) -> None:
    """Contract, Live 1: the server was restored, or the phone asks by its own clock."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live, f"?since={phone.since + 600_000}").head() as stream:
        assert not stream.news(NEVER)
        tablet.push(projects=created(project()))
        assert stream.news(LONG)


def test_when_to_come_again_is_said_at_random(live: Live, ada: Person) -> None:
    """Contract, Live 2: `retry:` with a random part."""
    found = set()
    for _ in range(4):
        with ada.first.listen(live).head() as stream:
            assert stream._took(b"retry: ", LONG)
            found.add(stream.text())
    assert len(found) > 1


@pytest.mark.parametrize("server", ["sqlite"], indirect=True, scope="module")
def test_a_comment_comes_within_25_seconds(live: Live, ada: Person) -> None:
    """Contract, Live 2."""
    ada.first.pull()
    with ada.first.listen(live).head() as stream:
        assert stream.comment(25)
        assert stream.text().count("retry: ") == 2, "what is seen where comments are not"


def test_a_long_poll_answers_when_there_is_news(live: Live, ada: Person) -> None:
    """Contract, Live 3: at once where there is some, else as soon as it comes."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live, **JSON) as poll:
        time.sleep(0.3)
        tablet.push(projects=created(project()))
        assert poll.head().body() == {"news": True}
        assert poll.headers["content-type"] == "application/json"
    with phone.listen(live, **JSON, Accept_Encoding="gzip, deflate") as poll:
        assert poll.head().body() == {"news": True}
        assert "content-encoding" not in poll.headers


@pytest.mark.parametrize("wait", ["0", "0.4"])
def test_a_long_poll_ends_without_news(live: Live, ada: Person, wait: str) -> None:
    """Contract, Live 3: `?wait=` seconds."""
    ada.first.pull()
    with ada.first.listen(live, f"?since={ada.first.since}&wait={wait}", **JSON) as poll:
        assert poll.head().body() == {"news": False}


def test_a_long_poll_with_a_long_wait_is_taken(live: Live, ada: Person) -> None:
    """Contract, Live 3: more than 55 counts as 55."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live, f"?since={phone.since}&wait=99999", **JSON) as poll:
        tablet.push(projects=created(project()))
        assert poll.head().body() == {"news": True}


def test_it_never_says_what(live: Live, ada: Person) -> None:
    """Contract, Live 4."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live).head() as stream:
        tablet.push(projects=created(project(name="secret")))
        assert stream.news(LONG)
        assert "secret" not in stream.text()


@pytest.mark.parametrize("how", ["logout", "logout-all", "from the other phone"])
def test_the_stream_of_a_revoked_session_ends(live: Live, ada: Person, how: str) -> None:
    """Contract, Live 5: within 5 s, of that session alone."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    tablet.pull()
    with phone.listen(live).head() as stream, tablet.listen(live).head() as other:
        if how == "from the other phone":
            sessions = tablet.call("GET", "/auth/sessions")[1]
            (session,) = [s["id"] for s in sessions if not s["current"]]
            assert tablet.call("DELETE", f"/auth/sessions/{session}")[0] == 204
        else:
            assert phone.call("POST", f"/auth/{how}")[0] == 204
        assert stream.ends(LONG)
        assert not stream.news(0)
        assert other.ends(LONG) if how == "logout-all" else not other.ends(NEVER)
    with phone.listen(live).head() as stream:
        assert stream.status == 401
        assert stream.body()["code"] == "token_revoked"


def test_the_stream_of_a_deleted_account_ends(live: Live, ada: Person) -> None:
    """Contract, Live 5."""
    with ada.first.listen(live).head() as stream:
        assert ada.first.call("DELETE", "/users/me", {"password": PASSWORD})[0] == 204
        assert stream.ends(LONG)


def test_a_long_poll_of_a_revoked_session_ends(live: Live, ada: Person) -> None:
    """Contract, Live 5."""
    ada.first.pull()
    with ada.first.listen(live, **JSON) as poll:
        time.sleep(0.3)
        ada.first.call("POST", "/auth/logout")
        assert poll.head().body() == {"news": False}


# Errors (Live 9)


def problem(listener: Listener) -> tuple[int, str]:
    with listener.head() as answer:
        found = answer.body()
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == found["request_id"]
        return answer.status, found["code"]


def test_nobody_without_a_token_listens(live: Live, ada: Person) -> None:
    """Contract, Live 9: errors as everywhere."""
    assert problem(Listener(live, None)) == (401, "token_missing")
    assert problem(Listener(live, "x.y.z")) == (401, "token_invalid")
    assert problem(Listener(live, ada.first.refresh_token)) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?since=abc", ["since"]),
        ("?since=-1", ["since"]),
        ("?since=9999999999999", ["since"]),
        ("?wait=x", ["wait"]),
        ("?wait=-1&since=1.5", ["since", "wait"]),
    ],
)
def test_a_bad_query_is_named(live: Live, ada: Person, query: str, place: list[str]) -> None:
    """Contract, Live 1 and 9: bad is 422, all of it at once."""
    with ada.first.listen(live, query).head() as answer:
        found = answer.body()
        assert (answer.status, found["code"]) == (422, "validation_failed")
        assert sorted(found["errors"]) == place


@pytest.mark.parametrize("query", ["", "?since=", "?since=null", "?since=undefined", "?since=0"])
def test_no_since_is_0(live: Live, ada: Person, query: str) -> None:
    """Contract, Live 1."""
    ada.phone().push(projects=created(project()))
    with ada.first.listen(live, query).head() as stream:
        assert stream.news(LONG)


def test_other_kinds_are_not_acceptable(live: Live, ada: Person) -> None:
    """Contract, Live 9."""
    assert problem(ada.first.listen(live, Accept="text/html")) == (406, "not_acceptable")
    with ada.first.listen(live, Accept="*/*").head() as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
    accepts = "application/json, text/plain, */*"  # axios
    with ada.first.listen(live, "?since=0&wait=0", Accept=accepts).head() as poll:
        assert poll.body() == {"news": False}


def test_so_many_of_a_session_and_no_more(live: Live, ada: Person) -> None:
    """Contract, Live 9: over 10 streams and long polls a session, 429; another phone's are its
    own; one that went makes room."""
    ada.first.pull()
    with ExitStack() as opened:
        streams = [opened.enter_context(ada.first.listen(live)) for _ in range(9)]
        streams.append(opened.enter_context(ada.first.listen(live, **JSON)))
        for stream in streams[:9]:
            stream.head()
        wait_until(lambda: problem(ada.first.listen(live)) == (429, "rate_limited"))
        with ada.first.listen(live).head() as refused:
            assert int(refused.headers["retry-after"]) > 0
        with ada.phone().listen(live).head() as other:
            assert other.status == 200
        streams[0].line.close()

        def has_room() -> bool:
            with ada.first.listen(live).head() as again:
                return again.status == 200

        wait_until(has_room)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_else_is_asked_is_no_page(live: Live, ada: Person) -> None:
    """Contract, Live 9: unknown URLs, other methods, no HTTP at all."""
    for method, path, wanted in (
        ("GET", "/api/v1/sync/pull", 404),
        ("GET", "/", 404),
        ("POST", "/api/v1/sync/live", 405),
        ("NONSENSE", "/api/v1/sync/live", 405),
    ):
        answer = raw(live, f"{method} {path} HTTP/1.1\r\nHost: melon\r\nConnection: close\r\n\r\n")
        assert_is_problem(answer, wanted)
    assert_is_problem(raw(live, "what is this\r\n\r\n"), 400)


def assert_is_problem(answer: str, status: int) -> None:
    """Contract, Errors 1 and 3."""
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert json.loads(body)["request_id"] == headers["x-request-id"]


def test_its_health_is_told_to_nobody_who_stores_it(live: Live) -> None:
    answer = raw(live, "GET /healthz HTTP/1.1\r\nHost: melon\r\nConnection: close\r\n\r\n").lower()
    assert answer.startswith("http/1.1 200 ")
    assert "cache-control: no-store" in answer


def raw(live: Live, request: str) -> str:
    place = urlsplit(live.url)
    with socket.create_connection((place.hostname, place.port), timeout=LONG) as line:
        line.sendall(request.encode())
        return b"".join(iter(lambda: line.recv(65_536), b"")).decode()
