"""Mail: the server that takes it, who it is from, and where its links lead."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from environ import InFolder, setting, text
from melon_api.mail.smtp import SmtpServer, smtp_server

# RFC 5322 §3.4: one address, ASCII alone; a name before it in quotes where it has a comma
ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+"
SENDER = re.compile(rf'("[^"\\<>]*" *|[^"\\<>()\[\],:;@]*)<{ADDRESS}>|{ADDRESS}', re.ASCII)
NO_SENDER = "an address is needed (Melon <no-reply@host>)"


def _sender(value: str) -> str:
    if not (value.isprintable() and SENDER.fullmatch(value)):
        raise ValueError(NO_SENDER)
    return value


def _link(value: str) -> str:
    if not (re.match(r"[a-z][a-z0-9+.-]*:\S+\Z", value) and "{token}" in value):
        raise ValueError(f"{value!r} is no link with {{token}} in it")
    return value


class MailSettings(InFolder):
    MAIL_IS_KEPT: ClassVar[bool] = False  # without a server: in files, for who builds an app

    APP_NAME: str = text("what mails call the app; no password may be it", default="Melon")
    SMTP: SmtpServer | None = setting(
        smtp_server,
        "`smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`;"
        " `?tls=off` for a server on the same machine",
        name="SMTP_URL",
        shown="none: development keeps mails in `instance/mail/`, others send none",
    )
    MAIL_FROM: str = setting(_sender, "`Melon <no-reply@example.com>`; needed with `SMTP_URL`")
    RESET_LINK: str | None = setting(
        _link,
        "where the mail for a forgotten password leads,"
        " `https://app.example.com/reset?token={token}` or `myapp://reset?token={token}`",
        shown="none: mails hold the bare code",
    )
    VERIFY_LINK: str | None = setting(
        _link,
        "where the mail that confirms an address leads, in the same form",
        shown="none: mails hold the bare code",
    )
    INVITATION_LINK: str | None = setting(
        _link,
        "where the mail that invites to a shared space leads, in the same form",
        shown="none: mails hold the bare code",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.MAIL_FOLDER: Path | None = self.INSTANCE_PATH / "mail" if self.MAIL_IS_KEPT else None
        if not self.MAIL_FROM:
            if self.SMTP and not environ.get("MAIL_FROM"):  # else it has been named already
                self.problems.append(f"MAIL_FROM: {NO_SENDER}")
            self.MAIL_FROM = f"{self.APP_NAME} <no-reply@localhost>"
