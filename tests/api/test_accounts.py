"""Contract, "Accounts": register, login, refresh, logout, the profile; on every backend."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NO_DATABASE, environment, fresh_database, make_app, statements
from devices import API, PASSWORD, Account, Device, bare, created, deleted, project, task
from flask import Flask
from flask_jwt_extended import create_access_token
from sqlalchemy import func, select, update

from melon_api.auth import tokens
from melon_api.auth.passwords import hashing
from melon_api.models.base import db, utc_now
from melon_api.models.session import Session
from melon_api.models.user import NO_PASSWORD, User

# Every route that wants a token, with the kinds it takes.
GUARDED = [
    ("POST", "/auth/refresh", "refresh"),
    ("POST", "/auth/logout", "access"),
    ("POST", "/auth/logout", "refresh"),
    ("POST", "/auth/logout-all", "access"),
    ("POST", "/auth/email/resend", "access"),
    ("GET", "/auth/sessions", "access"),
    ("DELETE", "/auth/sessions/x", "access"),
    ("DELETE", "/users/me", "access"),
    ("POST", "/users/me/password", "access"),
    ("GET", "/users/me/export", "access"),
    ("GET", "/users/me", "access"),
    ("PATCH", "/users/me", "access"),
    ("POST", "/users/me/upgrade", "access"),
    ("POST", "/users/me/identities/google", "access"),
    ("DELETE", "/users/me/identities/google", "access"),
    ("POST", "/sync/pull", "access"),
    ("GET", "/sync/pull", "access"),
    ("POST", "/sync/push", "access"),
    ("POST", "/sync/verify", "access"),
]


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"]


def register(app: Flask, **body: Any) -> Any:
    return app.test_client().post(f"{API}/auth/register", json=body)


def login(app: Flask, email: str, password: str = PASSWORD) -> Any:
    body = {"email": email, "password": password}
    return app.test_client().post(f"{API}/auth/login", json=body)


def change(account: Account, model: Any, **values: Any) -> None:
    """What an operator or the passing of time does to an account's rows."""
    column = User.id if model is User else Session.user_id
    with account.app.app_context():
        db.session.execute(update(model).where(column == account.user["id"]).values(**values))
        db.session.commit()


def sessions(account: Account) -> list[Session]:
    with account.app.app_context():
        query = select(Session).where(Session.user_id == account.user["id"])
        return list(db.session.scalars(query.order_by(Session.created_at)))


def test_registering_answers_tokens_and_the_user(app: Flask) -> None:
    body = {"email": " Ada.L@Example.COM ", "password": PASSWORD, "name": "Ada"}
    body["email"] = body["email"].replace("Ada.L", f"Ada.{utc_now().timestamp()}")
    answer = register(app, **body)
    assert answer.status_code == 201
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 900
    user = answer.json["user"]
    assert user == Device(app, answer.json).call("GET", "/users/me").json
    rule_18 = {"is_guest", "has_password", "email_verified", "identities"}
    columns = {"id", "email", "name", "is_active", "created_at", "updated_at"}
    assert set(user) == columns | rule_18
    assert user["email"] == body["email"].strip().lower()
    assert (user["name"], user["is_active"]) == ("Ada", True)
    assert datetime.fromisoformat(user["created_at"]).utcoffset() == timedelta(0)


def test_an_address_is_taken_regardless_of_case(account: Account) -> None:
    """Contract, Accounts 6."""
    answer = register(account.app, email=account.email.upper(), password=PASSWORD)
    assert failure(answer) == (409, "email_taken")


