"""Contract, Accounts 15 to 18: a request that the guard has let in, and whose session ends before
it holds the account, changes nothing; on every backend."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import NO_DATABASE
from devices import PASSWORD, Account, Device, guest
from flask import Flask
from issuer import LocalIssuer
from providers import address, failure, known, link, me, sign_in, unlink, ways

from melon_api.auth import sessions
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.passwordless import guests, identities
from melon_api.spaces import invitations
from melon_api.users import admin, service


@pytest.fixture
def issuer(app: Flask) -> Any:
    with LocalIssuer() as issuer, known(app, issuer):
        yield issuer


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, room: Any, act: Callable[[], Any], name: str = "unit_of_work"
) -> None:
    """Have this happen between the guard and the transaction of the next request."""
    work = getattr(room, name)

    def late(*args: Any) -> Any:
        monkeypatch.setattr(room, name, work)
        act()
        return work(*args)

    monkeypatch.setattr(room, name, late)


def claim(app: Flask, issuer: LocalIssuer, email: str) -> Device:
    """The address's owner proves it; whoever was in the account is signed out."""
    token = issuer.token(sub="o" + email[:16], email=email, email_verified=True)
    answer = sign_in(app, token)
    assert answer.status_code == 200, answer.text
    return Device(app, answer.json)


def test_a_strangers_link_in_flight_while_the_owner_proves_the_address(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 16: an identity that a stranger left does not survive the first proof."""
    stranger, theirs = Account(app), issuer.token(sub="m" + address()[:16])
    owners: list[Device] = []
    meanwhile(monkeypatch, identities, lambda: owners.append(claim(app, issuer, stranger.email)))
    answer = link(stranger.first, theirs, "apple")
    assert failure(answer) == (401, "token_revoked")
    assert ways(me(owners[0])) == (stranger.email, False, False, True, ["google"])
    assert sign_in(app, theirs, "apple").json["user"]["id"] != stranger.user["id"]


def test_a_strangers_unlink_in_flight_while_the_owner_proves_the_address(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 16: it does not take the owner's identity away."""
    stranger = Account(app)
    assert link(stranger.first, issuer.token(sub="m" + address()[:16])).status_code == 200
    owners: list[Device] = []
    meanwhile(monkeypatch, identities, lambda: owners.append(claim(app, issuer, stranger.email)))
    assert failure(unlink(stranger.first)) == (401, "token_revoked")
    assert me(owners[0])["identities"] == ["google"]


def test_a_strangers_invitation_in_flight_while_the_owner_proves_the_address(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 16: nobody is let into the owner's spaces by it."""
    stranger = Account(app)
    space = stranger.first.call("POST", "/spaces", json={"name": "Home"}).json["id"]
    path, owners = f"/spaces/{space}/invitations", list[Device]()
    act = lambda: owners.append(claim(app, issuer, stranger.email))  # noqa: E731
    meanwhile(monkeypatch, invitations, act, "changing")
    answer = stranger.first.call("POST", path, json={"role": "owner"})
    assert failure(answer) == (401, "token_revoked")
    assert owners[0].call("GET", path).json == []


PROVED = ("address", "password")
CHANGES = {
    "name": (service, "PATCH", "/users/me", {"name": "Mallory"}),
    "address": (service, "PATCH", "/users/me", {"email": "new@example.com"}),
    "password": (service, "POST", "/users/me/password", {"new_password": "another-horse-battery"}),
    "upgrade": (guests, "POST", "/users/me/upgrade", {"email": "new@example.com"}),
    "logout-all": (sessions, "POST", "/auth/logout-all", None),
}


def stored(app: Flask, user_id: str) -> tuple[Any, ...]:
    with app.app_context():
        row = db.session.get_one(User, user_id)
        return row.name, row.email, row.password, row.providers


@NO_DATABASE
@pytest.mark.parametrize("why", ["ended", "disabled"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_in_flight_while_the_session_ends(
    app: Flask, monkeypatch: pytest.MonkeyPatch, what: str, why: str
) -> None:
    """Contract, Accounts 5: a revoked session changes nothing; nor does a disabled account's."""
    phone = guest(app) if what == "upgrade" else Account(app).first
    room, method, path, body = CHANGES[what]
    body = body and body | ({"current_password": PASSWORD} if what in PROVED else {})
    user_id = me(phone)["id"]
    before = stored(app, user_id)

    def act() -> None:
        with app.app_context():
            if why == "disabled":
                admin.set_active(user_id, is_active=False)
            else:
                admin.end_sessions(user_id)

    meanwhile(monkeypatch, room, act)
    expected = (403, "account_disabled") if why == "disabled" else (401, "token_revoked")
    assert failure(phone.call(method, path, json=body)) == expected
    assert stored(app, user_id) == before
