"""`flask users …`, on every backend."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from conftest import NO_DATABASE, WITH_REDIS
from devices import API, PASSWORD, Account, Device, created, new_id, project
from flask import Flask
from sqlalchemy import func, select, update

from melon_api.auth import recovery, sessions
from melon_api.models.base import db, utc_now
from melon_api.models.mailed_token import MailedToken
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.storage.redis_cache import RedisCache
from melon_api.users import admin

NEW = "another-horse-battery"


def flask(app: Flask, *words: str, keys: str | None = None) -> str:
    """Run `flask users …` and give what it prints; `keys` are typed in."""
    result = app.test_cli_runner().invoke(args=["users", *words], input=keys)
    assert result.exit_code == 0, result.output
    return result.output


def refused(app: Flask, *words: str, keys: str | None = None) -> str:
    """The same for what fails: with a sentence, not with a traceback."""
    result = app.test_cli_runner().invoke(args=["users", *words], input=keys)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return result.output


def login(app: Flask, email: str, password: str) -> Any:
    body = {"email": email, "password": password}
    return app.test_client().post(f"{API}/auth/login", json=body)


NO_TEXT = "caf\udce9"  # what Python makes of a terminal that is no UTF-8


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("users", "list", NO_TEXT), "text"),
        (("users", "sessions", NO_TEXT), "account"),
        (("users", "create", "a@example.com", "--name", NO_TEXT, "--password", NEW), "name"),
        (("users", "create", "a@example.com", "--password", f"{NEW}{NO_TEXT}"), "password"),
        (("events", "retry", "an-id", NO_TEXT), "event_ids"),
        (("events", "drop", "--yes", "--target", NO_TEXT), "target"),
    ],
)
def test_bytes_that_are_no_text_are_said_and_not_stored(
    app: Flask, words: tuple[str, ...], place: str
) -> None:
    """Without a password in it."""
    result = app.test_cli_runner().invoke(args=words)
    assert (result.exit_code, result.output) == (1, f"Error: {place}: not UTF-8\n")


def test_an_operator_opens_an_account(app: Flask) -> None:
    email = f"Ada.{new_id()}@Example.com"
    output = flask(app, "create", email, "--name", "Ada", keys=f"{NEW}\n{NEW}\n")
    assert NEW not in output
    user = login(app, email.lower(), NEW).json["user"]
    assert user["id"] in output
    assert (user["email"], user["name"]) == (email.lower(), "Ada")
    assert "unverified" in flask(app, "list", email)


@pytest.mark.parametrize(
    ("email", "password", "word"),
    [("ada", NEW, "email"), ("x@example.com", "short", "password"), (None, NEW, "already")],
)
def test_what_is_no_account_is_named(
    account: Account, email: str | None, password: str, word: str
) -> None:
    args = ("create", email or account.email, "--password", password)
    said = refused(account.app, *args)
    assert word in said
    assert not set("{[") & set(said)  # a sentence, no data structure


@pytest.mark.parametrize(
    "command", ["activate", "deactivate", "delete", "sessions", "set-password"]
)
def test_an_unknown_account_is_named(app: Flask, command: str) -> None:
    words = {"set-password": ("--password", NEW), "delete": ("--yes",)}.get(command, ())
    assert "There is no account nobody@x" in refused(app, command, "nobody@x", *words)


@pytest.mark.parametrize(
    "name", ["müller@example.com", "\N{WATERMELON}", "x" * 300, "' or 1=1", "%", ""]
)
def test_an_odd_name_is_no_account(app: Flask, name: str) -> None:
    """The columns of ids are ASCII; a comparison with anything else is an error in MySQL."""
    assert f"There is no account {name}." in refused(app, "deactivate", name)


def test_an_address_is_found_as_people_write_it(app: Flask) -> None:
    name = new_id()
    created = flask(app, "create", f"ada@{name}.müller.de", "--password", NEW).split()[-1]
    assert created in flask(app, "list", f"ADA@{name.upper()}")
    for text in (f" ADA@{name.upper()}.MÜLLER.de ", created):
        assert flask(app, "deactivate", text)


def test_a_deactivated_account_is_out_until_it_is_let_in(account: Account) -> None:
    """Contract, Accounts 5: 403, at once; the devices are still signed in afterwards."""
    phone = account.first
    assert phone.call("GET", "/users/me").status_code == 200
    flask(account.app, "deactivate", account.email.upper())
    for answer in (phone.ask_pull(None), phone.call("POST", "/auth/refresh", phone.refresh_token)):
        assert (answer.status_code, answer.json["code"]) == (403, "account_disabled")
    assert account.email in flask(account.app, "list", "--inactive", account.email)
    assert "state         inactive" in flask(account.app, "show", account.email)
    flask(account.app, "activate", account.user["id"])
    assert phone.call("GET", "/users/me").json["is_active"] is True
    assert account.email not in flask(account.app, "list", "--inactive", account.email)


def test_an_operator_deletes_an_account(account: Account) -> None:
    account.first.push(projects=created(project()))
    assert "Aborted" in refused(account.app, "delete", account.email, keys="n\n")
    assert account.first.call("GET", "/users/me").status_code == 200
    flask(account.app, "delete", account.email, keys="y\n")
    assert account.first.call("GET", "/users/me").json["code"] == "token_revoked"
    assert refused(account.app, "delete", account.email, "--yes")


def test_an_operator_sets_a_password(account: Account) -> None:
    phone = account.first
    assert phone.call("GET", "/users/me").status_code == 200
    assert "common" in refused(
        account.app, "set-password", account.email, "--password", "password1"
    )
    assert phone.call("GET", "/users/me").status_code == 200
    flask(account.app, "set-password", account.email, keys=f"{NEW}\n{NEW}\n")
    assert phone.call("GET", "/users/me").json["code"] == "token_revoked"
    assert login(account.app, account.email, PASSWORD).status_code == 401
    assert login(account.app, account.email, NEW).status_code == 200


def test_an_operator_signs_devices_out(account: Account) -> None:
    phone, tablet = account.first, account.device(device_name="Tablet")
    for device in (phone, tablet):
        assert device.call("GET", "/users/me").status_code == 200
    lines = flask(account.app, "sessions", account.email).splitlines()
    assert len(lines) == 2
    (theirs,) = (line.split()[0] for line in lines if line.endswith("Tablet"))
    assert "Signed 1 out" in flask(account.app, "sessions", account.email, "--end", theirs)
    assert tablet.call("GET", "/users/me").json["code"] == "token_revoked"
    assert phone.call("GET", "/users/me").status_code == 200
    output = flask(account.app, "sessions", account.email, "--end", "all")
    assert output.count("signed out") == 2
    assert phone.call("GET", "/users/me").json["code"] == "token_revoked"


@pytest.mark.parametrize("session_id", ["nobodys", "\N{WATERMELON}", "x" * 300])
def test_a_device_that_is_not_there_is_named(account: Account, session_id: str) -> None:
    """Or of somebody else: a typing error must not look as if the phone were signed out."""
    theirs = _session_id(Account(account.app).first)
    for nobodys in (session_id, theirs):
        said = refused(account.app, "sessions", account.email, "--end", nobodys)
        assert f"There is no such session: {nobodys}" in said
    assert account.first.call("GET", "/users/me").status_code == 200


def test_an_ended_session_is_shown_as_it_is(account: Account) -> None:
    over, out, living = account.first, account.device(), account.device()
    change(account.app, _session_id(over), expires_at=utc_now())
    out.call("POST", "/auth/logout")
    lines = flask(account.app, "sessions", account.email).splitlines()
    assert [line.split("  ")[1] for line in lines].count("signed out") == 1
    (one,) = (line for line in lines if line.startswith(_session_id(living)))
    assert "  signed in  " in one
    assert len([line for line in lines if "  over  " in line]) == 1


def test_the_list_has_pages_and_takes_its_text_by_the_letter(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ACCOUNTS_PER_QUERY", 2)
    mark = new_id()
    emails = [f"{mark}{middle}{n}@example.com" for n in range(2) for middle in ("_", "x")]
    for email in emails:
        flask(app, "create", email, "--password", NEW)
    listed = [line.split()[1] for line in flask(app, "list", mark).splitlines()]
    assert listed == sorted(emails)
    by_letter = flask(app, "list", f"{mark}_").splitlines()
    assert len(by_letter) == 2
    assert not flask(app, "list", f"{mark}%")
    names = [f"{mark} 100%", f"{mark} 100x", f"{mark}\\/"]
    for name in names:
        flask(app, "create", f"{new_id()}@example.com", "--name", name, "--password", NEW)
    for text in (names[0], names[2], f"{mark[1:]} 100%"):
        assert len(flask(app, "list", text).splitlines()) == 1


def test_a_name_is_found_regardless_of_case(app: Flask) -> None:
    mark = new_id()
    email = f"{new_id()}@example.com"
    flask(app, "create", email, "--name", f"{mark} Ada", "--password", NEW)
    assert email in flask(app, "list", f"{mark} aDA")


def change(app: Flask, session_id: str, **values: Any) -> None:
    with app.app_context():
        db.session.execute(update(Session).where(Session.id == session_id).values(**values))
        db.session.commit()


def stored(app: Flask, user_id: str) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(Session.id).where(Session.user_id == user_id)))


def test_ended_sessions_are_cleaned_and_living_ones_not(account: Account) -> None:
    app, now = account.app, utc_now()
    devices = [account.device() for _ in range(5)]
    rows = sorted(stored(app, account.user["id"]))
    ids = {device: _session_id(device) for device in devices}
    revoked, over, unused, fresh, living = devices
    long_ago = now - timedelta(days=8)
    change(app, ids[revoked], revoked_at=long_ago)
    change(app, ids[over], expires_at=long_ago)
    change(app, ids[unused], rotated_at=now - timedelta(days=15))
    change(app, ids[fresh], revoked_at=now - timedelta(days=6))
    dry = flask(app, "clean-sessions", "--dry-run")
    assert sorted(stored(app, account.user["id"])) == rows
    done, revoked_too = flask(app, "clean-sessions").splitlines()
    assert done.replace("Deleted", "Would delete") == dry.strip()
    assert revoked_too == "Revoked 0 at their providers; 0 are left."
    gone = {ids[revoked], ids[over], ids[unused]}
    assert stored(app, account.user["id"]) == set(rows) - gone
    for device in (revoked, over, unused):
        answer = device.call("POST", "/auth/refresh", device.refresh_token)
        assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")
    assert living.call("POST", "/auth/refresh", living.refresh_token).status_code == 200
    assert living.call("GET", "/users/me").status_code == 200


def test_cleaning_goes_in_small_steps(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ROWS_PER_TRANSACTION", 2)
    for _ in range(5):
        change(account.app, _session_id(account.device()), revoked_at=utc_now() - timedelta(days=8))
    dry = flask(account.app, "clean-sessions", "--dry-run")
    done = flask(account.app, "clean-sessions").splitlines()[0]
    assert int(done.split()[1]) >= 5
    assert dry.split()[2:] == done.split()[1:]
    assert len(stored(account.app, account.user["id"])) == 1
    assert flask(account.app, "clean-sessions").startswith("Deleted 0 sessions and 0 ")


@pytest.mark.parametrize("older_than", ["0m", "1d", "90d", "99999d"])
def test_any_age_may_be_kept(account: Account, older_than: str) -> None:
    account.device().call("POST", "/auth/logout")
    change(account.app, _session_id(account.first), created_at=utc_now() - timedelta(days=99))
    flask(account.app, "clean-sessions", "--older-than", older_than)
    assert len(stored(account.app, account.user["id"])) == (1 if older_than == "0m" else 2)
    assert account.first.call("GET", "/users/me").status_code == 200


@NO_DATABASE
@pytest.mark.parametrize(
    "older_than", ["7", "d", "-1d", "1 d", "999999d", "\N{CIRCLED DIGIT ONE}d"]
)
def test_what_is_no_age_is_named(app: Flask, older_than: str) -> None:
    result = app.test_cli_runner().invoke(
        args=["users", "clean-sessions", "--older-than", older_than]
    )
    assert result.exit_code == 2
    assert "is no duration; write 90d, 12h or 30m" in result.output


def _session_id(device: Device) -> str:
    listed = device.call("GET", "/auth/sessions").json
    (own,) = (session["id"] for session in listed if session["current"])
    return str(own)


def test_expired_mailed_tokens_are_cleaned(account: Account) -> None:
    def count() -> int:
        mine = select(func.count()).where(MailedToken.user_id == account.user["id"])
        return db.session.scalar(mine) or 0

    with account.app.app_context():
        for _ in range(2):
            recovery._new_token("reset", account.user["id"], account.email)
        first = db.session.scalars(
            select(MailedToken.digest).where(MailedToken.user_id == account.user["id"])
        ).first()
        late = utc_now() - timedelta(days=8)
        own = update(MailedToken).where(MailedToken.digest == first)
        db.session.execute(own.values(expires_at=late))
        db.session.commit()
        flask(account.app, "clean-sessions")
        db.session.rollback()
        assert count() == 1
        assert db.session.get(User, account.user["id"]) is not None


def test_an_address_of_any_letters_is_looked_for(app: Flask) -> None:
    """MySQL does not compare them with an id."""
    assert "no account" in refused(app, "deactivate", "j\u00fcrgen@example.com")


@pytest.mark.parametrize("session_id", ["nonsense", "", "\u00e9"])
def test_a_session_that_is_not_signed_in_is_named(account: Account, session_id: str) -> None:
    args = ("sessions", account.email, "--end", session_id)
    assert "no such session" in refused(account.app, *args)


def test_a_devices_name_forges_no_line(account: Account) -> None:
    account.device(device_name="Tablet\nforged  signed in\x1b[2J")
    lines = flask(account.app, "sessions", account.email).splitlines()
    assert len(lines) == 2
    assert "\x1b" not in "".join(lines)


@WITH_REDIS
def test_the_command_line_waits_until_redis_knows(account: Account) -> None:
    """Or a worker whose connection lived through an outage would never learn of it."""
    held: RedisCache = account.app.extensions["account_cache"]
    entries = held._entries
    assert account.first.call("GET", "/users/me").status_code == 200
    real, entries._tell = entries._tell, _fail_once(entries._tell)
    try:
        flask(account.app, "deactivate", account.email)
        assert not held._pending
    finally:
        entries._tell = real
    assert account.first.call("GET", "/users/me").status_code == 403


def _fail_once(put: Any) -> Any:
    failures = iter([redis.TimeoutError("hangs")])

    def run(*args: Any) -> Any:
        for failure in failures:
            raise failure
        return put(*args)

    return run
