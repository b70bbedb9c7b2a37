"""Contract, Accounts 18 and 19: what ends with an account. Apple is told, silent guests go, and an
operator sees what there is."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from conftest import NO_DATABASE
from cryptography.hazmat.primitives import serialization
from devices import API, PASSWORD, Account, Device, created, deleted, guest, project, task
from flask import Flask
from issuer import Key, LocalIssuer
from mail_server import Mailbox, settle, token_in
from providers import address, failure, known, link, me, sign_in, unlink
from sqlalchemy import select, update

import config
from melon_api.models.base import db, now_ms, utc_now
from melon_api.models.user import Identity, Revocation, User
from melon_api.passwordless.oidc import grants, keys
from melon_api.passwordless.oidc.provider import AppleKey, Provider
from melon_api.users import admin, purging

OURS = Key("ES256")
PEM = OURS.private.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


@pytest.fixture
def apple(app: Flask) -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer, known(app, issuer, AppleKey("TEAM", "KEY", PEM)):
        yield issuer
    with app.app_context():
        db.session.query(Revocation).delete()
        db.session.commit()


def enter(app: Flask, apple: LocalIssuer, email: str, **more: Any) -> Device:
    """Sign in with Apple, with the code that the phone has of it."""
    subject = hashlib.sha256(email.encode()).hexdigest()[:24]
    token = apple.token(sub=subject, email=email, email_verified="true", aud="web.melon")
    code = apple.code(login_hint=more.pop("of", email))
    answer = sign_in(app, token, provider="apple", authorization_code=code, **more)
    assert answer.status_code in (200, 201), answer.text
    return Device(app, answer.json)


def end(device: Device, apple: LocalIssuer, email: str) -> Any:
    subject = hashlib.sha256(email.encode()).hexdigest()[:24]
    proof = {"id_token": apple.token(sub=subject)}
    return device.call("DELETE", "/users/me", json=proof)


def left(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(Revocation)).all())


def revoked(apple: LocalIssuer) -> list[str]:
    return [form["token"] for form in apple.forms if "token" in form]


def test_deleting_an_account_revokes_it_at_apple(app: Flask, apple: LocalIssuer) -> None:
    """Contract, Accounts 18: where the server exchanged the `authorization_code`."""
    email = address()
    phone = enter(app, apple, email)
    (exchange,) = apple.forms
    assert (exchange["grant_type"], exchange["client_id"]) == ("authorization_code", "web.melon")
    shown = jwt.decode(
        exchange["client_secret"], OURS.private.public_key(), ["ES256"], audience=apple.url
    )
    assert (shown["iss"], shown["sub"]) == ("TEAM", "web.melon")
    assert 0 < shown["exp"] - shown["iat"] <= 300
    assert jwt.get_unverified_header(exchange["client_secret"])["kid"] == "KEY"
    assert "refresh" not in phone.call("GET", "/users/me/export").text
    assert end(phone, apple, email).status_code == 204
    revocation = apple.forms[-1]
    assert (revocation["token"], revocation["token_type_hint"]) == ("r", "refresh_token")
    assert revocation["client_id"] == "web.melon"
    assert left(app) == 0


def test_an_operators_deletion_revokes_as_well(app: Flask, apple: LocalIssuer) -> None:
    phone = enter(app, apple, address())
    with app.app_context():
        admin.delete(me(phone)["id"])
    assert revoked(apple) == ["r"]


def test_an_identity_that_is_taken_away_is_revoked(app: Flask, apple: LocalIssuer) -> None:
    phone = enter(app, apple, address())
    assert unlink(phone, "apple").status_code == 204
    assert revoked(apple) == ["r"]


def test_a_linked_identity_is_exchanged_too(account: Account, apple: LocalIssuer) -> None:
    email = address()
    subject = hashlib.sha256(email.encode()).hexdigest()[:24]
    code = apple.code(login_hint=email)
    answer = link(account.first, apple.token(sub=subject), "apple", authorization_code=code)
    assert answer.status_code == 200
    body = {"password": PASSWORD}
    assert account.first.call("DELETE", "/users/me", json=body).status_code == 204
    assert revoked(apple) == ["r"]


def test_apple_away_at_the_end_is_told_later(
    app: Flask, apple: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is gone all the same, and what is left is tried until it is taken."""
    email = address()
    phone = enter(app, apple, email)
    apple.answers["/revoke"] = 503
    assert end(phone, apple, email).status_code == 204
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")
    assert left(app) == 1
    run = app.test_cli_runner().invoke
    words = ["users", "clean-sessions"]
    assert "Revoked 0 at their providers; 1 are left." in run(args=words).output
    apple.answers.clear()
    assert "Revoked 1 at their providers; 0 are left." in run(args=words).output
    assert left(app) == 0


