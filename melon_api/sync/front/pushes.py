"""Plain pushes: small ones of a phone whose token and account this process knows."""

from functools import partial
from typing import Any

import orjson
from flask import Flask

from melon_api.auth.accounts import Caller
from melon_api.bulkheads import account_queue
from melon_api.models.base import db
from melon_api.sync import push as pushes
from melon_api.sync.front.call import Answer, Count, Environ, Keep, PlainCall, body_of, length_of
from melon_api.sync.requests import as_json, plain_push
from melon_api.sync.rules.body import check_size
from melon_api.sync.rules.pushed import PushRequest
from melon_api.sync.rules.settings import RULES
from melon_api.web.body.reading import SMALL_BYTES
from melon_api.web.request import is_gone


class PlainPushes(PlainCall):
    """What cannot be stored, or fails, is Flask's to say, and a long answer is Flask's to pack: it
    finds the outcome in the environment."""

    name = "push"

    def __init__(self, app: Flask, count: Count, keep: Keep) -> None:
        super().__init__(app, count, keep)
        with app.app_context():
            self._engine = db.engine

    def answer(self, environ: Environ, start_response: Any, started: float) -> Answer:
        length = length_of(environ, SMALL_BYTES)
        if length is None or self.is_watched:
            return None
        caller = self.caller(environ)
        limited = self.limits(environ, caller) if caller else None
        if caller is None or limited is None:
            return None
        work = partial(self._stored, environ, caller, length)
        return self.attempt(environ, start_response, started, caller, limited, work)

    def _stored(self, environ: Environ, caller: Caller, length: int) -> bytes | None:
        with account_queue(caller.user_id, length) as queue:  # before the body is read
            request = self._read(environ)
            if request is None:
                return None
            gone = partial(is_gone, environ)
            with queue.turn():
                policy = self.config["SYNC_CONFLICT_POLICY"]
                done = pushes.push(self._engine, caller, request, policy, gone)
        self.cache.flush()
        return as_json(request, done.timestamp, done.problems)

    def _read(self, environ: Environ) -> PushRequest | None:
        """None for what Flask has to look at, also where a rule of the app listens, which may ask
        for Flask's request. Raises PayloadTooLarge, as Flask's way does before it says anything of
        a record."""
        body = body_of(environ, SMALL_BYTES)
        try:
            values = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            return None
        if type(values) is not dict or type(changes := values.get("changes")) is not dict:
            return None
        if self.app.extensions[RULES].watch(changes):
            return None
        check_size(changes, self.config["MAX_PUSH_RECORDS"])
        return plain_push(values)
