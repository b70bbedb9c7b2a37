"""What a password may be, how many are hashed at once, when a session is over by itself."""

import gzip
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import idna
import orjson
import pytest
from conftest import NO_DATABASE
from devices import PASSWORD, Account, Device, new_id
from flask import Flask
from sqlalchemy import update

from melon_api import bulkheads
from melon_api.auth import passwords, recovery, schemas
from melon_api.auth.passwords import hashing, strength
from melon_api.errors import NotFound, Unavailable
from melon_api.models.base import EMAIL_LENGTH, db
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.users import finding

LONG = "".join(chr(0x4E00 + i * 37 % 128) for i in range(128))


def test_long_passwords_count_whole(app: Flask) -> None:
    """Contract, Accounts 9: 128 characters; nothing is cut before it is hashed."""
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
    hasher = type(hashing._hasher_for(1, 64, 1))
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
    monkeypatch.setattr(bulkheads, "TURN_SECONDS", 0.01)
    monkeypatch.setitem(plain_app.config, "ARGON2_AT_ONCE", 1)
    is_over = threading.Event()
    another = hashing._pool(1).threads.submit(is_over.wait)
    with plain_app.app_context():
        with pytest.raises(Unavailable):
            passwords.hash_password("another one")
        is_over.set()
        assert another.result()
        monkeypatch.setattr(bulkheads, "TURN_SECONDS", 10)
        assert passwords.hash_password("another one")


def test_who_is_being_hashed_is_not_sent_away(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is for the turn; a hash itself may take longer on a busy machine."""
    monkeypatch.setattr(bulkheads, "TURN_SECONDS", 1)
    monkeypatch.setitem(plain_app.config, "ARGON2_AT_ONCE", 1)
    with plain_app.app_context():
        assert hashing._in_turn(lambda: time.sleep(1.5) or "hashed") == "hashed"


def test_a_session_that_is_not_used_is_over(account: Account) -> None:
    """Contract, Accounts 1: a refresh token lives 7 days from its last use."""
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
    """Contract, Accounts 2: the phone refreshed twice at once."""
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


def test_a_password_too_long_to_be_one_is_not_even_normalised(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFKC takes quadratic time: a small gzipped body could hold a worker for a minute."""
    seen: list[int] = []
    original = unicodedata.normalize

    def normalize(form: str, text: str) -> str:
        seen.append(len(text))
        return original(form, text)

    monkeypatch.setattr(strength.unicodedata, "normalize", normalize)
    long = "a" + "\u0300\u0327" * 5_000
    client, new = account.app.test_client(), {"email": f"{new_id()}@example.com", "password": long}
    assert client.post("/api/v1/auth/register", json=new).status_code == 422
    body = {"email": account.email, "password": long}
    assert client.post("/api/v1/auth/login", json=body).status_code == 401
    assert account.first.call("DELETE", "/users/me", json={"password": long}).status_code == 422
    assert max(seen, default=0) <= strength.LONGEST_RAW


def test_nobody_signs_in_with_a_password_cut_to_nothing(app: Flask) -> None:
    """What is far too long counts as wrong, also for an account whose password is odd."""
    account = Account(app)
    with app.app_context():
        empty = passwords.hash_password("")
        db.session.execute(update(User).where(User.id == account.user["id"]).values(password=empty))
        db.session.commit()
    body = {"email": account.email, "password": "x" * 10_000}
    assert app.test_client().post("/api/v1/auth/login", json=body).status_code == 401


@NO_DATABASE
@pytest.mark.parametrize(
    "email", ["\u00fc@example.com", "\u0661@b.com", "a@b\u00ad..com", "=?utf-8?q?a?=@b.com"]
)
def test_an_address_that_no_mail_reaches_is_refused(app: Flask, email: str) -> None:
    body = {"email": email, "password": PASSWORD}
    answer = app.test_client().post("/api/v1/auth/register", json=body)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["email"]


def test_a_domain_has_one_form(app: Flask) -> None:
    """Contract, Accounts 6, IDNA: a mail server knows no other letters, and full-width ones are the
    same ones."""
    name = new_id()
    body = {"email": f"{name}@b\u00fccher.example", "password": PASSWORD}
    answer = app.test_client().post("/api/v1/auth/register", json=body)
    assert answer.json["user"]["email"] == f"{name}@xn--bcher-kva.example"
    wide = {"email": f"{name}@\uff42\u00fccher.example", "password": PASSWORD}
    assert app.test_client().post("/api/v1/auth/register", json=wide).status_code == 409
    assert app.test_client().post("/api/v1/auth/login", json=wide).status_code == 200


def test_international_domains_are_those_of_idna_2008(app: Flask) -> None:
    """Contract, Accounts 6: IDNA 2003 made `fass.de`, another one's domain, of `faß.de`."""
    name, client = new_id(), app.test_client()
    for domain, stored in [("fa\u00df.example", "xn--fa-hia.example"), ("fass.example", None)]:
        body = {"email": f"{name}@{domain}", "password": PASSWORD}
        answer = client.post("/api/v1/auth/register", json=body)
        assert answer.json["user"]["email"] == f"{name}@{stored or domain}"


@pytest.mark.parametrize("long", ["\ufdfa" * 20_000, "a\u0300\u0327" * 5_000, "\u0130" * 20_000])
def test_an_address_too_long_to_be_one_is_not_even_normalised(
    account: Account, monkeypatch: pytest.MonkeyPatch, long: str
) -> None:
    """Contract, Requests 4: a gzipped login of 665 bytes held a worker for a minute. By whichever
    call or command the address comes, and in whichever part of it the length is."""
    seen: list[int] = []
    encode = idna.encode
    monkeypatch.setattr(
        schemas.idna, "encode", lambda text, **kw: (seen.append(len(text)), encode(text, **kw))[1]
    )
    calls = [("POST", path) for path in ("/auth/login", "/auth/register", "/auth/password/forgot")]
    for method, path in [*calls, ("PATCH", "/users/me")]:
        for email in (f"a@{long}.example", f"{long}@example.com", long):
            body = {"email": email, "password": PASSWORD, "current_password": PASSWORD}
            data = gzip.compress(orjson.dumps(body))
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            answer = account.first.call(method, path, data=data, headers=headers)
            assert (answer.status_code, "email" in answer.json["errors"]) == (422, True)
    with account.app.app_context(), pytest.raises(NotFound):
        finding.find(f"a@{long}.example")
    assert max(seen, default=0) <= EMAIL_LENGTH


@pytest.mark.parametrize("session_id", ["\u00e9", "%FF", "\U0001f4f1", "x" * 500, "%00"])
def test_an_odd_session_id_is_nobodys(account: Account, session_id: str) -> None:
    answer = account.first.call("DELETE", f"/auth/sessions/{session_id}")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_an_export_holds_sessions_that_have_ended_too(account: Account) -> None:
    """Contract, Accounts 12: everything stored of the caller."""
    tablet = account.device(device_name="Tablet")
    assert tablet.call("POST", "/auth/logout").status_code == 204
    exported = account.first.call("GET", "/users/me/export").json["sessions"]
    assert {session["device_name"] for session in exported} == {None, "Tablet"}
    assert len(account.first.call("GET", "/auth/sessions").json) == 1