def test_what_is_not_taken_for_a_month_is_given_up(app: Flask, apple: LocalIssuer) -> None:
    email = address()
    phone = enter(app, apple, email)
    apple.answers["/revoke"] = 400
    assert end(phone, apple, email).status_code == 204
    with app.app_context():
        late = utc_now() - grants.GIVEN_UP - timedelta(hours=1)
        db.session.execute(update(Revocation).values(created_at=late))
        db.session.commit()
        assert grants.settle() == (0, 1)
    assert left(app) == 0


def test_what_a_reset_voids_is_revoked(
    account: Account, apple: LocalIssuer, mailbox: Mailbox
) -> None:
    """Contract, Accounts 16 and 18: at once, as whatever else voids an identity."""
    by_apple(account, apple)
    app, email = account.app, account.email
    app.test_client().post(f"{API}/auth/password/forgot", json={"email": email})
    settle(app)
    (mail,) = [mail for mail in mailbox.to(email) if "new password" in mail["Subject"]]
    body = {"token": token_in(mail), "new_password": "another-horse-battery"}
    answer = app.test_client().post(f"{API}/auth/password/reset", json=body)
    assert answer.status_code == 204
    assert (revoked(apple), left(app)) == (["r"], 0)


@pytest.mark.parametrize("trouble", ["used", "another's", "away", "no key"])
def test_nobodys_sign_in_fails_for_a_code(app: Flask, apple: LocalIssuer, trouble: str) -> None:
    email = address()
    if trouble == "away":
        apple.answers["/token"] = 500
    if trouble == "no key":
        keyless = Provider("apple", apple.url, frozenset({"web.melon"}))
        app.extensions["oidc"]["apple"] = keys.Issuer(keyless, loopback=True)
    phone = enter(app, apple, email, **({"of": address()} if trouble == "another's" else {}))
    if trouble == "used":
        phone = enter(app, apple, email)
    with app.app_context():
        row = db.session.scalars(select(Identity).filter_by(user_id=me(phone)["id"])).one()
        assert row.refresh_token == ("r" if trouble == "used" else None)


# silent guests


def silence(app: Flask, user_id: str, days: float) -> None:
    with app.app_context():
        then = now_ms() - int(days * 86_400_000)
        db.session.execute(update(User).where(User.id == user_id).values(sync_clock=then))
        db.session.commit()


def purge(app: Flask, *words: str) -> str:
    args = ["sync", "purge", "--older-than", "90d", *words]
    result = app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 0, result.output
    return result.output


def test_guests_without_a_push_are_removed_by_the_purge(app: Flask) -> None:
    """Contract, Accounts 19: for 180 days; nobody else is."""
    silent, recent, busy, upgraded = (guest(app) for _ in range(4))
    account = Account(app)
    body = {"email": address()}
    assert upgraded.call("POST", "/users/me/upgrade", json=body).status_code == 200
    busy_id = me(busy)["id"]
    for device, days in ((silent, 181.0), (recent, 179.0), (upgraded, 181.0), (busy, 181.0)):
        silence(app, me(device)["id"], days)
    silence(app, account.user["id"], 181)
    busy.push(projects=created(project()))
    assert "Would remove 1 guests." in purge(app, "--dry-run")
    assert me(silent)["is_guest"]
    assert "Removed 1 guests." in purge(app)
    assert failure(silent.call("GET", "/users/me")) == (401, "token_revoked")
    for device in (recent, busy, upgraded, account.first):
        assert device.call("GET", "/users/me").status_code == 200
    assert me(busy)["id"] == busy_id
    assert "Removed 0 guests." in purge(app)


