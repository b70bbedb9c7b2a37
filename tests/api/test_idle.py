"""The answer in front of Flask is Flask's answer, and given only where it would be."""

import gzip
import json
import logging
import time
from typing import Any

import pytest
from devices import API, Device, created, project
from hypothesis import given
from hypothesis import strategies as st
from in_front import UNUSUAL, headers_of, limiter_as_it_was, new_phone, phone, seen_by_flask, store
from round_trips import round_trips
from servers import PrivateRedis
from werkzeug.test import TestResponse

from melon_api.auth import tokens
from melon_api.storage.memory import near_cache
from melon_api.sync import requests
from melon_api.sync.front import call
from melon_api.sync.rules.walk import PullRequest

FIXTURES = (limiter_as_it_was, new_phone, phone, store)
FEW = {"RATELIMIT_ENABLED": "true", "RATELIMIT_PULL_PER_ACCOUNT": "6/minute;100/hour"}
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def idle_pull(phone: Device, **more: Any) -> TestResponse:
    body = {"lastPulledAt": phone.pulled_at, "schemaVersion": 1, "migration": None}
    return phone.call("POST", "/sync/pull", **{"json": body} | more)


@pytest.mark.parametrize(
    "settings",
    [{}, {"CORS_ORIGINS": ""}, {"CORS_ORIGINS": "*"}, {"CORS_ORIGINS": "https://app.example"}, FEW],
)
def test_both_answer_alike(new_phone: Any, monkeypatch: Any, settings: dict[str, str]) -> None:
    phone = new_phone(**settings)
    with seen_by_flask(phone.http.application) as seen:
        first = idle_pull(phone)
        assert not seen
        monkeypatch.setattr(call, "PLAIN_TYPES", set())
        second = idle_pull(phone)
        assert seen
    assert (first.status, first.data) == (second.status, second.data)
    ours, flasks = headers_of(first), headers_of(second)
    left = [headers.pop("RateLimit-Remaining", None) for headers in (ours, flasks)]
    resets = [headers.pop("RateLimit-Reset", None) for headers in (ours, flasks)]
    assert ours == flasks
    if settings is FEW:
        assert left == ["2", "1"]
        assert all(1 <= int(seconds) <= 60 for seconds in resets)


def test_it_carries_its_request_id(phone: Device, caplog: Any) -> None:
    logging.getLogger("melon_api").setLevel(logging.INFO)
    with caplog.at_level(logging.INFO, "melon_api.requests"), seen_by_flask(phone.http.application):
        answer = idle_pull(phone, headers={"X-Request-ID": "from-the-phone"})
        other = idle_pull(phone, headers={"X-Request-ID": "no good"})
    assert answer.headers["X-Request-ID"] == "from-the-phone"
    assert len(other.headers["X-Request-ID"]) == 32
    lines = [dict(r.msg) for r in caplog.records]
    assert [line["event"] for line in lines] == [f"POST {API}/sync/pull 200"] * 2
    assert [line["request_id"] for line in lines] == [
        answer.headers["X-Request-ID"],
        other.headers["X-Request-ID"],
    ]
    assert {line["pull"] for line in lines} == {"idle"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        *UNUSUAL,
        ({"query_string": {"limit": "x"}}, 422),
        ({"query_string": {"limit": "5"}}, 200),
        ({"method": "GET"}, 200),
        ({"json": {"lastPulledAt": -1}}, 422),
        ({"json": {"lastPulledAt": 10**15}}, 422),
        ({"json": {"lastPulledAt": None}}, 200),
        ({"json": {"lastPulledAt": 1, "limit": 0}}, 422),
        ({"data": b"[" * 2_000, "content_type": "application/json"}, 400),
    ],
    ids=lambda value: str(value)[:60],
)
def test_whatever_is_unusual_goes_to_flask(
    phone: Device, request_: dict[str, Any], status: int
) -> None:
    more = dict(request_)
    method = more.pop("method", "POST")
    if "data" not in more and "json" not in more and method == "POST":
        more["json"] = {"lastPulledAt": phone.pulled_at}
    with seen_by_flask(phone.http.application) as seen:
        answer = phone.call(method, "/sync/pull", **more)
    assert seen == [f"{API}/sync/pull"]
    assert answer.status_code == status, answer.text


def test_a_body_cut_short_is_not_parsed(phone: Device) -> None:
    """Contract, Requests 4; what came happens to be a pull."""
    sent = {"json": {"lastPulledAt": phone.pulled_at}}
    assert phone.call("POST", "/sync/pull", **sent).status_code == 200
    answer = phone.call("POST", "/sync/pull", **sent, environ_overrides={"CONTENT_LENGTH": "99"})
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


