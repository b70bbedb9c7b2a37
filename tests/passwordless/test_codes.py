"""Contract, Accounts 16 to 18: codes by mail, and whose an address is; on every backend."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app, statements
from devices import API, PASSWORD, Account, Device, created, guest, new_id, project
from flask import Flask
from issuer import LocalIssuer
from mail_server import SENDER, Mailbox, held_up, part, settle, token_in
from providers import known, sign_in
from sqlalchemy import select, update

from melon_api.auth.tokens import key_id
from melon_api.models.base import db, utc_now
from melon_api.models.mailed_token import MailedCode
from melon_api.models.user import Identity
from melon_api.users import admin
from melon_api.web.limiter import Key, hashed
from melon_api.web.limits import limiter_of

CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
NEW = "another-horse-battery"


def address() -> str:
    return f"{new_id()}@example.com"


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.json["code"]


def post(app: Flask, path: str, **body: Any) -> Any:
    return app.test_client().post(API + path, json=body)


def codes_in(mailbox: Mailbox, email: str) -> list[str]:
    """All that were mailed there, the oldest first; the same in both parts of a mail."""
    found = []
    for mail in mailbox.to(email):
        if "Your code" in mail["Subject"]:
            (code,) = set(CODE.findall(part(mail, "plain")))
            assert code in part(mail, "html")
            found.append(str(code))
    return found


def code_for(app: Flask, mailbox: Mailbox, email: str) -> str:
    answer = post(app, "/auth/code", email=email)
    assert (answer.status_code, answer.json) == (202, None)
    settle(app)
    return codes_in(mailbox, email.lower())[-1]


def verify(app: Flask, email: str, code: str, **more: Any) -> Any:
    return post(app, "/auth/code/verify", email=email, code=code, **more)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def confirm(account: Account, mailbox: Mailbox) -> None:
    """The account's owner follows the link of the first mail."""
    settle(account.app)
    (mail,) = [mail for mail in mailbox.to(account.email) if "Confirm" in mail["Subject"]]
    assert post(account.app, "/auth/email/verify", token=token_in(mail)).status_code == 204


def me(device: Device) -> dict[str, Any]:
    return dict(device.call("GET", "/users/me").json)


# signing in


