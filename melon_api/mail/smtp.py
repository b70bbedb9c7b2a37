"""Mail goes out through the server of SMTP_URL, with patience for one that is away for a moment."""

import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import parse_qsl, unquote, urlsplit

FORM = "it must be smtp://user:password@host:587 or smtps://…:465, percent-encoded"
ATTEMPTS, PAUSE_SECONDS = 3, 2
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes out; `tls` is `start` (STARTTLS), `on` from the first byte, or `off`."""

    host: str
    port: int
    tls: str
    user: str
    password: str


def smtp_server(url: str) -> SmtpServer:
    """Take `SMTP_URL` apart: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465`;
    `?tls=off` for neither. Raises ValueError for what is not understood."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # quotes what may be a part of the password
        raise ValueError(FORM) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = options.pop("tls", "on" if parts.scheme == "smtps" else "start")
    is_whole = parts.hostname and not parts.path.strip("/") and not parts.fragment
    if parts.scheme not in ("smtp", "smtps") or not is_whole:
        raise ValueError(FORM)
    if options or tls not in ("start", "on", "off"):
        raise ValueError("the only option is tls=start, tls=on or tls=off")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    default = 465 if tls == "on" else 587
    return SmtpServer(parts.hostname or "", port or default, tls, user, password)


def transmit(server: SmtpServer, message: EmailMessage) -> None:
    """Raises what smtplib raises: OSError, SMTPException. One that refuses for good is not asked
    again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(server, message)
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


def _attempt(server: SmtpServer, message: EmailMessage) -> None:
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
