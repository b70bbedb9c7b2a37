"""Plain pulls.

Nearly every pull of a fleet of phones finds nothing new, and Flask's own work on a request costs
several times what such an answer does (benchmarks/README.md). So a plain pull is answered here when
this process knows its token and account, and nothing can have changed, or little has.
"""

import logging
from contextlib import ExitStack
from functools import partial
from typing import Any

import orjson
from flask import Flask
from sqlalchemy.exc import DBAPIError
from werkzeug.wsgi import ClosingIterator

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.models.base import db
from melon_api.storage.transactions import error_number
from melon_api.sync import pull as pulls
from melon_api.sync import remembered
from melon_api.sync.discovery import synced_tables
from melon_api.sync.front.call import Answer, Count, Environ, Keep, PlainCall, body_of
from melon_api.sync.requests import CLOCK, MANY, plain_since
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.web.request import request_id

log = logging.getLogger(__name__)

MOST_BYTES = 1_024  # of a body; a plain pull's has about 70


class PlainPulls(PlainCall):
    """Many news are Flask's to tell, and so is all that is not a plain answer."""

    name = "pull"

    def __init__(self, app: Flask, count: Count, keep: Keep) -> None:
        super().__init__(app, count, keep)
        with app.app_context():
            self._engine = db.engine
        self._is_quick = pulls.has_quick_way(self._engine)
        changes = b"".join(ChangesText(synced_tables()))
        self._nothing = b'{"changes":' + changes + b',"timestamp":%d}'

    def answer(self, environ: Environ, start_response: Any, started: float) -> Answer:
        since = _since(environ)
        caller = self.caller(environ) if since else None
        if caller is None or since is None:
            return None
        known = environ[CLOCK] = remembered.clock(self.cache, caller.user_id)
        if since == known:
            return self._tell_nothing(environ, start_response, started, caller, since)
        return self._tell_news(environ, start_response, started, caller, since)

    def _tell_nothing(
        self, environ: Environ, start_response: Any, started: float, caller: Caller, since: int
    ) -> Answer:
        if self.compresses(environ, len(self._nothing)):
            return None
        limited = self.limits(environ, caller)
        if limited is None:
            return None
        answer, name = self._nothing % since, request_id(environ)
        self.begin(start_response, answer, limited, name)
        measures.begin_request()
        measures.pulled("idle", 0)
        self.log(environ, caller, started, name, len(answer))
        return [answer]

    def _tell_news(
        self, environ: Environ, start_response: Any, started: float, caller: Caller, since: int
    ) -> Answer:
        if self.is_watched or not self._is_quick:
            return None
        limited = self.limits(environ, caller)
        if limited is None:
            return None
        behind = ExitStack()
        work = partial(self._read, environ, caller, since, behind)
        answer: Answer = None
        try:
            answer = self.attempt(environ, start_response, started, caller, limited, work)
        finally:
            if answer is None:
                _end(behind)
        return ClosingIterator(answer, partial(_end, behind)) if answer is not None else None

    def _read(
        self, environ: Environ, caller: Caller, since: int, behind: ExitStack
    ) -> bytes | None:
        page = pulls.pull_few(self._engine, caller, since, environ[CLOCK], behind)
        if page is None:
            environ[MANY] = True
            return None
        if page.learned:
            behind.callback(page.learned.remember)
        changes = b"".join(page.changes)
        return b'{"changes":%b,"timestamp":%d}' % (changes, page.walk.timestamp)


def _end(behind: ExitStack) -> None:
    """A connection that has broken since its answer was read is replaced in the pool, and nobody
    else's matter."""
    try:
        behind.close()
    except DBAPIError as error:
        log.warning("a snapshot was not ended: %s", error_number(error))


def _since(environ: Environ) -> int | None:
    """`lastPulledAt` of a plain body."""
    body = body_of(environ, MOST_BYTES)
    try:
        return plain_since(orjson.loads(body)) if body else None
    except orjson.JSONDecodeError:
        return None
