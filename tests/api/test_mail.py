"""How mail goes out: what is in it, a server that is away or another one, a stop; no traces."""

import html
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from certificates import Authority
from conftest import environment, make_app
from devices import API, PASSWORD, Account, new_id
from flask import Flask
from mail_server import HOST, SENDER, Mailbox, held_up, part, settle, token_in
from phones import call
from servers import free_port, serving
from sqlalchemy import select

from melon_api.auth import recovery
from melon_api.mail import message, outbox, smtp
from melon_api.mail.smtp import SmtpServer
from melon_api.models.base import db
from melon_api.models.mailed_token import MailedToken

NEW = "another-horse-battery"
LOGIN = ("melon", "smtp-secret")
CONFIRM, RESET = "Confirm your e-mail address", "Set a new password"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """On SQLite alone: no database has a part in this."""
    folder = tmp_path_factory.mktemp("mail")
    return make_app(environment("sqlite", f"sqlite:///{folder}/mail.db"), folder)


@pytest.fixture
def ada(app: Flask) -> Iterator[Account]:
    """Somebody who registered before there was any mail; settings are as before at the end."""
    settings = dict(app.config)
    yield Account(app)
    settle(app)
    app.config.update(settings)


@pytest.fixture
def mailbox(ada: Account) -> Iterator[Mailbox]:
    with Mailbox() as box:
        use(ada.app, box)
        yield box
        settle(ada.app)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two attempts to send."""
    monkeypatch.setattr(smtp, "PAUSE_SECONDS", 0)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the application trusts."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    return authority


def use(app: Flask, box: Mailbox, **more: Any) -> None:
    app.config.update(SMTP=box.server, MAIL_FROM=SENDER, **more)


def forgot(account: Account) -> Any:
    return account.first.http.post(f"{API}/auth/password/forgot", json={"email": account.email})


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = (record for record in caplog.records if record.name.startswith("melon_api"))
    return [record.getMessage() for record in ours if record.levelno >= logging.ERROR]


# what is in it


@pytest.mark.parametrize("link", ["myapp://reset?token={token}", "https://a.app/r/{token}?b=1&c=2"])
def test_a_link_opens_the_app(ada: Account, mailbox: Mailbox, link: str) -> None:
    ada.app.config.update(RESET_LINK=link, VERIFY_LINK=link.replace("reset", "verify"))
    forgot(ada)
    ada.first.call("POST", "/auth/email/resend")
    settle(ada.app)
    for mail, wanted in zip(mailbox.mails, (link, link.replace("reset", "verify")), strict=True):
        opened = wanted.replace("{token}", token_in(mail))
        assert opened in part(mail, "plain").splitlines()
        hrefs = re.findall('href="(.*?)"', part(mail, "html"))
        assert [html.unescape(href) for href in hrefs] == [opened]
        assert html.unescape(part(mail, "html")).count(opened) == 2  # to be read, too


def test_without_a_link_the_token_is_to_be_copied(ada: Account, mailbox: Mailbox) -> None:
    forgot(ada)
    ada.first.call("POST", "/auth/email/resend")
    settle(ada.app)
    for mail in mailbox.mails:
        assert token_in(mail) in part(mail, "plain").splitlines()
        assert f"<code>{token_in(mail)}</code>" in part(mail, "html")
        assert "://" not in part(mail, "plain") + part(mail, "html")


def test_the_apps_own_name_is_in_the_mail(ada: Account, mailbox: Mailbox) -> None:
    ada.app.config.update(APP_NAME="Mëlon & <Co>", MAIL_FROM="Mëlon <hello@melon.example>")
    forgot(ada)
    settle(ada.app)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Mëlon & <Co>: Set a new password"
    assert mail["From"] == "Mëlon <hello@melon.example>"
    assert "your Mëlon & <Co> account" in part(mail, "plain")
    assert "your Mëlon &amp; &lt;Co&gt; account" in part(mail, "html")


def test_a_text_is_easy_to_read(ada: Account, mailbox: Mailbox) -> None:
    """In a terminal, too: short lines, no two blank ones in a row."""
    ada.first.call("POST", "/auth/email/resend")
    forgot(ada)
    ada.app.test_client().post("/api/v1/auth/code", json={"email": ada.email})
    space = ada.first.call("POST", "/spaces", json={"name": "Home"}).json["id"]
    guest = {"role": "reader", "email": "guest@example.com"}
    ada.first.call("POST", f"/spaces/{space}/invitations", json=guest)
    settle(ada.app)
    body = {"current_password": PASSWORD, "new_password": NEW}
    ada.first.call("POST", "/users/me/password", json=body)
    body = {"current_password": NEW, "email": f"new.{ada.email}"}
    ada.first.call("PATCH", "/users/me", json=body)
    settle(ada.app)
    told = {mail["Subject"].removeprefix("Melon: ") for mail in mailbox.mails}
    assert told == set(message.SUBJECTS.values())
    for mail in mailbox.mails:
        text = part(mail, "plain")
        assert max(map(len, text.splitlines())) < 78
        assert "\n\n\n" not in text
        assert text == text.strip() + "\n"


# a server that is away, refuses, or is not the one


def test_a_mail_server_may_be_away_at_first(ada: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is answered all the same, and the mail arrives."""
    box = Mailbox(free_port())
    use(ada.app, box)
    returns = SimpleNamespace(sleep=lambda _seconds: box.__enter__())
    monkeypatch.setattr(smtp, "time", returns)  # the server is back after the first pause
    with held_up(ada.app):
        assert forgot(ada).status_code == 202
    with_box = box.to(ada.email)
    box.__exit__()
    assert [mail["Subject"] for mail in with_box] == [f"Melon: {RESET}"]


