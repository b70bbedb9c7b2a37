"""Contract, "Accounts": what goes by mail, and what its tokens do; on every backend."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from conftest import statements
from devices import API, PASSWORD, Account, Device, created, project
from flask import Flask
from mail_server import SENDER, Mailbox, held_up, part, settle, token_in
from sqlalchemy import select, update

from melon_api.models.base import db, utc_now
from melon_api.models.mailed_token import MailedToken
from melon_api.models.user import User
from melon_api.users import admin

NEW = "another-horse-battery"
RESET, CONFIRM, CHANGED, MOVED = "Set a new password", "Confirm", "password was", "address was"


@pytest.fixture
def newcomer(mailbox: Mailbox, app: Flask) -> Account:
    """Somebody who registers while there is a mail server; their address is not verified yet."""
    return Account(app)


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"]


def named(answer: Any) -> list[str]:
    """The places that a 422 names."""
    assert failure(answer) == (422, "validation_failed")
    return list(answer.json["errors"])


def post(app: Flask, path: str, **body: Any) -> Any:
    return app.test_client().post(API + path, json=body)


def forgot(app: Flask, email: str) -> Any:
    return post(app, "/auth/password/forgot", email=email)


def reset(app: Flask, token: Any, password: str = NEW) -> Any:
    return post(app, "/auth/password/reset", token=token, new_password=password)


def verify(app: Flask, token: Any) -> Any:
    return post(app, "/auth/email/verify", token=token)


def login(account: Account, password: str) -> int:
    body = {"email": account.email, "password": password}
    return int(post(account.app, "/auth/login", **body).status_code)


def mailed(mailbox: Mailbox, account: Account, subject: str, email: str | None = None) -> list[str]:
    """The tokens of all such mails that the account was sent, the oldest first."""
    settle(account.app)
    mails = mailbox.to(email or account.email)
    return [token_in(mail) for mail in mails if subject in mail["Subject"]]


def reset_token(mailbox: Mailbox, account: Account) -> str:
    """Forget the password; the token that comes."""
    assert forgot(account.app, account.email).status_code == 202
    return mailed(mailbox, account, RESET)[-1]


def subjects(mailbox: Mailbox, account: Account, email: str | None = None) -> list[str]:
    settle(account.app)
    return [mail["Subject"] for mail in mailbox.to(email or account.email)]


def change(account: Account, model: Any, **values: Any) -> None:
    """What the passing of time does to an account's rows."""
    column = User.id if model is User else model.user_id
    with account.app.app_context():
        db.session.execute(update(model).where(column == account.user["id"]).values(**values))
        db.session.commit()


def deactivate(account: Account, *, is_active: bool = False) -> None:
    with account.app.app_context():
        admin.set_active(account.user["id"], is_active=is_active)


# a forgotten password


def test_forgot_answers_alike_and_writes_to_whom_there_is(
    account: Account, mailbox: Mailbox
) -> None:
    """Contract, Accounts 7: 202, whether or not the address is known."""
    disabled = Account(account.app)
    deactivate(disabled)
    emails = (account.email, "nobody@example.com", disabled.email)
    answers = [forgot(account.app, email) for email in emails]
    settle(account.app)
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.data for answer in answers}) == 1
    for answer in answers:
        del answer.headers["X-Request-ID"]
    assert answers[0].headers == answers[1].headers == answers[2].headers
    assert [mail["To"] for mail in mailbox.mails if RESET in mail["Subject"]] == [account.email]


def test_what_tells_one_from_another_happens_behind_the_answer(
    account: Account, mailbox: Mailbox
) -> None:
    """Contract, Accounts 7: an unknown address answers alike in time; counted, not timed."""
    with held_up(account.app):
        with statements(account.app) as for_the_known:
            forgot(account.app, account.email)
        with statements(account.app) as for_the_unknown:
            forgot(account.app, "nobody@example.com")
        assert for_the_known == for_the_unknown == []
        assert mailbox.mails == []
    assert [mail["To"] for mail in mailbox.mails] == [account.email]


