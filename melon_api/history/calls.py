"""Where calls of sync come by when they are answered, in front of Flask and in it."""

from collections.abc import Callable
from typing import Any

import orjson
from flask import Response, g, request

from melon_api import measures
from melon_api.auth.accounts import Caller
from melon_api.history.entry import PULL, PUSH, VERIFY, Entry, facts_of
from melon_api.models.base import now_ms

ENDPOINTS = {"sync.push": PUSH, "sync.pull": PULL, "sync.pull_by_query": PULL}
ENDPOINTS["sync.verify"] = VERIFY


class Calls:
    """Hands on what is to be kept. Not pulls that find nothing: nearly all do, and that a phone is
    there its session says."""

    def __init__(self, keep: Callable[[Entry], None]) -> None:
        self._keep = keep

    def in_front(self, call: str, caller: Caller, request_id: str, answer: bytes) -> None:
        """A call that was answered with 200."""
        self._note(call, caller, request_id, 200, lambda: answer)

    def in_flask(self, response: Response) -> Response:
        """Any call; one whose caller is not known is nobody's."""
        caller, call = g.get("caller"), ENDPOINTS.get(request.endpoint or "")
        if caller and call:
            name, status = g.get("request_id", ""), response.status_code
            self._note(call, caller, name, status, response.get_data)
        return response

    def _note(
        self,
        call: str,
        caller: Caller,
        request_id: str,
        status: int,
        answer: Callable[[], bytes],
    ) -> None:
        """`answer`: what the phone is told, which is read where something was refused."""
        noted, told = measures.request_facts(), {}
        if status >= 400 or noted.get("rejected"):
            told = _read(answer())
        elif noted.get("pull") == "idle":
            return
        facts, code = facts_of(noted, told), told.get("code") if status >= 400 else None
        user, session, now = caller.user_id, caller.session_id, now_ms()
        self._keep(Entry(user, session, call, status, code, facts, request_id, now, now))


def _read(answer: bytes) -> dict[str, Any]:
    """Problems, and what a push says that is stored in part, are our own JSON."""
    told: dict[str, Any] = orjson.loads(answer)
    return told
