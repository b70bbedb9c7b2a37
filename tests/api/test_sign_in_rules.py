"""What a password may be, how many are hashed at once, when a session is over by itself."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from devices import Account, Device
from flask import Flask
from sqlalchemy import update

from melon_api.auth import passwords, recovery
from melon_api.errors import Unavailable
from melon_api.extensions import db
from melon_api.models.session import Session

LONG = "".join(chr(0x4E00 + i * 37 % 128) for i in range(128))


def test_long_passwords_count_whole(app: Flask) -> None:
    """Contract, Accounts: 128 characters; nothing is cut before it is hashed."""
    account = Account(app, password=LONG)
    body = {"email": account.email, "password": LONG[:-1]}
    answer = app.test_client().post("/api/v1/auth/login", json=body)
    assert answer.status_code == 401
    assert account.device().call("GET", "/users/me").status_code == 200


def test_no_more_hashes_at_once_than_the_setting_says(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes ARGON2_MEMORY_KIB: a flood of sign-ins may not take all memory."""
    at_once, most = [0], [0]
    guard = threading.Lock()
    hasher = type(passwords._hasher_for(1, 64, 1))
    original = hasher.hash

    def hash_slowly(self: Any, password: str) -> str:
        with guard:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.01)
        with guard:
            at_once[0] -= 1
        return str(original(self, password))

    monkeypatch.setattr(hasher, "hash", hash_slowly)
    monkeypatch.setitem(plain_app.config, "ARGON2_AT_ONCE", 3)

    def work(number: int) -> str:
        with plain_app.app_context():
            return passwords.hash_password(f"password {number}")

    with ThreadPoolExecutor(12) as people:
        assert len(set(people.map(work, range(36)))) == 36
    assert most[0] == 3


def test_who_waits_too_long_for_a_hash_is_told(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "TURN_SECONDS", 0.01)
    monkeypatch.setitem(plain_app.config, "ARGON2_AT_ONCE", 1)
    with plain_app.app_context(), passwords._turn(), pytest.raises(Unavailable):
        passwords.hash_password("another one")
    with plain_app.app_context():
        assert passwords.hash_password("another one")


def test_a_session_that_is_not_used_is_over(account: Account) -> None:
    """Contract, Accounts: a refresh token lives 7 days from its last use."""
    phone, tablet = account.first, account.device(device_name="Tablet")
    with account.app.app_context():
        (session,) = (
            s
            for s in db.session.query(Session).filter_by(device_name="Tablet").all()
            if s.user_id == account.user["id"]
        )
        late = session.rotated_at - timedelta(days=7, seconds=1)
        db.session.execute(update(Session).where(Session.id == session.id).values(rotated_at=late))
        db.session.commit()
    listed = phone.call("GET", "/auth/sessions").json
    assert [session["device_name"] for session in listed] == [None]
    assert tablet.call("GET", "/users/me").status_code == 200  # for the rest of its 15 minutes


def test_tokens_are_long_and_never_twice(account: Account) -> None:
    with account.app.app_context():
        made = {recovery._new_token("verify", account.user["id"], account.email) for _ in range(20)}
    assert len(made) == 20
    assert all(len(token) >= 43 for token in made)  # 256 bits in base64url


def test_production_has_no_default_password(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plain_app.config, "NEEDS_SERVERS", True)
    result = plain_app.test_cli_runner().invoke(args=["seed"])
    assert result.exit_code == 2
    assert "--password" in result.output


def test_two_refreshes_at_once_answer_the_same_successor(account: Account) -> None:
    """Contract, Accounts: the phone refreshed twice at once."""
    phone = account.first

    def refresh(_: int) -> dict[str, Any]:
        answer = Device(account.app, vars(phone)).call("POST", "/auth/refresh", phone.refresh_token)
        assert answer.status_code == 200, answer.text
        return dict(answer.json)

    with ThreadPoolExecutor(4) as requests:
        answers = list(requests.map(refresh, range(4)))
    assert len({answer["refresh_token"] for answer in answers}) == 1
    last = answers[0]["refresh_token"]
    assert phone.call("POST", "/auth/refresh", last).status_code == 200