def test_a_guest_who_comes_back_in_time_stays(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even between the look for them and the removal."""
    phone = guest(app)
    silence(app, me(phone)["id"], 181)
    found = purging._silent

    def slowly(before: int) -> Iterator[str]:
        for user_id in found(before):
            phone.push(projects=created(project()))
            yield user_id

    monkeypatch.setattr(purging, "_silent", slowly)
    with app.app_context():
        assert purging.purge_guests() == 0
    assert me(phone)["is_guest"]


def at(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """The purge runs so long from now."""
    then = now_ms() + int(days * 86_400_000)
    monkeypatch.setattr(purging, "now_ms", lambda: then)


def test_a_guest_who_only_pulls_is_silent(app: Flask) -> None:
    """Contract, Accounts 19: what counts are pushes."""
    phone, busy = guest(app), guest(app)
    silence(app, me(phone)["id"], 181)
    phone.pull()
    busy.push(projects=created(project()))
    assert "Removed 1 guests." in purge(app)
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")
    assert me(busy)["is_guest"]


def test_a_raised_clock_keeps_a_guest_for_a_day(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 19 and pull 1: by a `lastPulledAt` ahead of the clock nobody is removed
    early, nor stays for ever."""
    phone = guest(app)
    raised = now_ms() + 23 * 3_600_000
    assert phone.ask_pull(raised).json["timestamp"] == raised
    at(monkeypatch, 180.5)
    purge(app)
    assert me(phone)["is_guest"]
    at(monkeypatch, 181)
    purge(app)
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")


def test_how_long_is_a_setting(tmp_path: Path) -> None:
    """Contract, Accounts 19."""
    assert timedelta(days=180) == config.load({}, tmp_path).GUEST_LIFETIME
    environ = {"GUEST_LIFETIME_DAYS": "30"}
    assert timedelta(days=30) == config.load(environ, tmp_path).GUEST_LIFETIME


# what an operator sees


def test_an_operator_is_shown_an_account(app: Flask) -> None:
    account = Account(app)
    home, gone = project(name="Secret plans"), project()
    account.first.push(projects=created(home, gone), tasks=created(task(home["id"])))
    account.first.push(projects=deleted(gone["id"]))
    account.first.pull()
    changed = datetime.fromtimestamp((account.first.pulled_at or 0) / 1000, UTC)
    account.device(device_name="Tablet\nforged: line")
    result = app.test_cli_runner().invoke(args=["users", "show", account.email])
    assert result.exit_code == 0
    lines = [line.split(None, 1) for line in result.output.splitlines()]
    for expected in (
        f"id            {account.user['id']}",
        f"address       {account.email} (unverified)",
        "state         active",
        f"since         {account.user['created_at'][:16].replace('T', ' ')}",
        f"last change   {changed:%Y-%m-%d %H:%M}",
        "ways in       password, mailed code",
        "records       projects: 1, and 1 deleted",
        "records       tasks: 1, and 0 deleted",
    ):
        assert expected in result.output
    assert len([line for line in lines if line[0] == "device"]) == 2
    assert "Tablet?forged: line" in result.output
    for secret in ("argon2", "Secret plans", home["id"], PASSWORD, account.first.access_token):
        assert secret not in result.output


@NO_DATABASE
def test_an_operator_is_shown_a_guest_and_an_identity(app: Flask, apple: LocalIssuer) -> None:
    phone, email = guest(app), address()
    run = app.test_cli_runner().invoke
    shown = run(args=["users", "show", me(phone)["id"]]).output
    assert "address       -" in shown and "none but its sessions: a guest" in shown
    enter(app, apple, email)
    shown = run(args=["users", "show", email]).output
    assert f"address       {email} (verified)" in shown
    assert "ways in       mailed code, apple" in shown
    nobody = run(args=["users", "show", "nobody@example.com"])
    assert (nobody.exit_code, nobody.output) == (
        1,
        "Error: There is no account nobody@example.com.\n",
    )


def by_apple(account: Account, apple: LocalIssuer) -> str:
    """The account's own Apple identity, linked before its address was proved: its ID token."""
    subject = hashlib.sha256(account.email.encode()).hexdigest()[:24]
    claims = {"email": account.email, "email_verified": "true", "aud": "web.melon"}
    token = apple.token(sub=subject, **claims)
    code = apple.code(login_hint=account.email)
    assert link(account.first, token, "apple", authorization_code=code).status_code == 200
    return token


def test_the_identity_that_proves_an_address_is_revoked_at_the_end(
    account: Account, apple: LocalIssuer
) -> None:
    """Contract, Accounts 16 and 18: it stays as it was linked, with what Apple gave for it."""
    token = by_apple(account, apple)
    owner = Device(account.app, sign_in(account.app, token, provider="apple").json)
    assert (me(owner)["identities"], revoked(apple)) == (["apple"], [])
    assert end(owner, apple, account.email).status_code == 204
    assert revoked(apple) == ["r"]


def test_an_identity_that_is_void_by_a_proof_is_revoked(
    account: Account, apple: LocalIssuer
) -> None:
    """Contract, Accounts 16."""
    by_apple(account, apple)
    token = apple.token(sub=address(), email=account.email, email_verified=True)
    owner = Device(account.app, sign_in(account.app, token).json)
    assert me(owner)["identities"] == ["google"]
    assert (revoked(apple), left(account.app)) == (["r"], 0)