def test_a_mail_server_that_stays_away_costs_that_mail_alone(
    ada: Account, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    ada.app.config.update(SMTP=SmtpServer(HOST, free_port(), "off", "", ""), MAIL_FROM=SENDER)
    assert forgot(ada).status_code == 202
    settle(ada.app)
    assert errors(caplog) == ["a mail was not sent: ConnectionRefusedError"]
    with Mailbox() as box:
        use(ada.app, box)
        forgot(ada)
        assert box.wait_for(ada.email, RESET)


def test_a_refused_recipient_is_not_tried_again(
    ada: Account, mailbox: Mailbox, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Logged, without a word of who it was."""
    mailbox.refusals[ada.email] = [f"550 5.1.1 no such user {ada.email}"] * 3
    assert forgot(ada).status_code == 202
    settle(ada.app)
    assert mailbox.asked == [ada.email]
    assert errors(caplog) == ["a mail was not sent: SMTPRecipientsRefused"]
    assert ada.email not in caplog.text


@pytest.mark.parametrize("answer", ["451 4.7.1 try again later", "452 4.2.2 mailbox full"])
def test_a_recipient_refused_for_now_is_tried_again(
    ada: Account, mailbox: Mailbox, impatient: None, answer: str
) -> None:
    """RFC 5321 §4.2.1: 4yz means later."""
    mailbox.refusals[ada.email] = [answer] * 2
    forgot(ada)
    settle(ada.app)
    assert mailbox.asked == [ada.email] * 3
    assert [mail["To"] for mail in mailbox.mails] == [ada.email]


def test_an_address_that_the_server_cannot_write_holds_nobody_up(
    app: Flask, mailbox: Mailbox, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Many servers take ASCII only (no SMTPUTF8): asking again would only keep the others."""
    with app.app_context():
        recovery.notify("password_changed", f"zoë.{new_id()}@example.com")
    settle(app)
    assert (mailbox.visits, mailbox.asked) == (1, [])
    assert errors(caplog) == ["a mail was not sent: SMTPNotSupportedError"]


@pytest.mark.parametrize("tls", ["start", "on"])
def test_mail_is_sent_with_a_login_behind_a_good_certificate(
    ada: Account, authority: Authority, tls: str
) -> None:
    with Mailbox(tls=tls, certificate=authority.certificate(HOST), login=LOGIN) as box:
        use(ada.app, box)
        forgot(ada)
        settle(ada.app)
        assert box.logins == [LOGIN]
        assert [mail["To"] for mail in box.mails] == [ada.email]


@pytest.mark.parametrize("tls", ["start", "on"])
@pytest.mark.parametrize("fault", ["of nobody we know", "of another host"])
def test_a_wrong_certificate_gets_neither_mail_nor_login(
    ada: Account,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    impatient: None,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    tls: str,
) -> None:
    strange = Authority(tmp_path_factory.mktemp("strange"))
    shown = (
        authority.certificate("127.0.0.2")
        if fault == "of another host"
        else strange.certificate(HOST)
    )
    with Mailbox(tls=tls, certificate=shown, login=LOGIN) as box:
        use(ada.app, box)
        assert forgot(ada).status_code == 202
        settle(ada.app)
        assert (box.logins, box.asked, box.mails) == ([], [], [])
        assert box.visits == 1  # it will not be a better one in a moment
    assert errors(caplog) == ["a mail was not sent: SSLCertVerificationError"]


def test_a_server_without_starttls_gets_neither_mail_nor_login(
    ada: Account, mailbox: Mailbox, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody on the way may have struck it out."""
    ada.app.config["SMTP"] = SmtpServer(HOST, mailbox.port, "start", *LOGIN)
    forgot(ada)
    settle(ada.app)
    assert (mailbox.logins, mailbox.asked, mailbox.mails) == ([], [], [])
    assert errors(caplog) == ["a mail was not sent: SMTPNotSupportedError"]


def test_a_wrong_login_is_logged_without_the_password(
    ada: Account, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    with Mailbox(login=LOGIN) as box:
        wrong = SmtpServer(HOST, box.port, "off", "melon", "not-the-secret")
        ada.app.config.update(SMTP=wrong, MAIL_FROM=SENDER)
        forgot(ada)
        settle(ada.app)
        assert (box.visits, box.mails) == (1, [])  # or a provider locks the account
    assert errors(caplog) == ["a mail was not sent: SMTPAuthenticationError"]
    assert "not-the-secret" not in caplog.text


# without a server


def test_a_laptop_keeps_its_mail_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In development, so that an app can be built without a mail server; the log says where."""
    environ = environment("sqlite", f"sqlite:///{tmp_path}/dev.db", APP_ENV="development")
    app = make_app(environ, tmp_path)
    forgot(Account(app))
    settle(app)
    kept = {path.name.split("-")[4]: path for path in (tmp_path / "mail").iterdir()}
    logged = capsys.readouterr().err
    codes = {}
    for name, path in kept.items():
        text = path.read_text()
        assert re.match(r"To: person\S+@example.com\nSubject: Melon: \w", text)
        (codes[name],) = re.findall(r"^[\w-]{43}$", text, re.M)
        assert logged.count(str(path)) == 1
        assert codes[name] not in logged
        assert path.stat().st_mode & 0o077 == 0
    assert codes.keys() == {"verify", "reset"}
    body = {"token": codes["reset"], "new_password": NEW}
    assert app.test_client().post(f"{API}/auth/password/reset", json=body).status_code == 204
    settle(app)


def test_without_a_mail_server_there_is_nothing_to_wait_for(
    ada: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert forgot(ada).status_code == 202
    assert ada.first.call("POST", "/auth/email/resend").status_code == 202
    settle(ada.app)
    assert not [r for r in caplog.records if r.name.startswith("melon_api.mail")]
    assert not list(Path(ada.app.config["INSTANCE_PATH"]).glob("mail"))
    with ada.app.app_context():
        query = select(MailedToken).where(MailedToken.user_id == ada.user["id"])
        assert db.session.scalars(query).all() == []


# too much of it, and the end


def test_when_too_much_waits_the_phone_is_told(
    ada: Account, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Errors 6: 503 `unavailable` with Retry-After; what else was asked for is done."""
    monkeypatch.setattr(outbox, "MOST_WAITING", 2)
    monkeypatch.setitem(ada.app.extensions, "outbox", outbox.Outbox(ada.app))
    with held_up(ada.app):
        assert [forgot(ada).status_code for _ in range(2)] == [202, 202]
        full = forgot(ada)
        assert (full.status_code, full.json["code"]) == (503, "unavailable")
        assert int(full.headers["Retry-After"]) > 0
        unknown = {"email": "nobody@example.com"}
        told = ada.first.http.post(f"{API}/auth/password/forgot", json=unknown)
        assert told.json | {"request_id": ""} == full.json | {"request_id": ""}
        assert ada.first.call("POST", "/auth/email/resend").status_code == 503
        newcomer = Account(ada.app)
        body = {"current_password": PASSWORD, "new_password": NEW}
        assert newcomer.first.call("POST", "/users/me/password", json=body).status_code == 204
    assert [mail["To"] for mail in mailbox.mails] == [ada.email] * 2
    assert forgot(ada).status_code == 202  # there is room again
    settle(ada.app)
    assert len(mailbox.mails) == 3


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real server that was asked for many mails, and to stop before one of them was out."""
    people = [f"person{n}@example.com" for n in range(8)]
    with Mailbox(login=LOGIN) as box:
        url = f"smtp://{LOGIN[0]}:{LOGIN[1]}@{HOST}:{box.port}?tls=off"
        folder = tmp_path_factory.mktemp("stopped")
        with serving("sqlite", folder, SMTP_URL=url, MAIL_FROM=SENDER) as server:
            box.is_held = True
            for email in people:
                body = {"email": email, "password": PASSWORD}
                assert call(server.url, "/auth/register", body)[0] == 201
            for email in people * 3:
                assert call(server.url, "/auth/password/forgot", {"email": email})[0] == 202
            assert box.mails == []
            os.kill(server.pid, signal.SIGTERM)
            box.is_held = False
        log = server.log.read_text(errors="replace")
        return SimpleNamespace(box=box, people=people, log=log)


def test_a_stop_finishes_what_waits(stopped: Any) -> None:
    """SIGTERM, as at every deploy: nobody waits for a mail in vain."""
    for email in stopped.people:
        mails = stopped.box.to(email)
        assert len(mails) == len({token_in(mail) for mail in mails}) == 4


def test_a_real_server_logs_no_secret(stopped: Any) -> None:
    assert "password_reset_requested" in stopped.log
    tokens = {token_in(mail) for mail in stopped.box.mails}
    for secret in (*tokens, *stopped.people, PASSWORD, *LOGIN[1:]):
        assert secret not in stopped.log


def test_what_happens_behind_the_answer_is_logged_with_its_request(
    ada: Account, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked for a new password must be found, when it was not the owner."""
    answer = forgot(ada)
    settle(ada.app)
    (event,) = (r.msg for r in caplog.records if "password_reset_requested" in r.getMessage())
    assert event["account_id"] == ada.user["id"]
    assert event["request_id"] == answer.headers["X-Request-ID"]
    assert event["client"] == "127.0.0.1"


def test_these_stories_leave_no_secret_in_the_log(
    ada: Account, mailbox: Mailbox, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever LOG_LEVEL says: no address, password or token."""
    caplog.set_level(logging.DEBUG, "melon_api")
    app, new, secrets = ada.app, f"new.{ada.email}", [PASSWORD, NEW, ada.email]
    post: Callable[..., Any] = ada.first.http.post
    ada.first.call("POST", "/auth/email/resend")
    forgot(ada)
    post(f"{API}/auth/password/forgot", json={"email": "nobody@example.com"})
    secrets += ["nobody@example.com"]
    settle(app)
    confirm, reset = (token_in(mail) for mail in mailbox.mails)
    post(f"{API}/auth/email/verify", json={"token": confirm})
    post(f"{API}/auth/email/verify", json={"token": f"{confirm}x"})
    post(f"{API}/auth/password/reset", json={"token": reset, "new_password": "short"})
    post(f"{API}/auth/password/reset", json={"token": reset, "new_password": NEW})
    post(f"{API}/auth/password/reset", json={"token": reset, "new_password": NEW})
    ada.password = NEW
    phone = ada.device()
    phone.call("PATCH", "/users/me", json={"email": new, "current_password": "wrong-password"})
    phone.call("PATCH", "/users/me", json={"email": new, "current_password": NEW})
    mailbox.refusals[new] = [f"550 5.1.1 {new} is unknown"]
    post(f"{API}/auth/password/forgot", json={"email": new})
    app.config["SMTP"] = SmtpServer(HOST, free_port(), "off", *LOGIN)
    post(f"{API}/auth/password/forgot", json={"email": new})
    settle(app)
    for event in ("password_reset", "email_verified", "not sent"):
        assert event in caplog.text
    for secret in (*secrets, confirm, reset, "wrong-password", *LOGIN[1:]):
        assert secret not in caplog.text
