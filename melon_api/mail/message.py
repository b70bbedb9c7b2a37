"""What a mail says, and that it goes out: to the mail server, or into a file in development."""

import logging
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from pathlib import Path
from uuid import uuid4

from flask import current_app, render_template

from melon_api.mail.smtp import SmtpServer, transmit

log = logging.getLogger(__name__)

# Each has a text and an HTML part in `templates/mail/`.
SUBJECTS = {
    "reset": "Set a new password",
    "code": "Your code",
    "verify": "Confirm your e-mail address",
    "invitation": "You are invited to share something",
    "password_changed": "Your password was changed",
    "email_changed": "Your e-mail address was changed",
}


def send(name: str, to: str, token: str | None = None) -> None:
    """Write the mail `name` and send it. Raises what smtplib raises; call it from the outbox."""
    message = _message(name, to, token)
    server: SmtpServer | None = current_app.config["SMTP"]
    if server is not None:
        transmit(server, message)
    else:
        _keep(message, name, current_app.config["MAIL_FOLDER"])


def _message(name: str, to: str, token: str | None) -> EmailMessage:
    settings, facts = current_app.config, _facts(name, token)
    message = EmailMessage()
    message["From"], message["To"] = settings["MAIL_FROM"], to
    message["Subject"] = f"{settings['APP_NAME']}: {SUBJECTS[name]}"
    message["Date"] = formatdate()
    domain = parseaddr(settings["MAIL_FROM"])[1].partition("@")[2]
    message["Message-ID"] = make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content(render_template(f"mail/{name}.txt", **facts))
    message.add_alternative(render_template(f"mail/{name}.html", **facts), subtype="html")
    return message


def _facts(name: str, token: str | None) -> dict[str, str | None]:
    """What its templates are filled with."""
    link = current_app.config.get(f"{name.upper()}_LINK")
    return {
        "app_name": current_app.config["APP_NAME"],
        "subject": SUBJECTS[name],
        "token": token,
        "link": link.replace("{token}", token or "") if link else None,
    }


def _keep(message: EmailMessage, name: str, folder: Path) -> None:
    """To be read by the developer alone, as people read it: with no line broken by an encoding."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now():%Y-%m-%d-%H%M%S}-{name}-{uuid4().hex[:6]}.txt"
    path.touch(mode=0o600)
    body = message.get_body(("plain",))
    text = body.get_content() if body else ""
    path.write_text(f"To: {message['To']}\nSubject: {message['Subject']}\n\n{text}")
    log.info("a mail is in %s", path)
