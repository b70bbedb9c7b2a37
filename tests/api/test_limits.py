"""Limits for each client address and each account, over HTTP against two workers."""

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import environment, make_app
from devices import API, PASSWORD, Account, Device, new_id
from flask import Flask
from servers import PrivateRedis, Server, serving
from sqlalchemy.exc import OperationalError

from melon_api.auth import service
from melon_api.storage.redis import AWAY_SECONDS
from melon_api.sync import pull as pulls
from melon_api.web.limits import limiter
from melon_api.web.problems import RETRY_AFTER_SECONDS

LIMITED = {"RATELIMIT_ENABLED": "true", "TRUSTED_PROXIES": "1"}


@dataclass
class Answer:
    status: int
    headers: Any
    body: Any


class Client:
    """Somebody who calls, from an address of their own as the router tells it."""

    _addresses = iter(f"198.18.{i // 250}.{i % 250 + 1}" for i in range(60_000))

    def __init__(self, server: Server, address: str | None = None) -> None:
        self.url, self.address = server.url, address or next(self._addresses)

    def call(
        self, path: str, body: Any = None, token: str | None = None, method: str = "POST"
    ) -> Answer:
        headers = {"X-Forwarded-For": self.address, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body if body is not None else {}).encode() if method != "GET" else None
        request = urllib.request.Request(f"{self.url}{API}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, json.loads(answer.read() or b"null"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, json.loads(error.read()))

    def register(self) -> tuple[str, dict[str, Any]]:
        email = f"{new_id()}@example.com"
        answer = self.call("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status == 201, answer.body
        return email, answer.body

    def login(self, email: str, password: str = "wrong-password") -> Answer:
        return self.call("/auth/login", {"email": email, "password": password})


@contextmanager
def limited(folder: Path, **settings: str) -> Iterator[Server]:
    """With a Redis of its own: two workers count together, and nobody else."""
    with PrivateRedis() as store:
        environ = LIMITED | {"REDIS_URL": store.url} | settings
        with serving("sqlite", folder, **environ) as server:
            yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two calls of each kind for an account, five for an address."""
    calls = ("LOGIN", "FORGOT", "REFRESH", "PULL", "PUSH")
    few = {f"RATELIMIT_{call}_PER_ACCOUNT": "2/hour" for call in calls}
    few |= {f"RATELIMIT_{call}_PER_ADDRESS": "5/hour" for call in calls}
    with limited(tmp_path_factory.mktemp("limits"), **few) as server:
        yield server


def codes(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def test_login_is_limited(server: Server) -> None:
    """Contract, Accounts 13: for an account from however many addresses, and for an address
    whatever it tries."""
    email, _ = Client(server).register()
    assert codes([Client(server).login(email) for _ in range(3)]) == [401, 401, 429]
    assert Client(server).login(email.upper(), PASSWORD).status == 429
    thief = Client(server)
    tries = [thief.login(f"{new_id()}@example.com") for _ in range(6)]
    assert codes(tries) == [401] * 5 + [429]


def test_mails_are_limited(server: Server) -> None:
    """Contract, Accounts 13, known or not: the limit does not tell, either."""
    known, _ = Client(server).register()
    for email in (known, f"{new_id()}@example.com"):
        asked = [Client(server).call("/auth/password/forgot", {"email": email}) for _ in range(4)]
        assert codes(asked) == [202] * 4
        assert asked[-1].headers["RateLimit-Remaining"] == "0"
    client = Client(server)
    asked = [client.call("/auth/password/forgot", {"email": f"{new_id()}@x.org"}) for _ in range(6)]
    assert codes(asked) == [202] * 5 + [429]


@pytest.mark.parametrize("remembers", [True, False], ids=["redis", "none"])
def test_nobody_is_mailed_more_often_whoever_asks(tmp_path: Path, remembers: bool) -> None:
    """Contract, Accounts 13: strangers give their accounts the victim's address and another one in
    turn, register with it, say that they forgot its password."""
    victim, told = f"{new_id()}@example.com", []
    with ExitStack() as stack:
        store = stack.enter_context(PrivateRedis()).url if remembers else ""
        few = LIMITED | {"REDIS_URL": store, "APP_ENV": "development"}
        server = stack.enter_context(serving("sqlite", tmp_path, 1, **few))
        strangers = [Client(server) for _ in range(3)]
        tokens = [stranger.register()[1]["access_token"] for stranger in strangers]
        for _ in range(4):
            for stranger, token in zip(strangers, tokens, strict=True):
                for email in (victim, f"{new_id()}@example.com"):
                    body = {"email": email, "current_password": PASSWORD}
                    told.append(stranger.call("/users/me", body, token, method="PATCH").status)
            body = {"email": victim, "password": PASSWORD}
            told.append(Client(server).call("/auth/register", body).status)
            told.append(Client(server).call("/auth/password/forgot", {"email": victim}).status)
    assert set(told) <= {200, 201, 202, 409, 429}
    assert told.count(200) <= 3 * 5
    assert told[-1] == 202
    mails = [path.read_text() for path in (tmp_path / "mail").glob("*.txt")]
    sent = Counter(mail.partition("To: ")[2].partition("\n")[0] for mail in mails)
    assert 1 <= sent[victim] <= 5
    assert max(sent.values()) <= 5


def test_a_reset_is_told_as_long_as_there_may_be_mail(tmp_path: Path) -> None:
    """Contract, Accounts 13, by whichever call; a reset itself is never refused for it."""

    def mails_to(email: str, least: int = 0) -> list[str]:
        """Once there are so many."""
        while True:
            texts = [path.read_text() for path in (tmp_path / "mail").glob("*.txt")]
            mails = [text for text in texts if f"To: {email}\n" in text]
            if len(mails) >= least:
                return mails

    with serving("sqlite", tmp_path, 1, **LIMITED, APP_ENV="development") as server:
        for forgotten in (3, 4):  # beside the mail of the registration
            email, _ = Client(server).register()
            for _ in range(forgotten):
                Client(server).call("/auth/password/forgot", {"email": email})
            mails = mails_to(email, 1 + forgotten)
            asked = next(mail for mail in mails if "Set a new password" in mail)
            token = re.findall(r"^[\w-]{43}$", asked, re.MULTILINE)
            body = {"token": token[0], "new_password": "another-horse-battery"}
            assert Client(server).call("/auth/password/reset", body).status == 204
            assert Client(server).login(email, body["new_password"]).status == 200
            mails_to(Client(server).register()[0], 1)  # they go in turn
            assert len(mails_to(email)) == 5


@pytest.mark.parametrize(("path", "kind"), [("/sync/pull", "pull"), ("/sync/push", "push")])
def test_sync_is_limited(server: Server, path: str, kind: str) -> None:
    """Contract, Accounts 13: accounts behind one address do not disturb each other, until the
    address is out."""
    house = Client(server)
    people = [Client(server).register()[1]["access_token"] for _ in range(3)]
    body = {"changes": {}} if kind == "push" else {}
    for token in people[:2]:
        assert codes([house.call(path, body, token) for _ in range(2)]) == [200, 200]
    assert house.call(path, body, people[0]).status == 429
    assert house.call(path, body, people[2]).status == 429
    assert Client(server).call(path, body, people[2]).status == 200


def test_the_phones_of_an_account_count_together(server: Server) -> None:
    email, first = Client(server).register()
    second = Client(server).login(email, PASSWORD).body
    tokens = [first["access_token"], second["access_token"]] * 2
    asked = [Client(server).call("/sync/pull", token=token) for token in tokens]
    assert codes(asked) == [200, 200, 429, 429]


def test_a_pull_is_a_pull_however_it_is_asked(server: Server) -> None:
    """With a body, by the query, or for the checksums alone: one limit of pulls."""
    token, client = Client(server).register()[1]["access_token"], Client(server)
    asked = [client.call("/sync/pull", token=token), client.call("/sync/pull", None, token, "GET")]
    asked.append(client.call("/sync/pull", token=token))
    asked.append(client.call("/sync/pull?last_pulled_at=null", None, token, "GET"))
    assert codes(asked) == [200, 200, 429, 429]


def test_refreshes_are_limited(server: Server) -> None:
    """Contract, Accounts 13."""
    _, tokens = Client(server).register()
    asked = [Client(server).call("/auth/refresh", token=tokens["refresh_token"]) for _ in range(3)]
    assert codes(asked) == [200, 200, 429]
    house = Client(server)
    people = [Client(server).register()[1]["refresh_token"] for _ in range(6)]
    asked = [house.call("/auth/refresh", token=token) for token in people]
    assert codes(asked) == [200] * 5 + [429]


def test_registrations_are_limited(tmp_path: Path) -> None:
    """Contract, Accounts 13: for an address, and for an account that somebody tries to open again
    and again."""
    few = {f"RATELIMIT_REGISTER_PER_{what}": "2/hour" for what in ("ADDRESS", "ACCOUNT")}
    with limited(tmp_path, **few) as server:
        client = Client(server)
        body = {"email": f"{new_id()}@x.org", "password": PASSWORD}
        asked = [
            client.call("/auth/register", body | {"email": f"{new_id()}@x.org"}) for _ in range(3)
        ]
        assert codes(asked) == [201, 201, 429]
        asked = [Client(server).call("/auth/register", body) for _ in range(3)]
        assert codes(asked) == [201, 409, 429]


def test_each_limited_call_says_what_is_left(server: Server) -> None:
    """And tells nobody to wait who need not."""
    client = Client(server)
    email, tokens = client.register()
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    for answer in (
        client.login(email, PASSWORD),
        client.login(email),
        client.call("/auth/password/forgot", {"email": email}),
        client.call("/auth/refresh", token=refresh),
        client.call("/sync/pull", token=access),
        client.call("/sync/push", {"changes": {}}, access),
        client.call("/sync/push", {"changes": 7}, access),
    ):
        limit, left, reset = (
            int(answer.headers[f"RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")
        )
        assert (limit, left) in ((2, 1), (2, 0))
        assert 0 < reset <= 3600
        assert "Retry-After" not in answer.headers


def test_each_call_counts_for_itself(server: Server) -> None:
    """Who has mistyped a password too often can still ask for a new one."""
    email, tokens = (client := Client(server)).register()
    assert codes([client.login(email) for _ in range(3)])[-1] == 429
    assert client.call("/auth/password/forgot", {"email": email}).status == 202
    assert client.call("/sync/pull", token=tokens["access_token"]).status == 200


def test_a_forged_hop_does_not_escape(server: Server) -> None:
    """Only the hop that the router itself added counts."""
    tries = [
        Client(server, f"{new_id()}, 10.0.0.{n}, 198.51.100.7").login(f"{new_id()}@x.org")
        for n in range(6)
    ]
    assert codes(tries) == [401] * 5 + [429]


def test_without_a_router_nothing_is_believed(tmp_path: Path) -> None:
    few = {"RATELIMIT_LOGIN_PER_ADDRESS": "2/hour", "TRUSTED_PROXIES": "0"}
    with limited(tmp_path, **few) as server:
        tries = [Client(server).login(f"{new_id()}@x.org") for _ in range(3)]
    assert codes(tries) == [401, 401, 429]


def test_a_network_of_one_customer_is_one_address(server: Server) -> None:
    """An IPv6 customer has 2^64 addresses."""
    tries = [Client(server, f"2001:db8:7:7::{n:x}").login(f"{new_id()}@x.org") for n in range(1, 7)]
    assert codes(tries) == [401] * 5 + [429]
    assert Client(server, "2001:db8:7:8::1").login(f"{new_id()}@x.org").status == 401


@pytest.mark.parametrize("address", ["unknown", "_hidden", "[::1]:80", "999.1.1.1", "fe80::1%eth0"])
def test_an_odd_address_is_counted_too(server: Server, address: str) -> None:
    tries = [Client(server, address).login(f"{new_id()}@x.org") for _ in range(6)]
    assert codes(tries) == [401] * 5 + [429]


def test_the_headers_are_honest(tmp_path: Path) -> None:
    """Contract, Errors 5: who waits for Retry-After gets through, and nobody else is told to."""
    limit = {"RATELIMIT_LOGIN_PER_ACCOUNT": "2/2 seconds"}
    with limited(tmp_path, **limit) as server:
        email, client = f"{new_id()}@example.com", Client(server)
        answers = [client.login(email) for _ in range(8)]
        told = next(answer for answer in answers if answer.status == 429)
        assert told.body["code"] == "rate_limited"
        assert told.headers["Retry-After"] == told.headers["RateLimit-Reset"]
        assert told.headers["RateLimit-Remaining"] == "0"
        assert 1 <= int(told.headers["Retry-After"]) <= 2
        first = answers[0]
        assert first.headers["RateLimit-Limit"] == "2"
        assert first.headers["RateLimit-Remaining"] == "1"
        assert "Retry-After" not in first.headers
        time.sleep(int(told.headers["Retry-After"]))
        assert client.login(email).status == 401


def test_retry_after_is_that_of_the_longest_limit(tmp_path: Path) -> None:
    few = {"RATELIMIT_LOGIN_PER_ACCOUNT": "1/second;2/hour"}
    few |= {"RATELIMIT_FORGOT_PER_ADDRESS": "1/second", "RATELIMIT_FORGOT_PER_ACCOUNT": "2/hour"}
    with limited(tmp_path, **few) as server:
        body, client = {"email": f"{new_id()}@example.com", "password": "x"}, Client(server)
        token = client.register()[1]["access_token"]
        for path in ("/auth/login", "/auth/email/resend"):
            answers = [client.call(path, body, token) for _ in range(6)]
            assert answers[-1].status == 429
            assert 1 < int(answers[-1].headers["Retry-After"]) <= 3600
            assert answers[-1].headers["Retry-After"] == answers[-1].headers["RateLimit-Reset"]
            assert answers[-1].headers["RateLimit-Limit"] == "2"


def test_limits_go_on_in_memory_while_redis_is_away(tmp_path: Path) -> None:
    """Flask-Limiter's default would be a 500 on every request."""
    with PrivateRedis() as store:
        few = {"RATELIMIT_LOGIN_PER_ACCOUNT": "3/hour", "REDIS_URL": store.url}
        with serving("sqlite", tmp_path, workers=1, **LIMITED, **few) as server:
            assert Client(server).login(f"{new_id()}@example.com").status == 401
            store.kill()
            email = f"{new_id()}@example.com"
            assert codes([Client(server).login(email) for _ in range(4)]) == [401] * 3 + [429]
            for _ in range(10):
                assert Client(server).login(f"{new_id()}@example.com").status == 401
            log = server.log.read_text()
            assert log.count("falling back to in-memory") == 1
            assert log.count("Redis does not answer") <= 1
            store.start()
            with redis.Redis.from_url(store.url) as client:
                deadline = time.monotonic() + 60
                while not client.keys("LIMITS*") and time.monotonic() < deadline:
                    assert Client(server).login(f"{new_id()}@example.com").status == 401
                    time.sleep(0.2)
                assert client.keys("LIMITS*")


def test_redis_holds_no_address_of_a_person(tmp_path: Path) -> None:
    with PrivateRedis() as store:
        with serving("sqlite", tmp_path, **LIMITED, REDIS_URL=store.url) as server:
            email, _ = Client(server).register()
            Client(server).login(email)
        with redis.Redis.from_url(store.url) as client:
            keys = [key.decode() for key in client.keys("LIMITS*")]
    assert keys
    assert not [key for key in keys if email in key or email.partition("@")[0] in key]


def test_without_limits_nothing_is_said_or_counted(tmp_path: Path) -> None:
    off = {"RATELIMIT_ENABLED": "false", "RATELIMIT_LOGIN_PER_ACCOUNT": "1/hour"}
    with limited(tmp_path, **off) as server:
        email = f"{new_id()}@example.com"
        answers = [Client(server).login(email) for _ in range(4)]
    assert codes(answers) == [401] * 4
    assert not [name for name in answers[0].headers if name.lower().startswith("ratelimit")]


def test_no_request_fails_while_redis_goes(tmp_path: Path) -> None:
    """Of many requests at the very moment, all are answered: the first to fail is not alone."""
    with PrivateRedis() as store:
        many = {"RATELIMIT_PULL_PER_ACCOUNT": "100000/hour", "REDIS_URL": store.url}
        many |= {"RATELIMIT_PULL_PER_ADDRESS": "100000/hour"}
        with serving("sqlite", tmp_path, **LIMITED, **many) as server:
            client = Client(server)
            token = client.register()[1]["access_token"]

            def pull(number: int) -> int:
                if number in (40, 120):
                    (store.freeze if number == 40 else store.thaw)()
                if number in (160, 240):
                    (store.kill if number == 160 else store.start)()
                return client.call("/sync/pull", token=token).status

            with ThreadPoolExecutor(12) as people:
                assert set(people.map(pull, range(320))) == {200}


def test_guesses_of_one_password_share_one_limit(server: Server) -> None:
    """Contract, Accounts 13: whichever call they are made by, and however often a name is
    changed."""
    email, tokens = (client := Client(server)).register()
    token, wrong = tokens["access_token"], {"password": "x", "current_password": "x"}
    assert client.login(email).status == 401
    change = wrong | {"new_password": "another-horse-battery"}
    del change["password"]
    assert client.call("/users/me/password", change, token).status == 422
    assert Client(server).call("/users/me/password", change, token).status == 429
    assert Client(server).login(email).status == 429


def test_a_new_address_is_no_new_account(server: Server) -> None:
    """Contract, Accounts 13: what the account has made counts on, under whichever name."""
    _, tokens = (client := Client(server)).register()
    token, wrong = tokens["access_token"], {"current_password": "x", "new_password": "x" * 20}
    assert client.call("/sync/pull", token=token).status == 200
    new = {"email": f"{new_id()}@example.com", "current_password": PASSWORD}
    assert client.call("/users/me", new, token, "PATCH").status == 200
    assert codes([client.call("/sync/pull", token=token) for _ in range(2)]) == [200, 429]
    tries = [Client(server).call("/users/me/password", wrong, token) for _ in range(2)]
    assert codes(tries) == [422, 429]


def test_a_port_behind_an_address_is_not_the_client(server: Server) -> None:
    """Some routers add it; each connection would have a limit of its own."""
    for address in ("198.51.100.9:{}", "[2001:db8:9:9::1]:{}"):
        tries = [
            Client(server, address.format(5_000 + n)).login(f"{new_id()}@x.org") for n in range(6)
        ]
        assert codes(tries) == [401] * 5 + [429]


@pytest.fixture
def app(store: PrivateRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A limited application in this process."""
    monkeypatch.setattr(limiter, "enabled", limiter.enabled)  # one for all applications: put back
    settings = environment("sqlite", f"sqlite:///{tmp_path}/limits.db", REDIS_URL=store.url)
    return make_app(settings | {"RATELIMIT_ENABLED": "true"}, tmp_path)


@pytest.fixture
def phone(app: Flask) -> Device:
    return Account(app).first


@pytest.fixture
def store() -> Iterator[PrivateRedis]:
    with PrivateRedis() as store:
        yield store


def test_a_redis_that_goes_during_a_call(
    phone: Device, store: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted before, asked behind it what is left: that is not known, and no failure."""
    pull = pulls.pull

    def go_meanwhile(*args: Any) -> Any:
        store.kill()
        return pull(*args)

    monkeypatch.setattr(pulls, "pull", go_meanwhile)
    answer = phone.ask_pull(None)
    assert answer.status_code == 200
    for name in ("Limit", "Remaining", "Reset"):
        assert len(answer.headers.getlist(f"RateLimit-{name}")) <= 1
    assert phone.ask_pull(None).headers["RateLimit-Remaining"] == "298"  # a number that it held


def login(phone: Device, email: str = "nobody@example.com") -> Any:
    body = {"email": email, "password": "wrong-password"}
    return phone.http.post(f"{API}/auth/login", json=body)


def test_no_view_is_called_twice(
    phone: Device, store: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Redis does meanwhile, and whatever the view itself meets of it."""
    calls: list[str] = []

    def fail(*_: object) -> None:
        calls.append("called")
        store.kill()
        raise redis.ConnectionError

    monkeypatch.setattr(pulls, "pull", fail)
    monkeypatch.setattr(service, "login", fail)
    assert phone.ask_pull(None).status_code == 500
    assert len(calls) == 1
    store.start()
    assert login(phone).status_code == 500
    assert len(calls) == 2


def test_who_meets_the_outage_together_is_counted_together(
    phone: Device, store: PrivateRedis
) -> None:
    """By Flask-Limiter both threads wait for Redis in vain, and count in memory; of pulls this
    process holds some numbers, and need not ask."""
    for call, counted in ((lambda: login(phone), 2), (lambda: phone.ask_pull(None), 3)):
        limit = int(call().headers["RateLimit-Limit"])
        store.freeze()
        with ThreadPoolExecutor(2) as people:
            answers = list(people.map(lambda _: call(), range(2)))
        store.thaw()
        assert {answer.status_code for answer in answers} <= {200, 401}
        left = min(int(answer.headers["RateLimit-Remaining"]) for answer in answers)
        assert left == limit - counted
        time.sleep(AWAY_SECONDS)  # until Redis is asked again


def test_an_apps_own_route_counts_in_the_same_place(app: Flask, store: PrivateRedis) -> None:
    """With the decorators that Flask-Limiter's documentation shows."""

    @app.get("/own")
    @limiter.limit("2/minute")
    def own() -> str:
        return "mine"

    http = app.test_client()
    answers = [http.get("/own") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json["code"] == "rate_limited"
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    with redis.Redis.from_url(store.url) as client:
        assert [key for key in client.keys("LIMITS*") if b"own" in key]
    store.kill()
    assert [http.get("/own").status_code for _ in range(3)] == [200, 200, 429]


def test_an_outage_says_its_own_time(phone: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract, Errors 6: 503 is over in seconds, whatever limit the call has."""

    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception(2003, "no"))

    monkeypatch.setattr(pulls, "pull", fail)
    answer = phone.ask_pull(None)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
