"""Mail is written and delivered behind the request, so that an answer's time does not say whether
there was anybody to write to, and a slow mail server holds no request up. On a stop the thread
finishes what waits."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from flask import Flask, current_app
from structlog.contextvars import bound_contextvars, get_contextvars

log = logging.getLogger(__name__)

MOST_WAITING = 1_000  # mails


class Outbox:
    """One thread that does work for the mailbox, in the order it came."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")
        self._room = threading.BoundedSemaphore(MOST_WAITING)

    @property
    def is_mute(self) -> bool:
        """Whether no mail goes out of a server that people use: its operator has named no mail
        server."""
        return bool(self._app.config["NEEDS_SERVERS"]) and not _reaches_anybody(self._app)

    def post(self, work: Callable[[], None]) -> bool:
        """Have this done soon, in an application context; False when too much waits already."""
        if not _reaches_anybody(self._app):
            return True
        if not self._room.acquire(blocking=False):
            log.error("%d mails wait already; this one is not sent", MOST_WAITING)
            return False
        self._thread.submit(self._do, work, get_contextvars())
        return True

    def settle(self) -> None:
        """Returns when what was posted before is done."""
        self._thread.submit(int).result()

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
    return bool(app.config["SMTP"] or app.config["MAIL_FOLDER"])


def init_app(app: Flask) -> None:
    app.extensions["outbox"] = Outbox(app)
    if app.extensions["outbox"].is_mute:
        log.warning("SMTP_URL is not set: no mail is sent, nobody can set a forgotten password")


def outbox() -> Outbox:
    """The application's outbox."""
    return cast(Outbox, current_app.extensions["outbox"])