@NO_DATABASE
@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "ada@example.com"}, "password"),
        ({"email": "ada", "password": PASSWORD}, "email"),
        ({"email": "mar\N{KELVIN SIGN}@example.com", "password": PASSWORD}, "email"),
        ({"email": 7, "password": PASSWORD}, "email"),
        ({"email": "a" * 250 + "@example.com", "password": PASSWORD}, "email"),
        ({"email": "ada@example.com", "password": "short"}, "password"),
        ({"email": "ada@example.com", "password": "x" * 129}, "password"),
        ({"email": "ada@example.com", "password": "Password1"}, "password"),
        ({"email": "ada@example.com", "password": "987654321"}, "password"),
        ({"email": "ada@example.com", "password": "88888888"}, "password"),
        ({"email": "ada@example.com", "password": "12341234"}, "password"),
        ({"email": "ada@example.com", "password": "Administrator"}, "password"),
        ({"email": "ada@example.com", "password": "Melon!2026"}, "password"),
        ({"email": "ada.lovelace@example.com", "password": "1adalovelace!"}, "password"),
        ({"email": "ada@example.com", "password": "ADA@example.com"}, "password"),
        ({"email": "ada@example.com", "password": PASSWORD, "name": "x" * 256}, "name"),
        ({"email": "ada@example.com", "password": PASSWORD, "device_id": "a b"}, "device_id"),
        ({"email": "ada@example.com", "password": PASSWORD, "device_id": "x" * 65}, "device_id"),
        ({"email": "ada@example.com", "password": PASSWORD, "nmae": "Ada"}, "nmae"),
    ],
)
def test_a_bad_registration_names_the_place(app: Flask, body: dict[str, Any], place: str) -> None:
    answer = register(app, **body)
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == [place]
    assert failure(login(app, "ada@example.com")) == (401, "invalid_credentials")


def test_a_password_is_the_same_on_every_keyboard(app: Flask) -> None:
    """Contract, Accounts 9: NFKC."""
    decomposed, composed = "Mu\u0308ller \ufb01sche", "M\u00fcller fische"
    account = Account(app, password=decomposed)
    assert login(app, account.email, composed).status_code == 200


def test_unknown_address_and_wrong_password_answer_alike(account: Account) -> None:
    """Contract, Accounts 7."""
    known = login(account.app, account.email, "wrong-password")
    unknown = login(account.app, "nobody@example.com", "wrong-password")
    assert failure(known) == failure(unknown) == (401, "invalid_credentials")
    assert known.json | {"request_id": ""} == unknown.json | {"request_id": ""}
    assert known.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"]


def test_a_wrong_password_costs_alike(account: Account) -> None:
    """Contract, Accounts 7: for an account, one without a password and none; counted, not timed."""
    bare = Account(account.app)
    change(bare, User, password=NO_PASSWORD, email_verified_at=utc_now())
    found = []
    for email in (account.email, bare.email, "nobody@example.com"):
        with statements(account.app) as seen:
            answer = login(account.app, email, "wrong-password")
        assert failure(answer) == (401, "invalid_credentials")
        found.append((answer.json | {"request_id": ""}, seen))
    assert found[0][1] and found[0] == found[1] == found[2]


