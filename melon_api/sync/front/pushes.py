"""Plain pushes: small ones of a phone whose token and account this process knows."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import orjson
from flask import Flask
from structlog.contextvars import bind_contextvars, clear_contextvars

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.bulkheads import account_queue
from melon_api.models.base import db
from melon_api.sync import push as pushes
from melon_api.sync.front.attempt import ATTEMPT, Attempt
from melon_api.sync.front.call import Answer, Count, Environ, PlainCall, body_of, length_of
from melon_api.sync.requests import as_json, plain_push
from melon_api.sync.rules.body import check_size
from melon_api.sync.rules.pushed import PushRequest
from melon_api.web.body.reading import SMALL_BYTES
from melon_api.web.request import is_gone, request_id

OURS = ("melon_api.", "flask_limiter.", "flask_cors.", "flask_compress.", "flask_sqlalchemy.")


class PlainPushes(PlainCall):
    """What cannot be stored, or fails, is Flask's to say, and a long answer is Flask's to pack: it
    finds the outcome in the environment."""

    name = "push"

    def __init__(self, app: Flask, count: Count) -> None:
        super().__init__(app, count)
        with app.app_context():
            self._engine = db.engine

    @cached_property
    def _is_watched(self) -> bool:
        """Whether a tracer, or the app's own code, wants to see each request: known by the first
        one, from which on Flask takes no more hooks."""
        return bool(self.config["OTEL_EXPORTER_OTLP_ENDPOINT"]) or any(_strange_hooks(self.app))

    def answer(self, environ: Environ, start_response: Any, started: float) -> Answer:
        length = length_of(environ, SMALL_BYTES)
        if length is None or self._is_watched:
            return None
        caller = self.caller(environ)
        limited = self.limits(environ, caller) if caller else None
        if caller is None or limited is None:
            return None
        name = environ["HTTP_X_REQUEST_ID"] = request_id(environ)
        bind_contextvars(request_id=name, client=environ.get("REMOTE_ADDR"))
        measures.begin_request()
        try:
            with self.app.app_context():
                outcome: bytes | Exception | None = self._stored(environ, caller, length)
        except Exception as error:
            outcome = error
        finally:
            clear_contextvars()
        if outcome is None:
            return None
        if isinstance(outcome, Exception) or self.compresses(environ, len(outcome)):
            environ[ATTEMPT] = Attempt(outcome, caller, started, measures.request_facts())
            del outcome  # an error's traceback holds this frame
            return None
        self.begin(start_response, outcome, limited, name)
        self.log(environ, caller, started, name, len(outcome))
        return [outcome]

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
        return as_json(request, done)

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
        if self.app.extensions[pushes.RULES].watch(changes):
            return None
        check_size(changes, self.config["MAX_PUSH_RECORDS"])
        return plain_push(values)


def _strange_hooks(app: Flask) -> Iterator[Any]:
    """Of the app's own, on every call."""
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for hook in hooks.get(None, []):
            made_by: Any = hook.func if isinstance(hook, partial) else hook
            if not made_by.__module__.startswith(OURS):
                yield hook
