"""Audit events: each has its story, says who and in which request, and gives nothing away."""

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from devices import PASSWORD, Account, guest, new_id
from flask import Flask
from servers import PrivateRedis, Server, serving
from sqlalchemy import event as listening

from melon_api.audit import Event
from melon_api.loading import accounts
from melon_api.models.base import db
from melon_api.models.session import Session
from melon_api.ops import logs
from melon_api.sync import pull as pulls

NEW = "another-horse-battery"
API = "/api/v1"
WITHOUT_REQUEST = {Event.ACTIVATED, Event.DEACTIVATED}  # by the command line alone


class Lines(logging.Handler):
    """Every line, in the very form that production writes."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logs.Formatter(is_json=True))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def events(self) -> list[dict[str, Any]]:
        parsed = [json.loads(line) for line in self.lines]
        return [line for line in parsed if line["logger"] == "melon_api.audit"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


def last(lines: Lines, event: Event) -> dict[str, Any]:
    return [found for found in lines.events() if found["event"] == event][-1]


def sign_in(account: Account, password: str) -> Any:
    body = {"email": account.email, "password": password}
    return account.app.test_client().post(f"{API}/auth/login", json=body)


def cli(account: Account, *words: str) -> None:
    """`flask users …`, for real."""
    result = account.app.test_cli_runner().invoke(args=["users", *words, account.email])
    assert result.exit_code == 0, result.output


def reuse(account: Account) -> Any:
    stolen = account.first.refresh_token
    token = stolen
    for _ in range(2):
        token = account.first.call("POST", "/auth/refresh", token).json["refresh_token"]
    return account.first.call("POST", "/auth/refresh", stolen)


def mailed(account: Account, purpose: str) -> str:
    """The token of a mail, without the mail."""
    from melon_api.auth import recovery  # noqa: PLC0415 - beside its only use

    with account.app.app_context():
        return recovery._new_token(purpose, account.user["id"], account.email)


def verify(account: Account) -> Any:
    body = {"token": mailed(account, "verify")}
    return account.app.test_client().post(f"{API}/auth/email/verify", json=body)


def reset(account: Account) -> Any:
    body = {"token": mailed(account, "reset"), "new_password": NEW}
    return account.app.test_client().post(f"{API}/auth/password/reset", json=body)


def change_email(account: Account) -> Any:
    body = {"email": f"new.{account.email}", "current_password": PASSWORD}
    return account.first.call("PATCH", "/users/me", json=body)


def change_password(account: Account, current: str = PASSWORD) -> Any:
    body = {"current_password": current, "new_password": NEW}
    return account.first.call("POST", "/users/me/password", json=body)


def upgrade(account: Account) -> Any:
    """The account is a guest from before on."""
    account.first = guest(account.app)
    account.user = account.first.call("GET", "/users/me").json
    body = {"email": f"up.{account.email}"}
    return account.first.call("POST", "/users/me/upgrade", json=body)


def make_space(account: Account) -> Any:
    return account.first.call("POST", "/spaces", json={"id": account.user["id"][:9], "name": "A"})


def invite(account: Account) -> Any:
    path = f"/spaces/{make_space(account).json['id']}/invitations"
    return account.first.call("POST", path, json={"role": "owner"})


def revoke(account: Account) -> Any:
    made = invite(account).json
    path = f"/spaces/{make_space(account).json['id']}/invitations/{made['id']}"
    return account.first.call("DELETE", path)


def join(account: Account) -> Any:
    token = invite(Account(account.app)).json["token"]
    return account.first.call("POST", "/spaces/join", json={"token": token})


def as_member(account: Account, method: str, **body: Any) -> Any:
    path = f"/spaces/{join(account).json['id']}/members/{account.user['id']}"
    return account.first.call(method, path, **body)


Story = Callable[[Account], Any]
STORIES: dict[Event, Story] = {
    Event.SIGNED_IN: lambda a: sign_in(a, PASSWORD),
    Event.SIGN_IN_FAILED: lambda a: sign_in(a, "wrong-password"),
    Event.TOKEN_REUSED: reuse,
    Event.SESSION_REVOKED: lambda a: a.first.call("POST", "/auth/logout"),
    Event.SESSIONS_REVOKED: lambda a: a.first.call("POST", "/auth/logout-all"),
    Event.PASSWORD_CHANGED: change_password,
    Event.PASSWORD_REFUSED: lambda a: change_password(a, "wrong-password"),
    Event.PASSWORD_RESET: reset,
    Event.EMAIL_CHANGED: change_email,
    Event.EMAIL_VERIFIED: verify,
    Event.DEACTIVATED: lambda a: cli(a, "deactivate"),
    Event.ACTIVATED: lambda a: cli(a, "activate"),
    Event.EXPORTED: lambda a: a.first.call("GET", "/users/me/export"),
    Event.PROOF_REFUSED: lambda a: a.first.call("DELETE", "/users/me", json={"code": "123456"}),
    Event.UPGRADED: upgrade,
    Event.SPACE_CREATED: make_space,
    Event.SPACE_DELETED: lambda a: a.first.call("DELETE", f"/spaces/{make_space(a).json['id']}"),
    Event.INVITED: invite,
    Event.INVITATION_REVOKED: revoke,
    Event.MEMBER_JOINED: join,
    Event.ROLE_CHANGED: lambda a: as_member(a, "PATCH", json={"role": "reader"}),
    Event.MEMBER_LEFT: lambda a: as_member(a, "DELETE"),
    Event.DELETED: lambda a: a.first.call("DELETE", "/users/me", json={"password": PASSWORD}),
}
# The session that acts, or that is acted on; others are nobody's, or of many.
OF_A_SESSION = set(STORIES) - {
    Event.SIGN_IN_FAILED,
    Event.PASSWORD_RESET,
    Event.EMAIL_VERIFIED,
    Event.DEACTIVATED,
    Event.ACTIVATED,
}


def test_every_event_has_a_story() -> None:
    """`account_registered` and `accounts_loaded` are told below, `password_reset_requested` with
    the mails, those of codes and identities with them."""
    told_elsewhere = {Event.REGISTERED, Event.ACCOUNTS_LOADED, Event.RESET_REQUESTED}
    told_elsewhere |= {Event.CODE_REQUESTED, Event.CLAIMED}
    told_elsewhere |= {Event.IDENTITY_LINKED, Event.IDENTITY_UNLINKED}
    assert set(Event) - set(STORIES) == told_elsewhere


@pytest.mark.parametrize("event", STORIES)
def test_an_event_says_who_and_in_which_request(app: Flask, lines: Lines, event: Event) -> None:
    account = Account(app)
    answer = STORIES[event](account)
    told = last(lines, event)
    assert told["account_id"] == account.user["id"]
    assert ("session_id" in told) == (event in OF_A_SESSION)
    if event in WITHOUT_REQUEST:
        assert told["request_id"] == "-"
    else:
        assert told["request_id"] == answer.headers["X-Request-ID"]
        assert told["client"] == "127.0.0.1"


def test_loaded_accounts_are_counted(app: Flask, lines: Lines, tmp_path: Path) -> None:
    """By how many, and once: a file may hold a million."""
    file = tmp_path / "accounts.jsonl"
    people = ({"email": f"{new_id()}@example.com", "verified": True} for _ in range(3))
    file.write_text("\n".join(map(json.dumps, people)))
    for _ in range(2):
        assert app.test_cli_runner().invoke(args=["users", "load", str(file)]).exit_code == 0
    (told,) = lines.events()
    assert (told["event"], told["count"], told["request_id"]) == ("accounts_loaded", 3, "-")
    assert "account_id" not in told


def test_loaded_accounts_are_counted_up_to_where_it_was_cut_off(
    app: Flask, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "PER_TRANSACTION", 2)
    file = tmp_path / "accounts.jsonl"
    people = [{"email": f"{new_id()}@example.com"} for _ in range(3)]
    file.write_text("\n".join(map(json.dumps, people)))

    with app.app_context():
        engine = db.engine

    def at_the_third(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO users") and people[2]["email"] in str(given):
            raise KeyboardInterrupt

    listening.listen(engine, "before_cursor_execute", at_the_third)
    try:
        done = app.test_cli_runner().invoke(args=["users", "load", str(file)])
    finally:
        listening.remove(engine, "before_cursor_execute", at_the_third)
    assert "Aborted" in done.output
    (told,) = lines.events()
    assert (told["event"], told["count"]) == ("accounts_loaded", 2)


def test_a_registration_is_told(app: Flask, lines: Lines) -> None:
    account = Account(app)
    told = last(lines, Event.REGISTERED)
    assert told["account_id"] == account.user["id"]
    with app.app_context():
        (session,) = db.session.query(Session).filter_by(user_id=account.user["id"])
    assert told["session_id"] == session.id


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (lambda a: sign_in(a, "wrong-password"), "password"),
        (lambda a: (cli(a, "deactivate"), sign_in(a, PASSWORD)), "disabled"),
    ],
)
def test_a_failed_sign_in_says_why(app: Flask, lines: Lines, story: Story, reason: str) -> None:
    story(Account(app))
    told = last(lines, Event.SIGN_IN_FAILED)
    assert (told["reason"], told["level"]) == (reason, "warning")


def test_a_sign_in_of_nobody_names_nobody(app: Flask, lines: Lines) -> None:
    """People type passwords into the wrong field."""
    body = {"email": "my.secret@example.com", "password": PASSWORD}
    app.test_client().post(f"{API}/auth/login", json=body)
    told = last(lines, Event.SIGN_IN_FAILED)
    assert told["reason"] == "address"
    assert "account_id" not in told
    assert "secret" not in json.dumps(told)


def test_no_line_of_these_stories_holds_a_secret(
    app: Flask, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("melon_api", "melon_api.requests", "flask_limiter", "sqlalchemy.engine"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logging.DEBUG)
        logger._cache.clear()  # type: ignore[attr-defined]
    for story in STORIES.values():
        account = Account(app)
        story(account)
        log = "\n".join(lines.lines)
        phone = account.first
        secrets = (PASSWORD, NEW, phone.access_token, phone.refresh_token, account.email)
        assert not [secret for secret in secrets if secret in log]
    assert len(lines.lines) > 3 * len(STORIES)
    for name in ("melon_api", "melon_api.requests", "flask_limiter", "sqlalchemy.engine"):
        logging.getLogger(name)._cache.clear()  # type: ignore[attr-defined]


def test_a_crash_is_one_line(app: Flask, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its traceback: a machine reads line by line."""

    def crash(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    phone = Account(app).first
    monkeypatch.setattr(pulls, "pull", crash)
    answer = phone.ask_pull(None)
    (found,) = (line for line in map(json.loads, lines.lines) if line["level"] == "error")
    assert found["request_id"] == answer.headers["X-Request-ID"]
    assert "second line" in found["exception"]
    assert not [line for line in lines.lines if "\n" in line]


PRODUCTION = {"APP_ENV": "staging", "JWT_SECRET_KEY": "s" * 40, "LOG_LEVEL": "DEBUG"}
PRODUCTION |= {"ARGON2_MEMORY_KIB": "19456", "ARGON2_ITERATIONS": "2"}
GUNICORNS_OWN = re.compile(r"\[\d{4}-[^]]+\] \[\d+\] \[[A-Z]+\] .*")  # its start and its stop
HERE = "198.51.100.77"


def test_a_production_server_logs_json(tmp_path: Path) -> None:
    """And every line of a request its id, whatever happens meanwhile; nothing that people wrote."""
    with PrivateRedis() as redis:
        environ = PRODUCTION | {"REDIS_URL": redis.url}
        with serving("mariadb", tmp_path, **environ) as server:
            secrets = tell(server, redis)
        log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if not GUNICORNS_OWN.fullmatch(line)]
    told = {line["request_id"]: line for line in lines if line["logger"] == "melon_api.audit"}
    expected = {"story-00": Event.REGISTERED, "story-01": Event.SIGN_IN_FAILED}
    expected |= {"story-02": Event.SIGNED_IN, "story-05": Event.EXPORTED}
    expected |= {"story-08": Event.SESSIONS_REVOKED}
    assert {name: line["event"] for name, line in told.items()} == expected
    assert {line["client"] for line in told.values()} == {HERE}
    requests = {line["request_id"] for line in lines if line["logger"] == "melon_api.requests"}
    assert {f"story-{number:02}" for number in range(10)} <= requests
    assert [
        line for line in lines if line["logger"] == "melon_api.storage.redis_cache"
    ]  # Redis has gone
    assert len(secrets) == 8
    assert not [secret for secret in secrets if secret in log]


