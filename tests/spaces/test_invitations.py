"""Contract, *Spaces*, the calls: invitations, by hand and by mail, and coming in by one."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NO_DATABASE, ON_A_SERVER, environment, make_app
from devices import Account, new_id
from flask import Flask
from mail_server import Mailbox, settle, token_in
from sharing import (
    BAD_TOKEN,
    bring,
    clock_of,
    create,
    failure,
    give,
    invited,
    join,
    remove,
    roles_in,
    spaces_of,
    verify,
)
from sqlalchemy import select, update
from test_space_members import ROUNDS, at_once, membership

from melon_api.auth.sessions import clean_up
from melon_api.mail.outbox import Outbox
from melon_api.models.base import db, utc_now
from melon_api.models.space import Invitation


def listed(owner: Account, space_id: str) -> list[dict[str, Any]]:
    answer = owner.first.call("GET", f"/spaces/{space_id}/invitations")
    assert answer.status_code == 200, answer.text
    return list(answer.json)


def expire(app: Flask, invitation: dict[str, Any]) -> None:
    with app.app_context():
        its = update(Invitation).where(Invitation.id == invitation["id"])
        db.session.execute(its.values(expires_at=utc_now()))
        db.session.commit()


def refused(answer: Any) -> bool:
    assert failure(answer) == (422, "validation_failed")
    assert answer.json["errors"] == BAD_TOKEN
    return True


def test_a_token_lets_one_in(account: Account, app: Flask) -> None:
    """Once, for whoever has it; of it only a hash is stored, and nobody is shown it again."""
    made, friend = create(account), Account(app)
    given = invited(account, made["id"], "reader")
    assert set(given) == {"id", "token", "role", "email", "expires_at"}
    assert (given["role"], given["email"]) == ("reader", None)
    lives = datetime.fromisoformat(given["expires_at"]) - utc_now()
    assert timedelta(days=7, minutes=-5) < lives <= timedelta(days=7)
    shown = {name: value for name, value in given.items() if name != "token"}
    assert listed(account, made["id"]) == [shown]
    before = clock_of(friend)
    answer = join(friend, given["token"])
    assert answer.status_code == 200
    assert answer.json == made | {"role": "reader", "members": 2}
    assert spaces_of(friend) == {made["id"]: answer.json}
    after = clock_of(friend)
    assert after[0] == after[1] == membership(friend, made["id"]).joined_tick > before[0]
    assert listed(account, made["id"]) == []
    assert refused(join(Account(app), given["token"]))
    with app.app_context():
        stored = db.session.execute(select(Invitation.__table__)).all()
    assert given["token"] not in str(stored)


def test_who_repeats_the_call_is_in_it_once(account: Account, app: Flask) -> None:
    """Its first answer may have been lost; also after the 7 days, and in another role by then."""
    made, friend = create(account), Account(app)
    given = invited(account, made["id"])
    first = join(friend, given["token"])
    moved = clock_of(friend)
    assert join(friend, given["token"]).json == first.json
    assert clock_of(friend) == moved
    expire(app, given)
    assert give(account, made["id"], friend, "owner").status_code == 200
    assert give(friend, made["id"], account, "editor").status_code == 200
    assert give(friend, made["id"], account, "owner").status_code == 200
    assert give(account, made["id"], friend, "reader").status_code == 200
    again = join(friend, given["token"])
    assert (again.status_code, again.json["role"]) == (200, "reader")


def test_a_used_token_lets_nobody_back_in(account: Account, app: Flask) -> None:
    made, friend = create(account), Account(app)
    token = invited(account, made["id"])["token"]
    assert join(friend, token).status_code == 200
    assert remove(account, made["id"], friend).status_code == 204
    assert refused(join(friend, token))
    assert spaces_of(friend) == {}


def test_tokens_that_do_not_work_are_all_alike(account: Account, app: Flask) -> None:
    """Unknown, expired, revoked, somebody else's; and the field is named among all."""
    made, friend = create(account), Account(app)
    late, revoked = invited(account, made["id"]), invited(account, made["id"])
    expire(app, late)
    path = f"/spaces/{made['id']}/invitations/{revoked['id']}"
    assert account.first.call("DELETE", path).status_code == 204
    assert failure(account.first.call("DELETE", path)) == (404, "not_found")
    answers = [join(friend, token) for token in ("x", "", "ä", late["token"], revoked["token"])]
    assert all(map(refused, answers))
    assert len({str(answer.json | {"request_id": ""}) for answer in answers}) == 1
    more = friend.first.call("POST", "/spaces/join", json={"token": "x", "more": 1})
    assert more.json["errors"].keys() == {"token", "more"}
    assert more.json["errors"]["token"] == BAD_TOKEN["token"]
    assert listed(account, made["id"]) == []
    assert spaces_of(friend) == {}


