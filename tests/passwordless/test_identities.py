"""Contract, Accounts 15, 16 and 18: whose an identity is, what it proves, and that there is always
a way in; on every backend, with a real issuer."""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import API, PASSWORD, Account, Device, created, guest, project
from flask import Flask
from issuer import LocalIssuer
from mail_server import Mailbox, settle, token_in
from providers import address, failure, known, link, me, sign_in, unlink, ways
from sqlalchemy import select
from test_codes import codes_in, verify

from melon_api.models.base import db
from melon_api.models.user import Identity
from melon_api.users import admin

NEW = "another-horse-battery"


@pytest.fixture(scope="module")
def served() -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(app: Flask, served: LocalIssuer) -> Iterator[LocalIssuer]:
    with known(app, served):
        yield served


class Person:
    """Somebody whom the issuer knows."""

    def __init__(self, issuer: LocalIssuer, email: str | None, verified: Any = True) -> None:
        self.issuer, self.subject = issuer, secrets.token_hex(8)
        self.email, self.verified = email, verified

    def token(self, **claims: Any) -> str:
        said = {"email": self.email, "email_verified": self.verified, **claims}
        return self.issuer.token(sub=self.subject, **said)


def login(account: Account, password: str = PASSWORD) -> int:
    body = {"email": account.email, "password": password}
    return int(account.app.test_client().post(f"{API}/auth/login", json=body).status_code)


def confirm(account: Account, mailbox: Mailbox) -> None:
    settle(account.app)
    (mail,) = mailbox.to(account.email)
    body = {"token": token_in(mail)}
    answer = account.app.test_client().post(f"{API}/auth/email/verify", json=body)
    assert answer.status_code == 204


def subjects(app: Flask, user_id: str) -> set[tuple[str, str]]:
    with app.app_context():
        query = select(Identity.provider, Identity.subject).where(Identity.user_id == user_id)
        return {(row.provider, row.subject) for row in db.session.execute(query)}


# signing in


