"""Idle pulls.

Nearly every pull of a fleet of phones finds nothing new, and Flask's own work on a request costs
several times what such an answer does (benchmarks/README.md). So a plain pull is answered here when
nothing can have changed and this process knows its token and account.
"""

from typing import Any

import orjson
from flask import Flask

from melon_api import measures
from melon_api.sync.discovery import synced_tables
from melon_api.sync.front.call import Answer, Count, Environ, PlainCall, body_of
from melon_api.sync.requests import CLOCK, plain_since
from melon_api.sync.sql import clock
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.web.request import request_id

MOST_BYTES = 1_024  # of a body; a plain pull's has about 70


class IdlePulls(PlainCall):
    name = "pull"

    def __init__(self, app: Flask, count: Count) -> None:
        super().__init__(app, count)
        changes = b"".join(ChangesText(synced_tables()))
        self._answer = b'{"changes":' + changes + b',"timestamp":%d}'

    def answer(self, environ: Environ, start_response: Any, started: float) -> Answer:
        if self.compresses(environ, len(self._answer)):
            return None
        since = _since(environ)
        caller = self.caller(environ) if since else None
        if caller is None:
            return None
        known = environ[CLOCK] = clock.remembered(self.cache, caller.user_id)
        limited = self.limits(environ, caller) if since == known else None
        if limited is None:
            return None
        answer, name = self._answer % since, request_id(environ)
        self.begin(start_response, answer, limited, name)
        measures.begin_request()
        measures.pulled("idle", 0)
        self.log(environ, caller, started, name, len(answer))
        return [answer]


def _since(environ: Environ) -> int | None:
    """`lastPulledAt` of a plain body."""
    body = body_of(environ, MOST_BYTES)
    try:
        return plain_since(orjson.loads(body)) if body else None
    except orjson.JSONDecodeError:
        return None
