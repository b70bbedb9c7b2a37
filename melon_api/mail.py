"""Mail to people: written from `templates/mail/`, sent by a thread behind the request.

Behind it, so that an answer's time does not tell whether there was anybody to write to, and so
that a slow mail server holds no request up. On a stop the thread finishes what waits.
"""

import logging
import smtplib
import ssl
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any, cast

from flask import Flask, current_app, render_template
from structlog.contextvars import bound_contextvars, get_contextvars

from config import SmtpServer

log = logging.getLogger(__name__)

MOST_WAITING = 1_000  # mails
ATTEMPTS, PAUSE_SECONDS = 3, 2
TIMEOUT_SECONDS = 10

# Each has a text and an HTML part in `templates/mail/`.
SUBJECTS = {
    "reset": "Set a new password",
    "verify": "Confirm your e-mail address",
    "password_changed": "Your password was changed",
    "email_changed": "Your e-mail address was changed",
}


class Outbox:
    """One thread that does work for the mailbox, in the order it came."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")
        self._room = threading.BoundedSemaphore(MOST_WAITING)

    def post(self, work: Callable[[], None]) -> bool:
        """Have this done soon, in an application context; False when too much waits already."""
        if not _reaches_anybody(self._app):
            return True
        if not self._room.acquire(blocking=False):
            log.error("%d mails wait already; this one is not sent", MOST_WAITING)
            return False
        self._thread.submit(self._do, work, get_contextvars())
        return True

    def _do(self, work: Callable[[], None], log_context: dict[str, Any]) -> None:
        with bound_contextvars(**log_context):
            try:
                with self._app.app_context():
                    work()
            except Exception as error:  # the thread goes on; the message may quote an address
                log.error("a mail was not sent: %s", type(error).__name__)  # noqa: TRY400
            finally:
                self._room.release()


def _reaches_anybody(app: Flask) -> bool:
    return bool(app.config["SMTP"] or app.config["MAIL_TO_CONSOLE"])


def init_app(app: Flask) -> None:
    app.extensions["outbox"] = Outbox(app)
    if not _reaches_anybody(app) and app.config["NEEDS_SERVERS"]:
        log.warning("SMTP_URL is not set: no mail is sent, nobody can set a forgotten password")


def outbox() -> Outbox:
    """The application's outbox."""
    return cast(Outbox, current_app.extensions["outbox"])


def send(name: str, to: str, token: str | None = None) -> None:
    """Write the mail `name` and send it. Raises what smtplib raises; call it from the outbox."""
    settings = current_app.config
    link = settings.get(f"{name.upper()}_LINK")
    facts = {
        "app_name": settings["APP_NAME"],
        "subject": SUBJECTS[name],
        "token": token,
        "link": link.replace("{token}", token or "") if link else None,
    }
    text = render_template(f"mail/{name}.txt", **facts)
    _deliver(_message(to, SUBJECTS[name], text, render_template(f"mail/{name}.html", **facts)))


def _message(to: str, subject: str, text: str, html: str) -> EmailMessage:
    message = EmailMessage()
    sender = current_app.config["MAIL_FROM"]
    message["From"], message["To"] = sender, to
    message["Subject"] = f"{current_app.config['APP_NAME']}: {subject}"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


def _deliver(message: EmailMessage) -> None:
    server: SmtpServer | None = current_app.config["SMTP"]
    if server is not None:
        _with_patience(lambda: _transmit(server, message))
    else:
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        sys.stderr.write(f"\n--- mail to {message['To']}: {message['Subject']}\n{text}---\n\n")


def _with_patience(transmit: Callable[[], None]) -> None:
    """A mail server may be away for a moment; one that refuses for good is not asked again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return transmit()
        except (OSError, smtplib.SMTPException) as error:
            if attempt == ATTEMPTS or _is_final(error):
                raise
            time.sleep(PAUSE_SECONDS * attempt)
    return None


def _is_final(error: Exception) -> bool:
    """Whether the same would come of it again (RFC 5321 §4.2.1: 5yz); the next mail waits."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError)


def _transmit(server: SmtpServer, message: EmailMessage) -> None:
    """Python's own client, as the libraries around it do not check the certificate at STARTTLS."""
    with _connection(server) as client:
        if server.tls == "start":
            client.starttls(context=ssl.create_default_context())
        if server.user:
            client.login(server.user, server.password)
        client.send_message(message)


def _connection(server: SmtpServer) -> smtplib.SMTP:
    if server.tls == "on":
        trusted = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=trusted)
    return smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