def test_a_new_account_takes_a_verified_address(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 15: 201 where the account is new, 200 from then on; by `sub` alone, though
    the address at the provider is another one by then."""
    person = Person(issuer, address().upper())
    assert person.email
    answer = sign_in(app, person.token(), name="Ada", device_name="Phone", device_id="p")
    assert answer.status_code == 201
    user = answer.json["user"]
    assert ways(user) == (person.email.lower(), False, False, True, ["google"])
    assert user["name"] == "Ada"
    person.email = address()
    again = sign_in(app, person.token(), name="Bo")
    assert (again.status_code, again.json["user"]) == (200, user)
    phone = Device(app, answer.json)
    assert len(phone.call("GET", "/auth/sessions").json) == 2
    phone.push(projects=created(project()))


@pytest.mark.parametrize("verified", [True, "true"])
def test_what_is_verified(app: Flask, issuer: LocalIssuer, verified: Any) -> None:
    """Contract, Accounts 15: `true`, or the text."""
    person = Person(issuer, address(), verified)
    assert sign_in(app, person.token()).json["user"]["email_verified"] is True


@pytest.mark.parametrize("verified", [False, None, "false", "True", 1, "1", ["true"]])
def test_an_unverified_address_of_a_provider(
    app: Flask, issuer: LocalIssuer, mailbox: Mailbox, verified: Any
) -> None:
    """Contract, Accounts 15 and 16: a threat. It links nothing, and is stored only where it is
    nobody's."""
    account = Account(app)
    confirm(account, mailbox)
    answer = sign_in(app, Person(issuer, account.email, verified).token())
    assert answer.status_code == 201
    assert ways(answer.json["user"]) == (None, False, False, False, ["google"])
    assert me(account.first)["identities"] == []
    free = Person(issuer, address(), verified)
    user = sign_in(app, free.token()).json["user"]
    assert ways(user) == (free.email, False, False, False, ["google"])
    settle(app)
    assert ["Confirm" in mail["Subject"] for mail in mailbox.to(str(free.email))] == [True]


def test_an_address_that_is_none_is_not_stored(app: Flask, issuer: LocalIssuer) -> None:
    for email in (None, "", "ada", 7, "a" * 300 + "@example.com"):
        answer = sign_in(app, Person(issuer, email).token())  # type: ignore[arg-type]
        assert ways(answer.json["user"]) == (None, False, False, False, ["google"])


def test_of_a_verified_address_nothing_is_void(
    app: Flask, issuer: LocalIssuer, mailbox: Mailbox
) -> None:
    """Contract, Accounts 16: it is linked, and nothing is void."""
    account = Account(app)
    confirm(account, mailbox)
    person = Person(issuer, account.email)
    answer = sign_in(app, person.token())
    assert answer.status_code == 200
    assert answer.json["user"]["id"] == account.user["id"]
    assert ways(answer.json["user"]) == (account.email, False, True, True, ["google"])
    assert me(account.first) == answer.json["user"]
    assert login(account) == 200


def test_a_stranger_who_registered_the_address_first(
    app: Flask, issuer: LocalIssuer, mailbox: Mailbox
) -> None:
    """Contract, Accounts 16: a threat. An identity, a session or a code that a stranger left on an
    account does not survive its rightful owner's first proof."""
    stranger, theirs = Account(app), Person(issuer, address())
    assert link(stranger.first, theirs.token()).status_code == 200
    assert link(stranger.first, theirs.token(), provider="apple").status_code == 200
    app.test_client().post(f"{API}/auth/code", json={"email": stranger.email})
    settle(app)
    owner = Person(issuer, stranger.email)
    answer = sign_in(app, owner.token())
    assert answer.status_code == 200
    assert answer.json["user"]["id"] == stranger.user["id"]
    assert ways(answer.json["user"]) == (stranger.email, False, False, True, ["google"])
    assert subjects(app, stranger.user["id"]) == {("google", owner.subject)}
    assert failure(stranger.first.call("GET", "/users/me")) == (401, "token_revoked")
    assert login(stranger) == 401
    other = sign_in(app, theirs.token()).json["user"]
    assert other["id"] != stranger.user["id"]
    (code,) = codes_in(mailbox, stranger.email)
    assert verify(app, stranger.email, code).status_code == 401


def test_the_first_proof_by_an_identity_that_is_linked(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 16: of an address that its account has not verified, whoever linked what
    before: the password is void, this identity is not."""
    account = Account(app)
    person = Person(issuer, account.email)
    assert link(account.first, person.token()).json["email_verified"] is False
    user = sign_in(app, person.token()).json["user"]
    assert ways(user) == (account.email, False, False, True, ["google"])
    assert user["id"] == account.user["id"]
    assert login(account) == 401
    assert sign_in(app, person.token()).json["user"] == user


def test_many_sign_ins_of_a_new_person_open_one_account(app: Flask, issuer: LocalIssuer) -> None:
    person = Person(issuer, address())
    tokens = [person.token(jti=str(n)) for n in range(6)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda token: sign_in(app, token), tokens))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json["user"]["id"] for answer in answers}) == 1


def test_two_people_of_one_new_address_at_once(app: Flask, issuer: LocalIssuer) -> None:
    """Of two providers: both prove the same address, and are in the same account."""
    email = address()
    people = [(Person(issuer, email), provider) for provider in ("google", "apple")]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda p: sign_in(app, p[0].token(), provider=p[1]), people))
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert len({answer.json["user"]["id"] for answer in answers}) == 1
    assert sign_in(app, people[0][0].token()).json["user"]["identities"] == ["apple", "google"]


def test_one_of_each_provider_at_most(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 15: another one with the same address is refused, not put in its place."""
    first, second = Person(issuer, email := address()), Person(issuer, email)
    phone = Device(app, sign_in(app, first.token()).json)
    assert failure(sign_in(app, second.token())) == (409, "identity_taken")
    assert failure(link(phone, second.token())) == (409, "identity_taken")
    assert link(phone, second.token(), provider="apple").status_code == 200
    assert sign_in(app, second.token(), provider="apple").status_code == 200


def test_a_disabled_account_is_told_so(app: Flask, issuer: LocalIssuer) -> None:
    person = Person(issuer, address())
    user = sign_in(app, person.token()).json["user"]
    stranger = Account(app)
    with app.app_context():
        for user_id in (user["id"], stranger.user["id"]):
            admin.set_active(user_id, is_active=False)
    assert failure(sign_in(app, person.token())) == (403, "account_disabled")
    owner = Person(issuer, stranger.email)
    assert failure(sign_in(app, owner.token())) == (403, "account_disabled")
    with app.app_context():
        admin.set_active(stranger.user["id"], is_active=True)
    assert me(stranger.first)["has_password"] is True  # nothing was void


# linking


def test_linking_signs_nobody_in(account: Account, issuer: LocalIssuer) -> None:
    """Contract, Accounts 15 and 16: 200 user; again is no news; another account's is 409."""
    person = Person(issuer, address())
    for _ in range(2):
        answer = link(account.first, person.token())
        assert answer.status_code == 200
        assert ways(answer.json) == (account.email, False, True, False, ["google"])
    assert len(account.first.call("GET", "/auth/sessions").json) == 1
    other = Account(account.app)
    assert failure(link(other.first, person.token())) == (409, "identity_taken")
    assert me(other.first) == other.user
    assert sign_in(account.app, person.token()).json["user"]["id"] == account.user["id"]


def test_linking_while_signed_in_as_a_guest(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 18: a threat. Linking an identity ends the guest; its records stay, and
    what only a guest may do ends."""
    phone, home, person = guest(app), project(), Person(issuer, address())
    phone.push(projects=created(home))
    answer = link(phone, person.token())
    assert ways(answer.json) == (person.email, False, False, True, ["google"])
    assert failure(phone.call("DELETE", "/users/me", json={})) == (422, "validation_failed")
    body = {"email": address()}
    assert failure(phone.call("POST", "/users/me/upgrade", json=body)) == (403, "forbidden")
    tablet = Device(app, sign_in(app, person.token()).json)
    assert set(tablet.records("projects")) == {home["id"]}


def test_a_guest_takes_no_address_that_is_anothers(account: Account, issuer: LocalIssuer) -> None:
    """Nor one that the provider does not call verified: linking proves nothing to anybody else."""
    phone = guest(account.app)
    answer = link(phone, Person(issuer, account.email).token())
    assert ways(answer.json) == (None, False, False, False, ["google"])
    unverified = link(guest(account.app), Person(issuer, address(), None).token())
    assert ways(unverified.json) == (None, False, False, False, ["google"])
    assert me(account.first) == account.user


def test_an_identity_linked_by_two_at_once_is_ones(app: Flask, issuer: LocalIssuer) -> None:
    person, phones = Person(issuer, None), [guest(app) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda phone: link(phone, person.token()).status_code, phones))
    assert sorted(found) == [200, 409, 409, 409]


def test_someone_elses_token_changes_its_own_account_alone(
    account: Account, issuer: LocalIssuer
) -> None:
    """Whatever the body names: an identity is taken from, linked to and an address given to the
    account of the token."""
    app, person = account.app, Person(issuer, address())
    assert link(account.first, person.token()).status_code == 200
    before, stranger, other = me(account.first), guest(app), Account(app)
    assert failure(unlink(other.first)) == (404, "not_found")
    assert failure(unlink(stranger)) == (404, "not_found")
    body = {"id_token": Person(issuer, None).token(), "id": account.user["id"]}
    answer = other.first.call("POST", "/users/me/identities/apple", json=body)
    assert failure(answer) == (422, "validation_failed")
    body = {"email": address(), "user_id": account.user["id"]}
    answer = stranger.call("POST", "/users/me/upgrade", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert me(account.first) == before


# the last way in


def test_the_last_way_in_is_not_removed(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 18: a threat; 409 `last_identity`."""
    person = Person(issuer, address(), None)
    only = Device(app, sign_in(app, Person(issuer, None).token()).json)
    assert failure(unlink(only)) == (409, "last_identity")
    unproved = Device(app, sign_in(app, person.token()).json)
    assert failure(unlink(unproved)) == (409, "last_identity")  # nobody knows whose address it is
    assert link(only, Person(issuer, None).token(), provider="apple").status_code == 200
    assert unlink(only).status_code == 204
    assert failure(unlink(only)) == (404, "not_found")
    assert failure(unlink(only, "apple")) == (409, "last_identity")
    assert me(only)["identities"] == ["apple"]


def test_what_else_is_a_way_in(account: Account, issuer: LocalIssuer) -> None:
    """Contract, Accounts 18: a password with its address, an address by code."""
    person = Person(issuer, address())
    assert link(account.first, person.token()).status_code == 200
    assert unlink(account.first).status_code == 204
    assert login(account) == 200
    proved = Device(account.app, sign_in(account.app, person.token()).json)
    assert me(proved)["id"] != account.user["id"]
    assert unlink(proved).status_code == 204
    assert ways(me(proved)) == (person.email, False, False, True, [])
    assert failure(unlink(proved, "github")) == (404, "not_found")


def test_two_identities_removed_at_once_leave_one(app: Flask, issuer: LocalIssuer) -> None:
    phone = Device(app, sign_in(app, Person(issuer, None).token()).json)
    assert link(phone, Person(issuer, None).token(), provider="apple").status_code == 200
    token = {"Authorization": f"Bearer {phone.access_token}"}

    def ask(provider: str) -> int:
        path = f"{API}/users/me/identities/{provider}"
        return int(app.test_client().delete(path, headers=token).status_code)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(ask, ["google", "apple"])) == [204, 409]
    assert len(me(phone)["identities"]) == 1


# in place of a password


def test_a_fresh_token_of_a_linked_identity_proves(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 18: wherever a call asks for a password."""
    person, new = Person(issuer, address()), address()
    phone = Device(app, sign_in(app, person.token()).json)
    proof = {"id_token": person.token(nonce="n"), "nonce": "n"}
    body = {"new_password": NEW, **proof}
    assert phone.call("POST", "/users/me/password", json=body).status_code == 204
    answer = phone.call("PATCH", "/users/me", json={"email": new, **proof})
    assert ways(answer.json) == (new, False, True, False, ["google"])
    assert phone.call("DELETE", "/users/me", json=proof).status_code == 204
    assert sign_in(app, person.token()).status_code == 201


@pytest.mark.parametrize("name", ["old", "other", "nonce", "audience", "none", "unlinked"])
def test_a_proof_that_is_replayed(app: Flask, issuer: LocalIssuer, name: str) -> None:
    """Contract, Accounts 18: a threat. Neither one of more than 5 minutes ago, nor another
    person's, nor one for another nonce or app, nor one that is linked no more."""
    person = Person(issuer, address())
    phone = Device(app, sign_in(app, person.token()).json)
    bodies: dict[str, dict[str, Any]] = {
        "old": {"id_token": person.token(iat=int(time.time()) - 301)},
        "other": {"id_token": Person(issuer, person.email).token()},
        "nonce": {"id_token": person.token(nonce="n"), "nonce": "m"},
        "audience": {"id_token": person.token(aud="another.app")},
        "none": {"id_token": "none"},
        "unlinked": {"id_token": person.token()},
    }
    if name == "unlinked":
        assert unlink(phone).status_code == 204
    for method, path, more in (
        ("DELETE", "/users/me", {}),
        ("PATCH", "/users/me", {"email": address()}),
        ("POST", "/users/me/password", {"new_password": NEW}),
    ):
        answer = phone.call(method, path, json=bodies[name] | more)
        assert failure(answer) == (422, "validation_failed")
        assert list(answer.json["errors"]) == ["id_token"]
    assert me(phone)["has_password"] is False


def test_a_proof_of_four_minutes_is_fresh(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 18: no older than 5 minutes."""
    person = Person(issuer, address())
    phone = Device(app, sign_in(app, person.token()).json)
    body = {"id_token": person.token(iat=int(time.time()) - 240)}
    assert phone.call("DELETE", "/users/me", json=body).status_code == 204


def test_who_has_only_an_identity_proves_by_it_alone(app: Flask, issuer: LocalIssuer) -> None:
    """A threat: an account with no password asked to prove itself."""
    phone = Device(app, sign_in(app, Person(issuer, None).token()).json)
    for body in ({}, {"password": "!"}, {"code": "123456"}):
        assert failure(phone.call("DELETE", "/users/me", json=body)) == (422, "validation_failed")
    assert me(phone)["identities"] == ["google"]


def test_a_deleted_account_leaves_no_identity(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 12: and may be opened anew."""
    person = Person(issuer, address())
    first = Device(app, sign_in(app, person.token()).json)
    user_id = me(first)["id"]
    body = {"id_token": person.token()}
    assert first.call("DELETE", "/users/me", json=body).status_code == 204
    assert subjects(app, user_id) == set()
    again = sign_in(app, person.token())
    assert again.status_code == 201 and again.json["user"]["id"] != user_id


@NO_DATABASE
def test_all_that_is_wrong_with_a_link_is_said(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Errors 4: the token beside another field."""
    answer = link(guest(app), "none", device_id="!!")
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"device_id", "id_token"}