def test_the_mail_is_complete(account: Account, mailbox: Mailbox) -> None:
    before = utc_now().replace(microsecond=0)
    for _ in range(2):
        forgot(account.app, account.email)
    settle(account.app)
    mail, other = mailbox.mails
    assert (mail["From"], mail["To"]) == (SENDER, account.email)
    assert (mail["Return-Path"], mail["Delivered-To"]) == (
        "no-reply@melon.example",
        account.email,
    )
    assert mail["Subject"] == "Melon: Set a new password"
    assert before <= mail["Date"].datetime.astimezone(before.tzinfo) <= utc_now()
    assert mail["Message-ID"].endswith("@melon.example>")
    assert mail["Message-ID"] != other["Message-ID"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    assert token_in(mail) != token_in(other)
    for kind in ("plain", "html"):
        assert "30 minutes" in part(mail, kind)


def test_the_address_is_found_regardless_of_case(account: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 6: e-mail addresses are unique regardless of case."""
    forgot(account.app, f" {account.email.upper()} ")
    assert subjects(mailbox, account) == ["Melon: Set a new password"]


@pytest.mark.parametrize("email", ["ada", "", 7, None, "a" * 250 + "@example.com"])
def test_what_is_no_address_is_named(plain_app: Flask, email: Any) -> None:
    assert named(forgot(plain_app, email)) == ["email"]


@pytest.mark.parametrize("name", ["=?utf-8?q?ada?=", "=?utf-8?b?YWRh?=", '"ada"', '"\\ada"'])
def test_what_a_mail_reads_as_another_address_is_none(plain_app: Flask, name: str) -> None:
    """RFC 2047: mail to these goes to ada@example.com, who has an account of her own."""
    email = f"{name}@example.com"
    assert named(post(plain_app, "/auth/register", email=email, password=PASSWORD)) == ["email"]
    assert named(forgot(plain_app, email)) == ["email"]


def test_a_reset_sets_the_password_and_signs_every_device_out(
    account: Account, mailbox: Mailbox
) -> None:
    """Contract, Accounts 10 and 11: 204; every device is signed out."""
    phone, tablet, other = account.first, account.device(), Account(account.app)
    answer = reset(account.app, reset_token(mailbox, account))
    assert (answer.status_code, answer.data) == (204, b"")
    for device in (phone, tablet):
        assert failure(device.call("GET", "/users/me")) == (401, "token_revoked")
        refused = device.call("POST", "/auth/refresh", device.refresh_token)
        assert failure(refused) == (401, "token_revoked")
    assert (login(account, PASSWORD), login(account, NEW)) == (401, 200)
    assert other.first.call("GET", "/users/me").status_code == 200
    assert login(other, PASSWORD) == 200


def test_a_reset_token_works_once(account: Account, mailbox: Mailbox) -> None:
    token = reset_token(mailbox, account)
    assert reset(account.app, token).status_code == 204
    assert named(reset(account.app, token, "a-third-horse-battery")) == ["token"]
    assert login(account, NEW) == 200


def test_a_reset_token_works_for_30_minutes(account: Account, mailbox: Mailbox) -> None:
    token = reset_token(mailbox, account)
    with account.app.app_context():
        row = db.session.get_one(MailedToken, hashlib.sha256(token.encode()).hexdigest())
        assert row.expires_at - row.created_at == timedelta(minutes=30)
    change(account, MailedToken, expires_at=utc_now())
    assert named(reset(account.app, token)) == ["token"]
    assert login(account, PASSWORD) == 200


def test_what_is_no_reset_token_is_named(newcomer: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 8: a bad token is 422; nothing has changed by it."""
    (other_purpose,) = mailed(mailbox, newcomer, CONFIRM)
    good = reset_token(mailbox, newcomer)
    for token in (other_purpose, good[:-1], good + "=", f" {good}", "x" * 43, "x" * 60_000, ""):
        assert named(reset(newcomer.app, token)) == ["token"]
    for value in (None, 7, [good]):
        assert named(reset(newcomer.app, value)) == ["token"]
    assert named(post(newcomer.app, "/auth/password/reset", new_password=NEW)) == ["token"]
    assert newcomer.first.call("GET", "/users/me").status_code == 200
    assert reset(newcomer.app, good).status_code == 204


def test_a_weak_password_does_not_use_the_token_up(account: Account, mailbox: Mailbox) -> None:
    token = reset_token(mailbox, account)
    for weak in ("short", "Password1", "x" * 129):
        assert named(reset(account.app, token, weak)) == ["new_password"]
    assert reset(account.app, token).status_code == 204


def test_of_resets_at_the_same_moment_one_succeeds(account: Account, mailbox: Mailbox) -> None:
    token = reset_token(mailbox, account)
    passwords = [f"{n} horses and a battery" for n in range(4)]
    with ThreadPoolExecutor(len(passwords)) as pool:
        answers = list(pool.map(lambda word: reset(account.app, token, word), passwords))
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [204, 422, 422, 422]
    assert [login(account, word) for word in passwords] == [
        200 if code == 204 else 401 for code in codes
    ]


def test_each_of_several_mails_works_until_one_is_used(account: Account, mailbox: Mailbox) -> None:
    """Mail comes late and in any order: the second does not spoil the first."""
    for used in range(3):
        mailbox.mails.clear()
        for _ in range(3):
            forgot(account.app, account.email)
        tokens = mailed(mailbox, account, RESET)
        assert reset(account.app, tokens[used], f"{used} horses and a battery").status_code == 204
        for token in tokens:
            assert named(reset(account.app, token)) == ["token"]
        assert login(account, f"{used} horses and a battery") == 200


def by_the_owner(account: Account) -> int:
    body = {"current_password": PASSWORD, "new_password": NEW}
    return account.first.call("POST", "/users/me/password", json=body).status_code


def by_moving(account: Account) -> int:
    body = {"current_password": PASSWORD, "email": f"new.{account.email}"}
    return account.first.call("PATCH", "/users/me", json=body).status_code


def by_moving_and_back(account: Account) -> int:
    by_moving(account)
    body = {"current_password": PASSWORD, "email": account.email}
    return account.first.call("PATCH", "/users/me", json=body).status_code


def by_leaving(account: Account) -> int:
    return account.first.call("DELETE", "/users/me", json={"password": PASSWORD}).status_code


def by_an_operator(account: Account) -> int:
    with account.app.app_context():
        admin.set_password(account.user["id"], NEW)
    return 204


@pytest.mark.parametrize(
    "event", [by_the_owner, by_moving, by_moving_and_back, by_leaving, by_an_operator]
)
def test_what_ends_a_reset_token(
    account: Account, mailbox: Mailbox, event: Callable[[Account], int]
) -> None:
    """Whoever reads an old mail later must find nothing that works."""
    token, other = reset_token(mailbox, account), Account(account.app)
    others = reset_token(mailbox, other)
    assert event(account) in (200, 204)
    assert named(reset(account.app, token, "a-third-horse-battery")) == ["token"]
    assert reset(other.app, others).status_code == 204


def test_a_disabled_account_cannot_be_reset_until_it_may_again(
    account: Account, mailbox: Mailbox
) -> None:
    """Contract, Accounts 5: 403 `account_disabled`."""
    token = reset_token(mailbox, account)
    deactivate(account)
    assert failure(reset(account.app, token)) == (403, "account_disabled")
    deactivate(account, is_active=True)
    assert login(account, PASSWORD) == 200
    assert reset(account.app, token).status_code == 204


def test_the_database_holds_no_token(newcomer: Account, mailbox: Mailbox) -> None:
    """Only its SHA-256: whoever reads a backup can do nothing with it."""
    tokens = [reset_token(mailbox, newcomer), *mailed(mailbox, newcomer, CONFIRM)]
    with newcomer.app.app_context():
        everything = {
            name: str(db.session.execute(select(table)).all())
            for name, table in db.metadata.tables.items()
        }
    for token in tokens:
        assert not [name for name, rows in everything.items() if token in rows]
        assert hashlib.sha256(token.encode()).hexdigest() in everything["mailed_tokens"]


# whose address it is


def is_verified(account: Account) -> bool:
    with account.app.app_context():
        return db.session.get_one(User, account.user["id"]).email_verified_at is not None


def test_registering_mails_a_token_that_verifies(newcomer: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 11: 204; the second time too, as the first answer may have been lost."""
    (token,) = mailed(mailbox, newcomer, CONFIRM)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Melon: Confirm your e-mail address"
    assert "three days" in part(mail, "plain") and "three days" in part(mail, "html")
    assert not is_verified(newcomer)
    for _ in range(2):
        answer = verify(newcomer.app, token)
        assert (answer.status_code, answer.data) == (204, b"")
        assert is_verified(newcomer)


def test_what_is_no_verification_token_is_named(newcomer: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 8: a bad verification token is 422."""
    (good,) = mailed(mailbox, newcomer, CONFIRM)
    other_purpose = reset_token(mailbox, newcomer)
    for token in (other_purpose, good[:-1], "x" * 43, "x" * 60_000, "", None, 7):
        assert named(verify(newcomer.app, token)) == ["token"]
    assert not is_verified(newcomer)


def test_a_verification_token_works_for_three_days(newcomer: Account, mailbox: Mailbox) -> None:
    (token,) = mailed(mailbox, newcomer, CONFIRM)
    with newcomer.app.app_context():
        row = db.session.get_one(MailedToken, hashlib.sha256(token.encode()).hexdigest())
        assert row.expires_at - row.created_at == timedelta(days=3)
    change(newcomer, MailedToken, expires_at=utc_now())
    assert named(verify(newcomer.app, token)) == ["token"]
    assert not is_verified(newcomer)


def test_a_token_for_an_older_address_verifies_nothing(newcomer: Account, mailbox: Mailbox) -> None:
    (old,) = mailed(mailbox, newcomer, CONFIRM)
    by_moving(newcomer)
    assert named(verify(newcomer.app, old)) == ["token"]
    (new,) = mailed(mailbox, newcomer, CONFIRM, f"new.{newcomer.email}")
    assert verify(newcomer.app, new).status_code == 204


def test_a_mail_that_was_asked_for_before_the_address_changed_verifies_nothing(
    newcomer: Account, mailbox: Mailbox
) -> None:
    """The token is made behind the answer: perhaps after the change."""
    settle(newcomer.app)
    with held_up(newcomer.app):
        newcomer.first.call("POST", "/auth/email/resend")
        forgot(newcomer.app, newcomer.email)
        with newcomer.app.app_context():  # as another worker does it, whose outbox is empty
            change(newcomer, User, email=f"new.{newcomer.email}")
    _before, late = mailed(mailbox, newcomer, CONFIRM)
    assert named(verify(newcomer.app, late)) == ["token"]
    assert mailed(mailbox, newcomer, RESET) == []


def test_resend_mails_again_until_it_is_done(newcomer: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 11: `POST /auth/email/resend` 202."""
    phone = newcomer.first
    assert phone.call("POST", "/auth/email/resend").status_code == 202
    first, second = mailed(mailbox, newcomer, CONFIRM)
    assert first != second
    assert verify(newcomer.app, second).status_code == 204
    assert verify(newcomer.app, first).status_code == 204
    assert phone.call("POST", "/auth/email/resend").status_code == 202
    assert len(mailed(mailbox, newcomer, CONFIRM)) == 2


def test_a_reset_shows_whose_address_it_is(newcomer: Account, mailbox: Mailbox) -> None:
    """The token was in that mailbox alone."""
    assert reset(newcomer.app, reset_token(mailbox, newcomer)).status_code == 204
    assert is_verified(newcomer)


# when only a verified address may sync

SYNC = [
    ("GET", "/sync/pull?last_pulled_at=null&schema_version=1&migration=null", None),
    ("POST", "/sync/pull", {"lastPulledAt": None, "schemaVersion": 1, "migration": None}),
    ("POST", "/sync/push", {"changes": {"projects": created(project())}, "lastPulledAt": 0}),
    ("POST", "/sync/verify", {"lastPulledAt": 1, "tables": {}}),
]


def answers_to_sync(phone: Device) -> list[tuple[int, str | None]]:
    answers = [phone.call(method, path, json=body) for method, path, body in SYNC]
    return [(answer.status_code, (answer.json or {}).get("code")) for answer in answers]


def test_sync_may_wait_for_a_verified_address(
    newcomer: Account, mailbox: Mailbox, settings_of: Any
) -> None:
    """Contract, Errors 1: 403 `email_not_verified`, with REQUIRE_VERIFIED_EMAIL alone; then no
    more, at once and on every device."""
    settings_of(REQUIRE_VERIFIED_EMAIL=True)
    phone, tablet = newcomer.first, newcomer.device()
    for device in (phone, tablet):
        assert answers_to_sync(device) == [(403, "email_not_verified")] * len(SYNC)
    (token,) = mailed(mailbox, newcomer, CONFIRM)
    assert verify(newcomer.app, token).status_code == 204
    for device in (phone, tablet):
        assert answers_to_sync(device) == [(200, None)] * len(SYNC)
    by_moving(newcomer)
    for device in (phone, tablet):
        assert answers_to_sync(device) == [(403, "email_not_verified")] * len(SYNC)
    (token,) = mailed(mailbox, newcomer, CONFIRM, f"new.{newcomer.email}")
    assert verify(newcomer.app, token).status_code == 204
    for device in (phone, tablet):
        assert answers_to_sync(device) == [(200, None)] * len(SYNC)


def test_an_account_can_be_used_and_left_without_a_verified_address(
    newcomer: Account, mailbox: Mailbox, settings_of: Any
) -> None:
    settings_of(REQUIRE_VERIFIED_EMAIL=True)
    phone = newcomer.first
    for path in ("/users/me", "/auth/sessions", "/users/me/export"):
        assert phone.call("GET", path).status_code == 200
    assert phone.call("PATCH", "/users/me", json={"name": "Grace"}).status_code == 200
    assert phone.call("POST", "/auth/email/resend").status_code == 202
    assert phone.call("POST", "/auth/refresh", phone.refresh_token).status_code == 200
    assert by_the_owner(newcomer) == 204
    assert phone.call("POST", "/auth/logout").status_code == 204
    newcomer.password = NEW
    tablet = newcomer.device()
    assert tablet.call("POST", "/auth/logout-all").status_code == 204
    left = newcomer.device().call("DELETE", "/users/me", json={"password": NEW})
    assert left.status_code == 204


def test_without_the_setting_nobody_waits(newcomer: Account) -> None:
    assert newcomer.app.config["REQUIRE_VERIFIED_EMAIL"] is False
    assert answers_to_sync(newcomer.first) == [(200, None)] * len(SYNC)


# what the owner is told


def test_a_new_address_is_told_to_the_old_and_asked_of_the_new(
    account: Account, mailbox: Mailbox
) -> None:
    change(account, User, email_verified_at=utc_now())
    assert by_moving(account) == 200
    new = f"new.{account.email}"
    assert subjects(mailbox, account) == ["Melon: Your e-mail address was changed"]
    assert subjects(mailbox, account, new) == ["Melon: Confirm your e-mail address"]
    told = mailbox.wait_for(account.email, MOVED)
    for kind in ("plain", "html"):  # who has the old mailbox need not learn the new one
        assert "address of your Melon account was changed" in part(told, kind)
        assert new not in part(told, kind)
    assert not is_verified(account)
    assert verify(account.app, token_in(mailbox.wait_for(new, CONFIRM))).status_code == 204
    assert is_verified(account)


def test_the_same_address_again_is_no_news(account: Account, mailbox: Mailbox) -> None:
    change(account, User, email_verified_at=utc_now())
    body = {"current_password": PASSWORD, "email": account.email.upper(), "name": "Grace"}
    assert account.first.call("PATCH", "/users/me", json=body).status_code == 200
    assert account.first.call("PATCH", "/users/me", json={"name": "Ada"}).status_code == 200
    assert subjects(mailbox, account) == []
    assert is_verified(account)


def test_an_address_that_is_taken_brings_nobody_mail(account: Account, mailbox: Mailbox) -> None:
    other = Account(account.app)
    settle(account.app)
    mailbox.mails.clear()
    body = {"current_password": PASSWORD, "email": other.email}
    assert failure(account.first.call("PATCH", "/users/me", json=body)) == (409, "email_taken")
    assert failure(post(account.app, "/auth/register", email=other.email, password=PASSWORD)) == (
        409,
        "email_taken",
    )
    settle(account.app)
    assert mailbox.mails == []


@pytest.mark.parametrize("event", [by_the_owner, by_an_operator, "by a token"])
def test_a_new_password_is_told_without_any_secret(
    account: Account, mailbox: Mailbox, event: Any
) -> None:
    """ASVS 6.3.7."""
    token = reset_token(mailbox, account)
    if callable(event):
        event(account)
    else:
        assert reset(account.app, token).status_code == 204
    settle(account.app)
    assert subjects(mailbox, account)[1:] == ["Melon: Your password was changed"]
    told = mailbox.wait_for(account.email, CHANGED)
    for kind in ("plain", "html"):
        assert "password of your Melon account was changed" in part(told, kind)
        assert not {NEW, PASSWORD, token} & set(part(told, kind).split())
        assert all(secret not in part(told, kind) for secret in (NEW, PASSWORD, token))


def test_what_fails_brings_no_mail(account: Account, mailbox: Mailbox) -> None:
    wrong = {"current_password": "wrong-password", "new_password": NEW, "email": "x@example.com"}
    account.first.call("POST", "/users/me/password", json=wrong)
    account.first.call("PATCH", "/users/me", json=wrong)
    reset(account.app, "x" * 43)
    settle(account.app)
    assert mailbox.mails == []


def test_a_new_password_leaves_the_verification_as_it_is(
    newcomer: Account, mailbox: Mailbox
) -> None:
    """A newcomer may change the password before the mail is opened."""
    (token,) = mailed(mailbox, newcomer, CONFIRM)
    body = {"current_password": PASSWORD, "new_password": "another-horse-battery"}
    assert newcomer.first.call("POST", "/users/me/password", json=body).status_code == 204
    answer = newcomer.app.test_client().post(f"{API}/auth/email/verify", json={"token": token})
    assert answer.status_code == 204
