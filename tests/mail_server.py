"""A real SMTP server on loopback, and the mail that came in."""

import asyncio
import re
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult
from flask import Flask

from melon_api.mail.smtp import SmtpServer

HOST = "127.0.0.1"
SENDER = "Melon <no-reply@melon.example>"
DEADLINE_SECONDS = 60
TOKEN = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])")


class Mailbox:
    """A mail server for everybody, while the `with` lasts.

    `tls`: `start` offers STARTTLS with `certificate`, `on` speaks TLS from the first byte.
    `login`: nobody may send without this user and password.
    """

    def __init__(
        self,
        port: int = 0,
        tls: str = "off",
        certificate: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.port = port
        self.mails: list[EmailMessage] = []
        self.asked: list[str] = []  # every recipient that was named, taken or not
        self.logins: list[tuple[str, str]] = []  # every user and password that came in
        self.refusals: dict[str, list[str]] = {}  # answers to a recipient, one for each time
        self.is_held = False  # while it is, every mail waits for the answer that it is taken
        self._tls, self._certificate, self._login = tls, certificate, login
        self._connections: list[SMTP] = []

    @property
    def server(self) -> SmtpServer:
        """How the application reaches it."""
        return SmtpServer(HOST, self.port, self._tls, *(self._login or ("", "")))

    @property
    def visits(self) -> int:
        """How often somebody connected."""
        return len(self._connections)

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in list(self.mails) if mail["To"] == address]

    def wait_for(self, to: str, subject_part: str) -> EmailMessage:
        """The first such mail, as soon as it is here."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            for mail in self.to(to):
                if subject_part in mail["Subject"]:
                    return mail
            time.sleep(0.01)
        raise AssertionError(f"no mail {subject_part!r} came, only {len(self.mails)} others")

    def __enter__(self) -> Self:
        is_open: Future[None] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(is_open)])
        self._thread.start()
        is_open.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, is_open: "Future[None]") -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        implicit = self._certificate if self._tls == "on" else None
        try:
            server = await self._loop.create_server(self._answer, HOST, self.port, ssl=implicit)
        except OSError as error:
            return is_open.set_exception(error)
        self.port = server.sockets[0].getsockname()[1]
        is_open.set_result(None)
        await self._over.wait()
        server.close()
        for connection in self._connections:
            if connection.transport is not None:
                cast(asyncio.Transport, connection.transport).abort()
        await asyncio.sleep(0)  # the transports close
        return None

    def _answer(self) -> SMTP:
        connection = SMTP(
            self,
            hostname="localhost",
            loop=self._loop,
            tls_context=self._certificate if self._tls == "start" else None,
            auth_require_tls=self._tls == "start",
            authenticator=self._authenticate,
        )
        self._connections.append(connection)
        return connection

    # what aiosmtpd calls

    def _authenticate(self, *facts: Any) -> AuthResult:
        login = facts[-1]
        self.logins.append((login.login.decode(), login.password.decode()))
        return AuthResult(success=self.logins[-1] == self._login, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if self._login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        self.asked.append(address)
        if self.refusals.get(address):
            return self.refusals[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        while self.is_held:
            await asyncio.sleep(0.01)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["Return-Path"], mail["Delivered-To"] = envelope.mail_from, envelope.rcpt_tos[0]
        self.mails.append(cast(EmailMessage, mail))
        return "250 OK"


def part(mail: EmailMessage, kind: str) -> str:
    """The mail's `plain` or `html` text."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def token_in(mail: EmailMessage) -> str:
    """The one token that both parts hold."""
    (token,) = set(TOKEN.findall(part(mail, "plain")))
    assert set(TOKEN.findall(part(mail, "html"))) == {token}
    return str(token)


def settle(app: Flask) -> None:
    """Wait until the application has dealt with every mail that it was asked for so far."""
    app.extensions["outbox"].settle()


@contextmanager
def held_up(app: Flask) -> Iterator[None]:
    """No mail goes out meanwhile; afterwards all of it has."""
    free = threading.Event()
    app.extensions["outbox"]._thread.submit(free.wait)
    try:
        yield
    finally:
        free.set()
        settle(app)