def test_an_unknown_address_costs_a_hash_too(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 7: the time must not tell who has an account; counted, not timed. What is
    checked is another account's, of which nothing comes though the password be right. Of a
    database without hashes of another server, which other functions check."""
    hasher = hashing._hasher_for(1, 64, 1)
    verified: list[str] = []
    original = type(hasher).verify

    def verify(self: Any, stored: str, password: str) -> bool:
        verified.append(stored)
        return bool(original(self, stored, password))

    with fresh_database(backend.partition("+")[0], tmp_path) as url:
        account = Account(make_app(environment(backend, url), tmp_path))
        monkeypatch.setattr(type(hasher), "verify", verify)
        login(account.app, account.email, "wrong-password")
        for _ in range(2):
            assert login(account.app, "nobody@example.com", PASSWORD).status_code == 401
        assert len(verified) == 3
        with account.app.app_context():
            assert set(verified) <= set(db.session.scalars(select(User.password)))
        assert verified[1] == verified[2]
        with account.app.app_context():
            db.engine.dispose()


def test_passwords_are_argon2id_and_upgraded_at_login(account: Account, settings_of: Any) -> None:
    """Contract, Accounts 9."""

    def stored() -> str:
        with account.app.app_context():
            found = db.session.get(User, account.user["id"])
            assert found is not None
            return found.password

    assert stored().startswith("$argon2id$v=19$m=64,t=1,p=1$")
    settings_of(ARGON2_ITERATIONS=2)
    assert login(account.app, account.email, "wrong-password").status_code == 401
    assert "t=1" in stored()
    assert login(account.app, account.email).status_code == 200
    assert "m=64,t=2,p=1" in stored()
    assert login(account.app, account.email).status_code == 200


def test_a_refresh_rotates_and_only_a_hash_is_stored(account: Account) -> None:
    """Contract, Accounts 1 and 2."""
    phone = account.first
    answer = phone.call("POST", "/auth/refresh", phone.refresh_token)
    assert answer.status_code == 200
    assert set(answer.json) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert answer.json["refresh_token"] != phone.refresh_token
    (session,) = sessions(account)
    digest = hashlib.sha256(answer.json["refresh_token"].encode()).hexdigest()
    assert session.refresh_hash == digest
    fresh = Device(account.app, answer.json)
    assert fresh.call("GET", "/users/me").status_code == 200
    assert fresh.call("POST", "/auth/refresh", fresh.refresh_token).status_code == 200


def test_a_lost_refresh_answer_does_not_sign_out(account: Account) -> None:
    """Contract, Accounts 2: for 30 s the direct predecessor is answered with the same successor."""
    phone = account.first
    first = phone.call("POST", "/auth/refresh", phone.refresh_token).json
    again = phone.call("POST", "/auth/refresh", phone.refresh_token).json
    assert again["refresh_token"] == first["refresh_token"]
    assert phone.call("POST", "/auth/refresh", first["refresh_token"]).status_code == 200


def in_a_tunnel(account: Account, **time: float) -> None:
    """So long ago is the last rotation; the token tells when it was, too."""
    session = sessions(account)[0]
    session.rotated_at -= timedelta(**time)
    with account.app.app_context():
        digest = tokens.digest(tokens.refresh_token(session))
    change(account, Session, rotated_at=session.rotated_at, refresh_hash=digest)


@pytest.mark.parametrize("time", [{"seconds": 31}, {"days": 6}])
def test_a_long_tunnel_does_not_sign_out(account: Account, time: dict[str, int]) -> None:
    """Contract, Accounts 2: as long as nothing of the answer that was lost has been used. Nor is it
    used by the access token from before it."""
    phone = account.first
    lost = phone.call("POST", "/auth/refresh", phone.refresh_token).json
    assert phone.call("GET", "/users/me").status_code == 200
    in_a_tunnel(account, **time)
    again = [phone.call("POST", "/auth/refresh", phone.refresh_token) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]
    assert again[0].json["refresh_token"] == again[1].json["refresh_token"]
    found = Device(account.app, again[0].json)
    assert found.call("GET", "/users/me").status_code == 200
    assert found.call("POST", "/auth/refresh", found.refresh_token).status_code == 200
    assert lost["access_token"] != phone.access_token


@pytest.mark.parametrize("path", ["/users/me", "/sync/pull"])
def test_a_used_access_token_ends_the_time_of_the_token_before(account: Account, path: str) -> None:
    """Contract, Accounts 2: not within the 30 s."""
    phone = account.first
    fresh = Device(account.app, phone.call("POST", "/auth/refresh", phone.refresh_token).json)
    used = fresh.ask_pull(None) if "pull" in path else fresh.call("GET", path)
    assert used.status_code == 200
    assert phone.call("POST", "/auth/refresh", phone.refresh_token).status_code == 200
    in_a_tunnel(account, seconds=31)
    stolen = phone.call("POST", "/auth/refresh", phone.refresh_token)
    assert failure(stolen) == (401, "token_revoked")
    assert failure(fresh.call("GET", "/users/me")) == (401, "token_revoked")


def test_a_use_is_written_once(account: Account) -> None:
    """Contract, Accounts 2; and not at all for the tokens of a sign-in."""
    phone = account.first
    first = Device(account.app, phone.call("POST", "/auth/refresh", phone.refresh_token).json)
    writes = []
    for device in (phone, phone, first, first):
        with statements(account.app) as seen:
            assert device.call("GET", "/users/me").status_code == 200
        writes.append(sum(s.startswith("UPDATE sessions") for s in seen))
    assert writes == [0, 0, 1, 0]


def test_a_session_of_an_older_release_has_its_30_s(account: Account) -> None:
    """It did not note what was used; from the next rotation on it is known."""
    phone = account.first
    first = phone.call("POST", "/auth/refresh", phone.refresh_token).json["refresh_token"]
    change(account, Session, used_generation=None)
    phone.call("POST", "/auth/refresh", first)
    in_a_tunnel(account, seconds=31)
    assert phone.call("POST", "/auth/refresh", first).status_code == 200
    change(account, Session, used_generation=None)
    assert failure(phone.call("POST", "/auth/refresh", first)) == (401, "token_revoked")


def test_a_used_refresh_token_ends_its_session(account: Account) -> None:
    """Contract, Accounts 2 and 3: theft, after the grace; the other device is not disturbed."""
    phone, tablet = account.first, account.device()
    fresh = phone.call("POST", "/auth/refresh", phone.refresh_token).json
    assert phone.call("GET", "/users/me", fresh["access_token"]).status_code == 200
    in_a_tunnel(account, seconds=31)
    stolen = phone.call("POST", "/auth/refresh", phone.refresh_token)
    assert failure(stolen) == (401, "token_revoked")
    for token in (fresh["access_token"], phone.access_token):
        assert failure(phone.call("GET", "/users/me", token)) == (401, "token_revoked")
    late = phone.call("POST", "/auth/refresh", fresh["refresh_token"])
    assert failure(late) == (401, "token_revoked")
    assert tablet.call("GET", "/users/me").status_code == 200


@pytest.mark.parametrize("tail", [", Basic abc", ",", " x", ", Bearer x"])
def test_an_odd_header_is_no_theft(account: Account, tail: str) -> None:
    """Contract, Accounts 2: only a token already used ends its session."""
    phone = account.first
    headers = {"Authorization": f"Bearer {phone.refresh_token}{tail}"}
    answer = phone.http.post(f"{API}/auth/refresh", headers=headers)
    assert failure(answer) == (401, "token_invalid")
    assert phone.call("GET", "/users/me").status_code == 200


def test_the_scheme_is_not_case_sensitive(account: Account) -> None:
    """RFC 9110 §11.1."""
    headers = {"Authorization": f"bearer {account.first.access_token}"}
    assert account.first.http.get(f"{API}/users/me", headers=headers).status_code == 200


@pytest.mark.parametrize("claims", [{}, {"sid": 7}, {"sid": ["x"]}, {"sid": "ü"}, {"sid": None}])
def test_a_token_with_odd_claims_is_refused(account: Account, claims: dict[str, Any]) -> None:
    with account.app.app_context():
        token = create_access_token(account.user["id"], additional_claims={"iat": 1, **claims})
    answer = account.first.call("GET", "/users/me", token)
    assert failure(answer) in ((401, "token_invalid"), (401, "token_revoked"))


def test_a_token_that_never_expires_is_refused(account: Account) -> None:
    (session,) = sessions(account)
    with account.app.app_context():
        claims = {"iat": 1, "sid": session.id}
        token = create_access_token(
            account.user["id"], additional_claims=claims, expires_delta=False
        )
    answer = account.first.call("GET", "/users/me", token)
    assert failure(answer) == (401, "token_invalid")


def test_login_asks_the_database_as_often_for_an_unknown_address(account: Account) -> None:
    """Contract, Accounts 7: alike in time."""
    counts = []
    for email in (account.email, "nobody@example.com"):
        with statements(account.app) as seen:
            login(account.app, email, "wrong-password")
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_the_grace_does_not_reach_back_two_generations(account: Account) -> None:
    """Contract, Accounts 2."""
    phone = account.first
    second = phone.call("POST", "/auth/refresh", phone.refresh_token).json["refresh_token"]
    phone.call("POST", "/auth/refresh", second)
    answer = phone.call("POST", "/auth/refresh", phone.refresh_token)
    assert failure(answer) == (401, "token_revoked")
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_logout_signs_out_this_device_at_once(account: Account, kind: str) -> None:
    """Contract, Accounts 3 and 5."""
    phone, tablet = account.first, account.device()
    token = phone.access_token if kind == "access" else phone.refresh_token
    answer = phone.call("POST", "/auth/logout", token)
    assert (answer.status_code, answer.data) == (204, b"")
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")
    refused = phone.call("POST", "/auth/refresh", phone.refresh_token)
    assert failure(refused) == (401, "token_revoked")
    assert tablet.call("GET", "/users/me").status_code == 200


def test_a_session_ends_for_good_after_its_lifetime(account: Account) -> None:
    """Contract, Accounts 1: 180 days after sign-in, however often it was refreshed."""
    (session,) = sessions(account)
    assert session.expires_at - session.created_at == timedelta(days=180)
    change(account, Session, expires_at=utc_now())
    assert failure(account.first.call("GET", "/users/me")) == (401, "token_revoked")
    answer = account.first.call("POST", "/auth/refresh", account.first.refresh_token)
    assert failure(answer) == (401, "token_revoked")


def test_a_disabled_account_is_told_so(account: Account) -> None:
    """Contract, Accounts 5."""
    change(account, User, is_active=False)
    assert failure(account.first.call("GET", "/users/me")) == (403, "account_disabled")
    assert failure(login(account.app, account.email)) == (403, "account_disabled")
    wrong = login(account.app, account.email, "wrong-password")
    assert failure(wrong) == (401, "invalid_credentials")


@pytest.mark.parametrize(("method", "path", "kind"), GUARDED)
class TestEveryGuardedRoute:
    """Security: no token, a bad one, a revoked one, the wrong kind."""

    @NO_DATABASE
    def test_without_a_token(self, account: Account, method: str, path: str, kind: str) -> None:
        answer = account.app.test_client().open(API + path, method=method, json={})
        assert failure(answer) == (401, "token_missing")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    @NO_DATABASE
    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer ", "Bearer x", "Bearer a b", "Basic eA==", ", ,"]
    )
    def test_with_a_bad_header(
        self, account: Account, method: str, path: str, kind: str, header: str
    ) -> None:
        headers = {"Authorization": header}
        answer = account.app.test_client().open(API + path, method=method, headers=headers, json={})
        assert failure(answer) in ((401, "token_invalid"), (401, "token_missing"))

    def test_with_a_revoked_one(self, account: Account, method: str, path: str, kind: str) -> None:
        change(account, Session, revoked_at=utc_now())
        token = getattr(account.first, f"{kind}_token")
        answer = account.first.call(method, path, token, json={})
        assert failure(answer) == (401, "token_revoked")

    @NO_DATABASE
    def test_with_one_of_another_server(
        self, account: Account, method: str, path: str, kind: str
    ) -> None:
        token = getattr(account.first, f"{kind}_token")
        forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
        answer = account.first.call(method, path, forged, json={})
        assert failure(answer) == (401, "token_invalid")

    @NO_DATABASE
    def test_with_the_other_kind(self, account: Account, method: str, path: str, kind: str) -> None:
        if path == "/auth/logout":
            return  # takes both
        other = "refresh" if kind == "access" else "access"
        token = getattr(account.first, f"{other}_token")
        answer = account.first.call(method, path, token, json={})
        assert failure(answer) == (401, "token_invalid")

    @NO_DATABASE
    def test_with_an_expired_one(self, account: Account, method: str, path: str, kind: str) -> None:
        if kind == "refresh":
            return
        (session,) = sessions(account)
        with account.app.app_context():
            claims = {"sid": session.id, "dev": session.device, "iat": 1}
            token = create_access_token(
                account.user["id"], expires_delta=timedelta(seconds=-1), additional_claims=claims
            )
        answer = account.first.call(method, path, token, json={})
        assert failure(answer) == (401, "token_expired")


def test_a_token_counts_for_its_own_account_alone(account: Account) -> None:
    """Someone else's token reads someone else's account, whatever the body says."""
    other = Account(account.app)
    answer = other.first.call("GET", "/users/me", json={"id": account.user["id"]})
    assert answer.json["id"] == other.user["id"]
    (session,) = sessions(account)
    with account.app.app_context():
        claims = {"sid": session.id, "iat": 1}
        mixed = create_access_token(other.user["id"], additional_claims=claims)
    answer = other.first.call("GET", "/users/me", mixed)
    assert failure(answer) == (401, "token_revoked")


def test_two_hosts_clocks_may_differ(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token made by a host whose clock is minutes ahead works on ours."""
    ahead = utc_now() + timedelta(minutes=5)
    monkeypatch.setattr(tokens, "utc_now", lambda: ahead)
    phone = account.device()
    monkeypatch.undo()
    assert phone.call("GET", "/users/me").status_code == 200


def test_the_name_may_be_changed(account: Account) -> None:
    answer = account.first.call("PATCH", "/users/me", json={"name": "Grace"})
    assert answer.status_code == 200
    assert answer.json["name"] == "Grace"
    assert answer.json["updated_at"] >= account.user["updated_at"]
    assert account.first.call("GET", "/users/me").json == answer.json
    assert account.first.call("PATCH", "/users/me", json={"name": None}).json["name"] is None
    assert account.first.call("PATCH", "/users/me", json={}).status_code == 200


def test_a_new_address_needs_the_password(account: Account) -> None:
    """Contract, Accounts 8 and 11."""
    new = f"new.{account.email}".upper()
    for body in ({}, {"current_password": "wrong-password"}):
        answer = account.first.call("PATCH", "/users/me", json={"email": new, **body})
        assert failure(answer) == (422, "validation_failed")
        assert list(answer.json["errors"]) == ["current_password"]
    body = {"email": new, "current_password": PASSWORD}
    assert account.first.call("PATCH", "/users/me", json=body).json["email"] == new.lower()
    assert login(account.app, new).status_code == 200
    assert login(account.app, account.email).status_code == 401


def test_a_new_address_must_be_free(account: Account) -> None:
    body = {"email": Account(account.app).email, "current_password": PASSWORD}
    answer = account.first.call("PATCH", "/users/me", json=body)
    assert failure(answer) == (409, "email_taken")


@pytest.mark.parametrize(
    "body", [{"is_active": False}, {"id": "x"}, {"device_id": "x"}, {"name": 7}]
)
def test_a_bad_change_names_the_place(account: Account, body: dict[str, Any]) -> None:
    answer = account.first.call("PATCH", "/users/me", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == list(body)


def test_a_profile_change_does_not_touch_the_sync_clock(account: Account) -> None:
    account.first.push(projects=created(project()))
    account.first.pull()
    account.first.call("PATCH", "/users/me", json={"name": "Grace"})
    before = account.first.pulled_at
    account.first.pull()
    assert account.first.pulled_at == before
    updated_at = account.first.call("GET", "/users/me").json["updated_at"]
    account.first.push(projects=created(project()))
    assert account.first.call("GET", "/users/me").json["updated_at"] == updated_at


def test_the_signed_in_devices_are_listed_and_ended_one_by_one(account: Account) -> None:
    """Contract, Accounts 3."""
    phone, tablet = account.first, account.device(device_name="Tablet")
    listed = phone.call("GET", "/auth/sessions").json
    assert {(s["device_name"], s["current"]) for s in listed} == {("Tablet", False), (None, True)}
    keys = {"id", "device_name", "user_agent", "created_at", "last_used_at", "current"}
    assert all(set(session) == keys for session in listed)
    (theirs,) = (session["id"] for session in listed if not session["current"])
    path = f"/auth/sessions/{theirs}"
    assert failure(Account(account.app).first.call("DELETE", path)) == (404, "not_found")
    assert tablet.call("GET", "/users/me").status_code == 200
    assert phone.call("DELETE", path).status_code == 204
    assert failure(tablet.call("GET", "/users/me")) == (401, "token_revoked")
    assert failure(phone.call("DELETE", path)) == (404, "not_found")
    assert [s["current"] for s in phone.call("GET", "/auth/sessions").json] == [True]


@pytest.mark.parametrize("session_id", ["x", "x" * 300, "%C3%BC", "%F0%9F%8D%89", "%FF", "%00"])
def test_an_odd_session_is_not_there(account: Account, session_id: str) -> None:
    """Contract, Accounts 3: 404."""
    answer = account.first.call("DELETE", f"/auth/sessions/{session_id}")
    assert failure(answer) == (404, "not_found")


def test_logout_all_signs_every_device_out(account: Account) -> None:
    """Contract, Accounts 5."""
    phone, tablet, other = account.first, account.device(), Account(account.app).first
    assert phone.call("POST", "/auth/logout-all").status_code == 204
    for device in (phone, tablet):
        assert failure(device.call("GET", "/users/me")) == (401, "token_revoked")
        refused = device.call("POST", "/auth/refresh", device.refresh_token)
        assert failure(refused) == (401, "token_revoked")
    assert other.call("GET", "/users/me").status_code == 200


def test_a_new_password_signs_every_other_device_out(account: Account) -> None:
    """Contract, Accounts 10."""
    phone, tablet = account.first, account.device()
    new = "another-horse-battery"
    for body, place in (
        ({"current_password": "wrong-password", "new_password": new}, "current_password"),
        ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
        ({"current_password": PASSWORD}, "new_password"),
    ):
        answer = phone.call("POST", "/users/me/password", json=body)
        assert failure(answer) == (422, "validation_failed")
        assert list(answer.json["errors"]) == [place]
    body = {"current_password": PASSWORD, "new_password": new}
    assert phone.call("POST", "/users/me/password", json=body).status_code == 204
    assert phone.call("GET", "/users/me").status_code == 200
    assert failure(tablet.call("GET", "/users/me")) == (401, "token_revoked")
    assert login(account.app, account.email).status_code == 401
    assert login(account.app, account.email, new).status_code == 200


def test_a_deleted_account_is_gone_with_all_its_data(account: Account) -> None:
    """Contract, Accounts 12."""
    phone, tablet, other = account.first, account.device(), Account(account.app)
    home = project()
    phone.push(projects=created(home, gone := project()), tasks=created(task(home["id"])))
    phone.push(projects=deleted(gone["id"]))
    other.first.push(projects=created(home))
    answer = phone.call("DELETE", "/users/me", json={"password": "wrong-password"})
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["password"]
    assert phone.call("DELETE", "/users/me", json={"password": PASSWORD}).status_code == 204
    for device in (phone, tablet):
        assert failure(device.ask_pull(None)) == (401, "token_revoked")
    assert login(account.app, account.email).status_code == 401
    with account.app.app_context():
        for name, table in db.metadata.tables.items():
            if name in ("redis_doubts", "revocations", "spaces", "invitations"):  # nobody's own
                continue
            key = {"users": "id", "mailed_codes": "email"}.get(name, "user_id")
            whose = account.email if key == "email" else account.user["id"]
            query = select(func.count()).where(table.c[key] == whose)
            assert db.session.scalar(query) == 0, name
    assert list(other.first.records("projects")) == [home["id"]]
    again = register(account.app, email=account.email, password=PASSWORD)
    assert Device(account.app, again.json).records("projects") == {}


def test_an_export_holds_everything_of_the_caller(account: Account) -> None:
    """Contract, Accounts 12."""
    home = project(description="Ünï")
    paint = task(home["id"])
    account.first.push(projects=created(home), tasks=created(paint))
    Account(account.app).first.push(projects=created(project()))
    answer = account.first.call("GET", "/users/me/export")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert set(answer.json) == {"user", "sessions", "projects", "tasks"}
    assert answer.json["user"]["email"] == account.email
    assert len(answer.json["sessions"]) == 1
    assert answer.json["projects"] == [bare(home)]
    assert answer.json["tasks"] == [bare(paint)]
    told = answer.text.replace("has_password", "")
    for secret in ("password", "refresh", "hash"):
        assert secret not in told