def tell(server: Server, redis: PrivateRedis) -> list[str]:
    """A story of ten requests; what none of their lines may hold."""
    numbers = itertools.count()

    def ask(method: str, path: str, token: str = "", **body: Any) -> Any:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": f"story-{next(numbers):02}"}
        headers |= {"X-Forwarded-For": HERE, "Content-Type": "application/json"}
        with closing(connection):
            connection.request(method, API + path, json.dumps(body) if body else None, headers)
            content = connection.getresponse().read()
        return json.loads(content) if content else None

    me = {"email": "ada.lovelace@example.com", "password": PASSWORD}
    phone = ask("POST", "/auth/register", **me)
    ask("POST", "/auth/login", **(me | {"password": "a-wrong-password"}))
    tablet = ask("POST", "/auth/login", **me)
    ask("GET", "/sync/pull?last_pulled_at=private-query", phone["access_token"])
    ask("POST", "/sync/push", phone["access_token"], changes={"a_private_table": 7})
    ask("GET", "/users/me/export", phone["access_token"])
    redis.kill()
    ask("GET", "/users/me", phone["access_token"])
    ask("POST", "/auth/refresh", tablet["refresh_token"])
    ask("POST", "/auth/logout-all", phone["access_token"])
    ask("GET", "/users/me", "no.such.token")
    tokens = [t[name] for t in (phone, tablet) for name in ("access_token", "refresh_token")]
    return [*me.values(), "a-wrong-password", "private", *tokens]