@NO_DATABASE
@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 7}, {"token": ["x"]}])
def test_a_token_is_a_text(account: Account, body: dict[str, Any]) -> None:
    answer = account.first.call("POST", "/spaces/join", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["token"]


def test_a_mailed_invitation(account: Account, app: Flask, mailbox: Mailbox) -> None:
    """The token is in the mail alone, which holds nothing that somebody wrote; it is for the
    account that has confirmed this address."""
    made, friend, thief = create(account, name="http://evil.example"), Account(app), Account(app)
    verify(thief)
    given = invited(account, made["id"], email=f" {friend.email.upper()} ")
    assert set(given) == {"id", "role", "email", "expires_at"}
    assert given["email"] == friend.email
    assert listed(account, made["id"]) == [given]
    settle(app)
    (mail,) = (mail for mail in mailbox.to(friend.email) if "invited" in mail["Subject"])
    assert "evil" not in mail.as_string() and "Ada" not in mail.as_string()
    token = token_in(mail)
    assert refused(join(thief, token))
    unconfirmed = join(friend, token)
    assert failure(unconfirmed) == (403, "email_not_verified")
    wrong = friend.first.call("POST", "/spaces/join", json={"token": token, "more": 1})
    assert set(wrong.json["errors"]) == {"more"}
    assert spaces_of(friend) == {}
    verify(friend)
    assert join(friend, token).status_code == 200
    assert roles_in(account, made["id"])[friend.user["id"]] == "editor"
    assert refused(join(thief, token))


@NO_DATABASE
def test_a_link_leads_into_the_app(
    account: Account, app: Flask, mailbox: Mailbox, settings_of: Any
) -> None:
    settings_of(INVITATION_LINK="myapp://join?token={token}")
    email = f"{new_id()}@example.com"
    invited(account, create(account)["id"], email=email)
    settle(app)
    (mail,) = mailbox.to(email)
    assert f"myapp://join?token={token_in(mail)}" in mail.get_body(("plain",)).get_content()


@NO_DATABASE
@pytest.mark.parametrize("email", ["no", 7, "a@b@example.com", "x" * 250 + "@example.com"])
def test_an_address_is_one(account: Account, email: object) -> None:
    made = create(account)
    body = {"role": "king", "email": email}
    answer = account.first.call("POST", f"/spaces/{made['id']}/invitations", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"role", "email"}
    assert listed(account, made["id"]) == []


@NO_DATABASE
def test_a_server_that_sends_no_mail_says_so(account: Account, settings_of: Any) -> None:
    """Or somebody would wait for it. An app may say that there is no address."""
    made = create(account)
    settings_of(NEEDS_SERVERS=True, SMTP=None, MAIL_FOLDER=None)
    body = {"role": "reader", "email": "grace@example.com"}
    answer = account.first.call("POST", f"/spaces/{made['id']}/invitations", json=body)
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["email"]
    assert listed(account, made["id"]) == []
    assert invited(account, made["id"], email=None)["token"]


@NO_DATABASE
def test_an_invitation_that_cannot_be_mailed_is_none(
    account: Account, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(account)
    monkeypatch.setattr(Outbox, "post", lambda *_: False)
    body = {"role": "reader", "email": "grace@example.com"}
    answer = account.first.call("POST", f"/spaces/{made['id']}/invitations", json=body)
    assert failure(answer) == (503, "unavailable")
    assert listed(account, made["id"]) == []


@pytest.mark.parametrize("how", ["demoted", "removed"])
def test_who_owns_no_more_invites_nobody(account: Account, app: Flask, how: str) -> None:
    """Nor itself back, by a token that it has kept. Others' go on, and so does who came by one."""
    made, friend, guest = create(account), Account(app), Account(app)
    bring(account, made["id"], friend, role="owner")
    kept, theirs = invited(friend, made["id"], "owner"), invited(account, made["id"])
    used = invited(friend, made["id"])["token"]
    assert join(guest, used).status_code == 200
    if how == "demoted":
        assert give(account, made["id"], friend, "editor").status_code == 200
    else:
        assert remove(account, made["id"], friend).status_code == 204
    assert [one["id"] for one in listed(account, made["id"])] == [theirs["id"]]
    for person in (friend, Account(app)):
        assert refused(join(person, kept["token"]))
    assert join(guest, used).status_code == 200
    assert join(Account(app), theirs["token"]).status_code == 200


def test_a_member_keeps_its_role_and_the_token_works(account: Account, app: Flask) -> None:
    """Roles are given by owners: an old link makes no reader an editor again."""
    made, friend = create(account), Account(app)
    bring(account, made["id"], friend, role="reader")
    before, token = clock_of(friend), invited(account, made["id"], "owner")["token"]
    for person, role in ((friend, "reader"), (account, "owner")):
        answer = join(person, token)
        assert (answer.status_code, answer.json["role"]) == (200, role)
    assert clock_of(friend) == before
    assert join(Account(app), token).json["role"] == "owner"


def test_a_space_has_so_many_members(account: Account, app: Flask, settings_of: Any) -> None:
    """Beyond, 422 says so, and the token still works; likewise for an account in its spaces."""
    made, friend, late = create(account), Account(app), Account(app)
    bring(account, made["id"], friend)
    token = invited(account, made["id"])["token"]
    settings_of(MAX_MEMBERS_PER_SPACE=2, MAX_SPACES_PER_ACCOUNT=0)
    answer = join(late, token)
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"members", "spaces"}
    assert join(friend, token).status_code == 200
    settings_of(MAX_SPACES_PER_ACCOUNT=1)
    assert set(join(late, token).json["errors"]) == {"members"}
    assert remove(friend, made["id"], friend).status_code == 204
    assert join(late, token).status_code == 200


@NO_DATABASE
def test_expired_invitations_are_forgotten(account: Account, app: Flask) -> None:
    """With the addresses in them."""
    made = create(account)
    expire(app, late := invited(account, made["id"], email="grace@example.com"))
    assert listed(account, made["id"]) == []
    invited(account, made["id"])
    with app.app_context():
        assert db.session.get(Invitation, late["id"]) is None


@ON_A_SERVER
def test_a_token_lets_one_of_two_in(account: Account, app: Flask) -> None:
    made, people = create(account), [Account(app) for _ in range(2 * ROUNDS)]
    for first, second in zip(people[::2], people[1::2], strict=True):
        token = invited(account, made["id"])["token"]
        answers = at_once(
            lambda: join(first, token),
            lambda: join(second, token),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert spaces_of(account)[made["id"]]["members"] == 1 + ROUNDS


@ON_A_SERVER
def test_a_call_that_comes_twice_at_once(account: Account, app: Flask) -> None:
    """Join and create are repeated by phones; each is answered as if it came after the other."""
    friend = Account(app)
    for _ in range(ROUNDS):
        body = {"id": new_id(), "name": "Home"}
        made = at_once(
            *[lambda: account.first.call("POST", "/spaces", json=body)] * 2,
            lambda: friend.first.call("POST", "/spaces", json=body),
        )
        assert sorted(answer.status_code for answer in made) in ([200, 201, 409], [201, 409, 409])
        owner = account if made[2].status_code == 409 else friend
        token = invited(owner, body["id"])["token"]
        other = friend if owner is account else account
        came = at_once(*[lambda: join(other, token)] * 2)
        assert [answer.status_code for answer in came] == [200, 200]
        assert spaces_of(other)[body["id"]]["members"] == 2


@ON_A_SERVER
def test_the_last_place_is_one(account: Account, app: Flask, settings_of: Any) -> None:
    made, people = create(account), [Account(app) for _ in range(2)]
    settings_of(MAX_MEMBERS_PER_SPACE=2)
    tokens = [invited(account, made["id"])["token"] for _ in people]
    answers = at_once(lambda: join(people[0], tokens[0]), lambda: join(people[1], tokens[1]))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert spaces_of(account)[made["id"]]["members"] == 2


def test_so_many_mails_to_one_person(tmp_path: Path) -> None:
    """Contract, Accounts 13: whoever invites, and by whichever call; a token by hand is no mail.
    Nothing is stored then."""
    environ = environment("sqlite", f"sqlite:///{tmp_path}/it.db", RATELIMIT_ENABLED="true")
    app = make_app(environ, tmp_path)
    ada, eve = Account(app), Account(app)
    spaces = {owner: create(owner)["id"] for owner in (ada, eve)}
    body = {"role": "reader", "email": "Grace@example.com"}

    def ask(owner: Account, **more: Any) -> int:
        path = f"/spaces/{spaces[owner]}/invitations"
        return int(owner.first.call("POST", path, json=body | more).status_code)

    for owner in (ada, eve, ada, eve, ada):
        assert ask(owner) == 201
    assert ask(ada) == ask(eve) == 429
    assert len(listed(ada, spaces[ada])) == 3
    assert ask(eve, email="hedy@example.com") == ask(ada, email=None) == 201


def test_so_many_mails_of_one_account(tmp_path: Path) -> None:
    """And so many calls: who sends spam by invitations comes to an end."""
    few = {"RATELIMIT_INVITE_PER_ACCOUNT": "2/hour", "RATELIMIT_SPACES_PER_ACCOUNT": "6/hour"}
    environ = environment("sqlite", f"sqlite:///{tmp_path}/it.db", RATELIMIT_ENABLED="true", **few)
    ada = Account(make_app(environ, tmp_path))
    path = f"/spaces/{create(ada)['id']}/invitations"
    statuses = [
        ada.first.call("POST", path, json={"role": "reader", "email": email}).status_code
        for email in ("a@example.com", "b@example.com", "c@example.com", None, None, None)
    ]
    assert statuses == [201, 201, 429, 201, 201, 429]


@NO_DATABASE
def test_the_clean_up_forgets_invitations(account: Account, app: Flask) -> None:
    late, lives = (invited(account, create(account)["id"]) for _ in range(2))
    expire(app, late)
    with app.app_context():
        clean_up(db.engine, utc_now() + timedelta(seconds=1))
        assert db.session.get(Invitation, late["id"]) is None
        assert db.session.get(Invitation, lives["id"]) is not None


def test_a_strangers_invitations_end_when_the_address_is_proved(
    app: Flask, mailbox: Mailbox
) -> None:
    """Contract, Accounts 16: what was set up before is void, by a mailed reset too."""
    stranger, late = Account(app), Account(app)
    space = create(stranger)
    token = invited(stranger, space["id"], "owner")["token"]
    http = app.test_client()
    http.post("/api/v1/auth/password/forgot", json={"email": stranger.email})
    settle(app)
    mail = next(mail for mail in mailbox.to(stranger.email) if "password" in mail["Subject"])
    body = {"token": token_in(mail), "new_password": "another-horse-battery"}
    assert http.post("/api/v1/auth/password/reset", json=body).status_code == 204
    assert failure(join(late, token)) == (422, "validation_failed")
    assert spaces_of(late) == {}