def test_a_packed_body_is_read(phone: Device) -> None:
    data = gzip.compress(json.dumps({"lastPulledAt": phone.pulled_at}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert phone.call("POST", "/sync/pull", data=data, headers=headers).status_code == 200


def test_a_long_answer_is_compressed(phone: Device) -> None:
    """Contract, Requests 2: as Flask would; so it is left to Flask."""
    phone.http.application.config["COMPRESS_MIN_SIZE"] = 1
    answer = idle_pull(phone, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert idle_pull(phone).headers.get("Content-Encoding") is None


def test_a_push_is_seen_by_the_next_pull(phone: Device) -> None:
    """Contract pull 1."""
    for number in range(20):
        phone.push(projects=created(project(name=f"number {number}")))
        (told,) = phone.pull()["projects"]["updated"]
        assert told["name"] == f"number {number}"
        assert phone.pull()["projects"] == {"created": [], "updated": [], "deleted": []}


def test_a_session_that_has_ended_is_told(phone: Device) -> None:
    assert phone.call("POST", "/auth/logout").status_code == 204
    assert idle_pull(phone).json["code"] == "token_revoked"


def test_a_deleted_account_is_told(phone: Device) -> None:
    body = {"password": "correct-horse-battery"}
    assert phone.call("DELETE", "/users/me", json=body).status_code == 204
    assert idle_pull(phone).json["code"] == "token_revoked"


def test_a_disabled_account_is_told(phone: Device) -> None:
    email = phone.call("GET", "/users/me").json["email"]
    done = phone.http.application.test_cli_runner().invoke(args=["users", "deactivate", email])
    assert done.exit_code == 0, done.output
    assert idle_pull(phone).json["code"] == "account_disabled"


def test_an_expired_token_is_told(phone: Device, monkeypatch: Any) -> None:
    """A signature is looked at once, the time each time."""
    assert idle_pull(phone).status_code == 200
    later = time.time() + 16 * 60
    monkeypatch.setattr(tokens.time, "time", lambda: later)
    with seen_by_flask(phone.http.application) as seen:
        idle_pull(phone)
    assert seen


def test_an_address_may_have_to_be_verified_first(new_phone: Any) -> None:
    phone = new_phone()
    phone.http.application.config["REQUIRE_VERIFIED_EMAIL"] = True
    assert idle_pull(phone).json["code"] == "email_not_verified"


def test_a_refresh_token_is_no_access_token(phone: Device) -> None:
    answer = phone.call("POST", "/sync/pull", phone.refresh_token, json={"lastPulledAt": 1})
    assert answer.json["code"] == "token_invalid"
    answer = phone.call("POST", "/sync/pull", phone.refresh_token, json={"lastPulledAt": 1})
    assert answer.json["code"] == "token_invalid"


def test_an_access_token_is_no_refresh_token(phone: Device) -> None:
    assert idle_pull(phone).status_code == 200
    answer = phone.call("POST", "/auth/refresh", phone.access_token)
    assert answer.json["code"] == "token_invalid"


def test_the_limit_is_the_same_on_both_ways(new_phone: Any, monkeypatch: Any) -> None:
    """Three pulls were made before; each way counts once, in one round trip."""
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 3600)
    phone = new_phone(**FEW)
    store_url = phone.http.application.config["REDIS_URL"]
    with round_trips(store_url) as asked:
        answers = [idle_pull(phone)]
        answers += [idle_pull(phone, headers={"Accept": "application/*"}) for _ in range(2)]
    assert asked == ["EVALSHA"] * 3
    with round_trips(store_url) as asked:
        answers += [idle_pull(phone) for _ in range(2)]
    assert asked == ["EVALSHA"] * 2  # refused by Flask, counted in front of it
    assert [a.status_code for a in answers] == [200] * 3 + [429] * 2
    assert [a.headers["RateLimit-Remaining"] for a in answers] == ["2", "1", "0", "0", "0"]
    assert {a.headers["RateLimit-Limit"] for a in answers} == {"6"}
    assert all(name in answers[0].headers for name in LIMITS)


def test_limits_go_on_while_redis_is_away(new_phone: Any, store: PrivateRedis) -> None:
    phone = new_phone(**FEW)
    store.kill()
    codes = [idle_pull(phone).status_code for _ in range(8)]
    assert codes == [200] * 6 + [429] * 2  # counted anew, in memory


def test_few_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_VERIFIED", 3)
    verified = tokens.VerifiedTokens()
    for number in range(10):
        verified.remember(f"Bearer {number}", {"exp": time.time() + 60})
    assert [n for n in range(10) if verified.claims(f"Bearer {n}")] == [7, 8, 9]


clocks = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(), st.text(max_size=5)
)
bodies = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "lastPulledAt": clocks,
            "schemaVersion": clocks,
            "migration": st.one_of(st.none(), st.just({}), st.integers()),
            "limit": st.one_of(st.none(), st.integers(-1, 3)),
            "replacement": st.booleans(),
            "more": st.integers(),
        },
    ),
    st.lists(st.integers()),
    st.none(),
)


@given(bodies)
def test_one_definition_at_two_speeds(body: Any) -> None:
    """A plain body means what the schema says that it means."""
    since = requests.plain_since(body)
    if since is not None:
        assert requests._read_pull(body, lambda _text: None) == PullRequest(since)


def test_plain_bodies_are_plain() -> None:
    """Of the stock client, and of one that says no more than it must."""
    assert requests.plain_since({"lastPulledAt": 7, "schemaVersion": 1, "migration": None}) == 7
    assert requests.plain_since({"lastPulledAt": 7}) == 7