def test_a_code_opens_an_account_and_signs_in_again(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17: 201 where the account is new, else 200; it works once."""
    email = address()
    code = code_for(app, mailbox, email.upper())
    answer = verify(app, f" {email} ", code, name="Ada", device_name="Phone", device_id="p")
    assert answer.status_code == 201
    user = answer.json["user"]
    assert (user["email"], user["name"], user["email_verified"]) == (email, "Ada", True)
    assert (user["is_guest"], user["has_password"], user["identities"]) == (False, False, [])
    assert failure(verify(app, email, code)) == (401, "invalid_credentials")
    again = verify(app, email, code_for(app, mailbox, email), name="Bo")
    assert again.status_code == 200
    assert again.json["user"] == user
    assert len(Device(app, answer.json).call("GET", "/auth/sessions").json) == 2


def test_it_is_not_told_whether_the_address_is_known(account: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 7: alike in body, status and time; the time is counted in statements."""
    app = account.app
    emails = (account.email, address())
    with held_up(app):
        answers = []
        for email in emails:
            with statements(app) as seen:
                answers.append(post(app, "/auth/code", email=email))
            assert seen == []
    for answer in answers:
        del answer.headers["X-Request-ID"]
    assert answers[0].headers == answers[1].headers
    assert [answer.data for answer in answers] == [answers[0].data] * 2
    texts = [
        CODE.sub("", part(mail, "plain"))
        for email in emails
        for mail in mailbox.to(email)
        if "Your code" in mail["Subject"]
    ]
    assert len(texts) == 2 and len(set(texts)) == 1
    refused = [verify(app, email, "12345") for email in (*emails, address())]
    assert {failure(answer) for answer in refused} == {(401, "invalid_credentials")}
    assert len({answer.json["detail"] for answer in refused}) == 1


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_wrong_code_costs_alike(account: Account, mailbox: Mailbox, is_asked: bool) -> None:
    """Contract, Accounts 7: for an account, one without a password and none; counted, not timed."""
    app, bare = account.app, address()
    assert verify(app, bare, code_for(app, mailbox, bare)).status_code == 201
    found = []
    for email in (account.email, bare, address()):
        if is_asked:
            code_for(app, mailbox, email)
        with statements(app) as seen:
            answer = verify(app, email, "wrong")
        assert failure(answer) == (401, "invalid_credentials")
        found.append((answer.json | {"request_id": ""}, seen))
    assert found[0][1] and found[0] == found[1] == found[2]


def test_a_new_code_ends_the_one_before(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17."""
    email = address()
    first = code_for(app, mailbox, email)
    second = code_for(app, mailbox, email)
    while second == first:  # one of a million times
        second = code_for(app, mailbox, email)
    assert failure(verify(app, email, first)) == (401, "invalid_credentials")
    assert verify(app, email, second).status_code == 201


@pytest.mark.parametrize(("seconds", "status"), [(-5, 401), (5, 201)])
def test_a_code_lives_ten_minutes(app: Flask, mailbox: Mailbox, seconds: int, status: int) -> None:
    """Contract, Accounts 17."""
    email = address()
    code = code_for(app, mailbox, email)
    with app.app_context():
        row = db.session.get(MailedCode, email)
        assert row is not None
        assert row.expires_at - row.created_at == timedelta(minutes=10)
        changed = update(MailedCode).where(MailedCode.email == email)
        db.session.execute(changed.values(expires_at=utc_now() + timedelta(seconds=seconds)))
        db.session.commit()
    assert verify(app, email, code).status_code == status


def test_five_wrong_guesses_void_a_code(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17: a threat, codes guessed by many addresses, as sign-in or as proof."""
    email = address()
    phone = Device(app, verify(app, email, code_for(app, mailbox, email)).json)
    code = code_for(app, mailbox, email)
    guess = wrong(code)
    for n in range(4):
        assert verify(app, email, guess).status_code == 401
        if n == 1:
            answer = phone.call("DELETE", "/users/me", json={"code": guess})
            assert failure(answer) == (422, "validation_failed")
            assert list(answer.json["errors"]) == ["code"]
    assert failure(verify(app, email, code)) == (401, "invalid_credentials")
    assert verify(app, email, code_for(app, mailbox, email)).status_code == 200


def test_codes_guessed_by_many_addresses(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17: a threat; five wrong ones, each from somewhere else."""
    email = address()
    code = code_for(app, mailbox, email)
    body = {"email": email, "code": wrong(code)}
    for n in range(5):
        place = {"REMOTE_ADDR": f"192.0.2.{n}"}
        answer = app.test_client().post(f"{API}/auth/code/verify", json=body, environ_base=place)
        assert failure(answer) == (401, "invalid_credentials")
    assert failure(verify(app, email, code)) == (401, "invalid_credentials")


def test_four_wrong_guesses_do_not(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17."""
    email = address()
    code = code_for(app, mailbox, email)
    for guess in (wrong(code), "", "x" * 5_000, f"{code}0"):
        assert verify(app, email, guess).status_code == 401
    assert verify(app, email, code).status_code == 201


def test_many_guesses_at_once_are_five(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17: codes guessed by many addresses at the same moment. No more than
    five are looked at, in whatever order they come."""
    email = address()
    code = code_for(app, mailbox, email)
    guesses = [f"{(int(code) + n) % 1_000_000:06}" for n in range(1, 13)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda guess: verify(app, email, guess).status_code, guesses))
    assert answers == [401] * 12
    assert verify(app, email, code).status_code == 401


def test_a_code_used_by_two_at_once_works_once(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 17."""
    email = address()
    code = code_for(app, mailbox, email)
    with ThreadPoolExecutor(4) as threads:
        found = sorted(threads.map(lambda _: verify(app, email, code).status_code, range(4)))
    assert found == [201, 401, 401, 401]


def test_the_database_holds_no_code(app: Flask, mailbox: Mailbox) -> None:
    """Nor what a million tries would make one of, without the server's secret."""
    email = address()
    code = code_for(app, mailbox, email)
    with app.app_context():
        row = db.session.get(MailedCode, email)
        assert row is not None and len(row.digest) == 64 and code not in row.digest


def test_codes_outlive_a_change_of_the_key(app: Flask, mailbox: Mailbox) -> None:
    """As tokens do: the former key counts."""
    email, another = address(), "n" * 40
    code = code_for(app, mailbox, email)
    keys = app.extensions["token_keys"]
    app.extensions["token_keys"] = {key_id(another): another, **keys}
    try:
        assert verify(app, email, code).status_code == 201
    finally:
        app.extensions["token_keys"] = keys


def test_a_disabled_account_is_told_so_by_the_right_code(
    account: Account, mailbox: Mailbox
) -> None:
    with account.app.app_context():
        admin.set_active(account.user["id"], is_active=False)
    code = code_for(account.app, mailbox, account.email)
    refused = verify(account.app, account.email, wrong(code))
    assert failure(refused) == (401, "invalid_credentials")
    for _ in range(2):  # nothing is used up, and nothing void
        assert failure(verify(account.app, account.email, code)) == (403, "account_disabled")
    with account.app.app_context():
        admin.set_active(account.user["id"], is_active=True)
    assert verify(account.app, account.email, code).status_code == 200


# who proves an address owns its account


def test_a_stranger_registers_the_address_first(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 16: what anybody set up before is void; the account is the prover's. An
    identity, a session or a code that a stranger left does not survive the first proof."""
    stranger = Account(app)  # with an address that is not theirs
    settle(app)
    (verification,) = mailbox.to(stranger.email)
    tablet = stranger.device()
    with app.app_context():
        user_id = stranger.user["id"]
        db.session.add(Identity(provider="google", subject=new_id(), user_id=user_id))
        db.session.commit()
    post(app, "/auth/password/forgot", email=stranger.email)
    answer = verify(app, stranger.email, code_for(app, mailbox, stranger.email))
    assert answer.status_code == 200
    user = answer.json["user"]
    assert user["id"] == stranger.user["id"]
    assert (user["has_password"], user["email_verified"], user["identities"]) == (False, True, [])
    for device in (stranger.first, tablet):
        assert failure(device.call("GET", "/users/me")) == (401, "token_revoked")
        refused = device.call("POST", "/auth/refresh", device.refresh_token)
        assert failure(refused) == (401, "token_revoked")
    body = {"email": stranger.email, "password": PASSWORD}
    assert failure(post(app, "/auth/login", **body)) == (401, "invalid_credentials")
    assert post(app, "/auth/email/verify", token=token_in(verification)).status_code == 422
    (reset,) = [mail for mail in mailbox.to(stranger.email) if "new password" in mail["Subject"]]
    body = {"token": token_in(reset), "new_password": NEW}
    assert post(app, "/auth/password/reset", **body).status_code == 422
    with app.app_context():
        assert not db.session.scalars(select(Identity).filter_by(user_id=user["id"])).all()
    owner = Device(app, answer.json)
    assert len(owner.call("GET", "/auth/sessions").json) == 1


def test_a_mailed_reset_of_an_unverified_address_voids_the_rest(
    app: Flask, mailbox: Mailbox
) -> None:
    """Contract, Accounts 16: a mailed reset is a proof, too."""
    stranger = Account(app)
    with app.app_context():
        user_id = stranger.user["id"]
        db.session.add(Identity(provider="google", subject=new_id(), user_id=user_id))
        db.session.commit()
    code = code_for(app, mailbox, stranger.email)
    post(app, "/auth/password/forgot", email=stranger.email)
    settle(app)
    mails = [m for m in mailbox.to(stranger.email) if "code" not in m["Subject"]]
    tokens = {mail["Subject"]: token_in(mail) for mail in mails}
    body = {"token": tokens["Melon: Set a new password"], "new_password": NEW}
    assert post(app, "/auth/password/reset", **body).status_code == 204
    late = tokens["Melon: Confirm your e-mail address"]
    assert post(app, "/auth/email/verify", token=late).status_code == 422
    assert verify(app, stranger.email, code).status_code == 401
    assert failure(stranger.first.call("GET", "/users/me")) == (401, "token_revoked")
    signed_in = post(app, "/auth/login", email=stranger.email, password=NEW)
    user = signed_in.json["user"]
    assert (user["email_verified"], user["has_password"], user["identities"]) == (True, True, [])


def test_of_a_verified_address_nothing_is_void(account: Account, mailbox: Mailbox) -> None:
    """Contract, Accounts 16."""
    owner = Account(account.app)
    confirm(owner, mailbox)
    answer = verify(owner.app, owner.email, code_for(owner.app, mailbox, owner.email))
    assert (answer.status_code, answer.json["user"]["has_password"]) == (200, True)
    assert me(owner.first) == answer.json["user"]
    assert owner.device()


def test_a_changed_address_is_unverified(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 16: who proves the new one owns the account; who proves the old one does
    not."""
    account, new = Account(app), address()
    confirm(account, mailbox)
    old_code = code_for(app, mailbox, account.email)
    body = {"email": new, "current_password": PASSWORD}
    assert account.first.call("PATCH", "/users/me", json=body).json["email_verified"] is False
    other = verify(app, account.email, old_code)
    assert other.status_code == 201 and other.json["user"]["id"] != account.user["id"]
    prover = verify(app, new, code_for(app, mailbox, new)).json["user"]
    assert (prover["id"], prover["has_password"]) == (account.user["id"], False)
    assert failure(account.first.call("GET", "/users/me")) == (401, "token_revoked")


def test_records_stay_with_the_account(app: Flask, mailbox: Mailbox) -> None:
    """What is void are the ways in."""
    stranger, home = Account(app), project()
    stranger.first.push(projects=created(home))
    answer = verify(app, stranger.email, code_for(app, mailbox, stranger.email))
    assert set(Device(app, answer.json).records("projects")) == {home["id"]}


# a code in place of a password


def signed_in(app: Flask, mailbox: Mailbox, email: str) -> Device:
    return Device(app, verify(app, email, code_for(app, mailbox, email)).json)


def test_a_code_proves_whose_account_it_is(app: Flask, mailbox: Mailbox) -> None:
    """Contract, Accounts 18: wherever a call asks for a password. A proof that is replayed proves
    nothing."""
    email, new = address(), address()
    phone = signed_in(app, mailbox, email)
    code = code_for(app, mailbox, email)
    weak = phone.call("POST", "/users/me/password", json={"new_password": "short", "code": code})
    assert list(weak.json["errors"]) == ["new_password"]  # and the code is not used up
    body = {"new_password": NEW, "code": code}
    assert phone.call("POST", "/users/me/password", json=body).status_code == 204
    assert me(phone)["has_password"] is True
    replayed = phone.call("POST", "/users/me/password", json=body)
    assert failure(replayed) == (422, "validation_failed")
    assert list(replayed.json["errors"]) == ["code"]
    moved = {"email": new, "code": code_for(app, mailbox, email)}
    assert phone.call("PATCH", "/users/me", json=moved).json["email"] == new
    late = phone.call("DELETE", "/users/me", json={"code": code_for(app, mailbox, email)})
    assert failure(late) == (422, "validation_failed")  # that address is its own no more
    body = {"code": code_for(app, mailbox, new)}
    assert phone.call("DELETE", "/users/me", json=body).status_code == 204
    assert failure(phone.call("GET", "/users/me")) == (401, "token_revoked")


def test_a_code_proves_nothing_of_another_account(app: Flask, mailbox: Mailbox) -> None:
    mine, theirs = address(), address()
    phone, _ = signed_in(app, mailbox, mine), signed_in(app, mailbox, theirs)
    code = code_for(app, mailbox, theirs)
    answer = phone.call("DELETE", "/users/me", json={"code": code})
    assert failure(answer) == (422, "validation_failed")
    assert verify(app, theirs, code).status_code == 200  # and it was no guess at that one


def test_a_code_that_is_none_is_named(app: Flask, mailbox: Mailbox) -> None:
    phone = signed_in(app, mailbox, address())
    of_code, of_password = ({"code": 7}, {"code": None}), ({"code": ""}, {})
    told = [(body, "code") for body in of_code] + [(body, "password") for body in of_password]
    for body, place in told:
        answer = phone.call("DELETE", "/users/me", json=body)
        assert failure(answer) == (422, "validation_failed")
        assert list(answer.json["errors"]) == [place]
    unknown = guest(app).call("DELETE", "/users/me", json={"code": "123456"})
    assert failure(unknown) == (422, "validation_failed")


# how often


def test_codes_and_guesses_are_limited(tmp_path: Path) -> None:
    """Contract, Accounts 13 and 17: mails to one recipient, codes a day, guesses of an address."""
    limits = {"RATELIMIT_FORGOT_PER_ACCOUNT": "3/hour", "RATELIMIT_CODE_PER_ACCOUNT": "4/day"}
    limits |= {"RATELIMIT_LOGIN_PER_ADDRESS": "5/minute", "RATELIMIT_ENABLED": "true"}
    app = make_app(environment("sqlite", f"sqlite:///{tmp_path}/it.db", **limits), tmp_path)
    http, clients = app.test_client(), (f"192.0.2.{n}" for n in itertools.count(1))

    def ask(path: str, client: str, **body: str) -> int:
        answer = http.post(f"{API}{path}", json=body, environ_base={"REMOTE_ADDR": client})
        return int(answer.status_code)

    email = address()
    asked = [ask("/auth/code", next(clients), email=email) for _ in range(4)]
    assert asked == [202, 202, 202, 429]  # as many mails in an hour, known or not
    with app.app_context():  # who was refused got no code: one of the day's four is left
        key = Key((hashed(email),), ())
        assert [limiter_of(app).hit("CODE", key).is_allowed for _ in range(2)] == [True, False]
    assert ask("/auth/password/forgot", next(clients), email=email) == 202
    thief = next(clients)
    guesses = [ask("/auth/code/verify", thief, email=address(), code="123456") for _ in range(6)]
    assert guesses == [401] * 5 + [429]


def test_twenty_codes_a_day_for_one_address(tmp_path: Path) -> None:
    """Contract, Accounts 17: by the settings as they are, were mails not limited before."""
    limits = {"RATELIMIT_FORGOT_PER_ACCOUNT": "99/hour", "RATELIMIT_ENABLED": "true"}
    app = make_app(environment("sqlite", f"sqlite:///{tmp_path}/it.db", **limits), tmp_path)
    email = address()
    asked = [post(app, "/auth/code", email=email).status_code for _ in range(21)]
    assert asked == [202] * 20 + [429]
    assert post(app, "/auth/code", email=address()).status_code == 202


def test_mails_about_a_providers_addresses_are_counted_too(tmp_path: Path) -> None:
    """Contract, Accounts 13: whoever asks by whichever call, an address has five mails an hour."""
    database = f"sqlite:///{tmp_path}/it.db"
    app = make_app(environment("sqlite", database, RATELIMIT_ENABLED="true"), tmp_path)
    with LocalIssuer() as issuer, known(app, issuer), Mailbox() as box:
        app.config.update(SMTP=box.server, MAIL_FROM=SENDER)
        email = address()
        for subject in range(6):
            token = issuer.token(sub=f"s{subject}", email=email, email_verified=False)
            answer = sign_in(app, token)
            assert answer.status_code == 201
            settle(app)
            gone = Device(app, answer.json).call("DELETE", "/users/me", json={"id_token": token})
            assert gone.status_code == 204
        assert len(box.to(email)) == 5
