"""`/sync`: pull and push."""

import itertools
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import orjson
from flask import Response, current_app, g, request
from marshmallow import ValidationError

from melon_api import measures
from melon_api.auth.guard import caller, signed_in
from melon_api.auth.tokens import keys_now
from melon_api.bulkheads import account_queue, scans
from melon_api.errors import ValidationFailed
from melon_api.models.base import db
from melon_api.storage.cache import cache
from melon_api.sync import pull as pulls
from melon_api.sync import push as pushes
from melon_api.sync import remembered, requests
from melon_api.sync.discovery import synced_tables
from melon_api.sync.docs import examples
from melon_api.sync.front.attempt import ATTEMPT, Attempt
from melon_api.sync.rules import cursor
from melon_api.sync.rules.settings import RULES
from melon_api.sync.rules.walk import PullRequest, Walk
from melon_api.sync.schemas import VerifiedSchema
from melon_api.sync.verify import Verified
from melon_api.sync.verify import verify as check
from melon_api.web.answer import respond
from melon_api.web.body.reading import json_body
from melon_api.web.calls import answers
from melon_api.web.limits import limited
from melon_api.web.openapi.call import Blueprint
from melon_api.web.request import API, is_gone

View = Callable[[], Response]

blueprint = Blueprint("sync", __name__, "Sync", examples.calls, url_prefix=f"{API}/sync")


def tells_attempts(view: View) -> View:
    """What came of a call in front of Flask is told before anything else is asked: who calls may
    not be known any more, which is a 503, of a push that may be stored."""

    @wraps(view)
    def told() -> Response:
        attempt: Attempt | None = request.environ.pop(ATTEMPT, None)
        if attempt is None:
            return view()
        g.caller, g.started = attempt.caller, attempt.started
        measures.begin_request(attempt.facts)
        try:
            if isinstance(attempt.outcome, Exception):
                raise attempt.outcome
            return Response(attempt.outcome, mimetype="application/json")
        finally:
            del attempt  # an error's traceback holds this frame

    return told


@blueprint.post("/pull")
@tells_attempts
@signed_in(verified=True)
@limited("PULL")
def pull() -> Response:
    """What has changed since lastPulledAt

    What has changed since `lastPulledAt`, by table. A record is under exactly one of `created` (new
    to this device), `updated` (it has had it) and `deleted` (ids). Hand the answer's `timestamp`
    back as the next `lastPulledAt`: no change is missed, none is repeated. Without one, or with
    null or 0, all living records come under `created` (contract, pull 1 to 3).

    - `migration` adds the records of tables and columns that the app has just got (pull 5).
    - With `limit` the answer comes in pages: send its `cursor` for the next one, until it is null
    (pull 6). What the body has may stand in the query as well; the body counts first.
    - `"experimentalStrategy": "replacement"` says that the answer is the full set: deletions as old
    as `lastPulledAt` are forgotten (pull 7).
    """
    return _pull(json_body(is_sync=True))


@blueprint.get("/pull")
@signed_in(verified=True)
@limited("PULL")
def pull_by_query() -> Response:
    """The same, asked as the snippet in WatermelonDB's docs does

    The same as `POST /sync/pull`, asked as the snippet in WatermelonDB's docs does. On a first sync
    it sends the words `null` and `undefined`, which count as none.
    """
    return _pull({})


@blueprint.post("/push")
@tells_attempts
@signed_in(verified=True)
@limited("PUSH")
def push() -> Response:
    """Store what this device changed, all or nothing

    Stores what this device changed: all of it, or nothing and an error (contract, push 1). Repeated
    after a lost answer it changes nothing and succeeds. Parents are stored before children,
    whatever their order; deleting a record deletes its descendants (push 4). Where another device
    changed the same record, only the columns that `_changed` names are written, or with the setting
    `SYNC_CONFLICT_POLICY=reject` none, which is 409 (push 3). A wrong type becomes the column's
    empty value, an unknown column is dropped, an absent one keeps what is stored (push 5).

    - The changes alone may be the body, with `?last_pulled_at=` in the query.
    - With `allowPartial` (or `?partial=1`) what cannot be stored is named in the answer, and the
    rest is stored (push 6).
    - The answer's `timestamp` is null when there is something to pull first (push 7).
    - A rule of the app may refuse records, 422 `refused`, or change them; `appVersion` tells it
    which app it is (push 10).
    - `pushNumber`, raised with every new push of the session, keeps a late copy of an older
    one from undoing what came after it (push 8).
    """
    policy = current_app.config["SYNC_CONFLICT_POLICY"]
    size = None if request.content_encoding else request.content_length
    with account_queue(caller().user_id, size) as queue:  # before the body is read
        body = json_body(is_sync=True, has_records=True)
        query = request.args.to_dict()
        most = current_app.config["MAX_PUSH_RECORDS"]
        pushed = _read(requests.read_push, body, query, most)
        with queue.turn():
            gone = partial(is_gone, request.environ)
            rules = current_app.extensions[RULES]
            answer = pushes.push(db.engine, caller(), pushed, policy, gone, rules)
    return Response(
        requests.as_json(pushed, answer.timestamp, answer.problems), mimetype="application/json"
    )


@blueprint.post("/verify")
@signed_in(verified=True)
@limited("PULL")
@answers(200, VerifiedSchema)
def verify() -> Verified:
    """Whether this device holds what the server holds

    Whether this device holds what the server holds, by the count and checksum of each table
    (docs/verify.md says how it is made). `identical` is null when something has changed since
    `lastPulledAt`: pull, then ask again. After a false, send again what the server lacks,
    then pull with `replacement`.
    """
    since, held = _read(requests.read_verify, json_body(is_sync=True))
    asks = caller()
    return scans.run_for(asks.user_id, lambda: check(db.engine, asks, since, held))


def _pull(body: Any) -> Response:
    pull_request: PullRequest = _read(
        requests.read_pull, body, request.args.to_dict(), _read_cursor
    )
    is_quick = requests.MANY not in request.environ
    page = pulls.pull(db.engine, caller(), pull_request, _known_clock(), is_quick)
    rest: dict[str, Any] = {"timestamp": page.walk.timestamp}
    if page.walk.is_replacement:
        rest["experimentalStrategy"] = "replacement"
    if pull_request.is_paged:
        begin = page.rest
        rest["cursor"] = cursor.write(begin, caller().user_id, keys_now()) if begin else None
    head, tail = b'{"changes":', b"," + orjson.dumps(rest)[1:]
    size = len(head) + page.changes.size + len(tail)
    response = respond(itertools.chain([head], page.changes, [tail]), page.changes, size)
    if page.learned:
        response.call_on_close(page.learned.remember)
    return response


def _known_clock() -> int | None:
    if not cache().remembers or caller().clock is not None:
        return caller().clock
    if requests.CLOCK in request.environ:
        known: int | None = request.environ[requests.CLOCK]
        return known
    return remembered.clock(cache(), caller().user_id)


def _read_cursor(text: str) -> Walk | None:
    return cursor.read(text, caller().user_id, keys_now(), synced_tables())


def _read(reader: Any, *parts: Any) -> Any:
    try:
        return reader(*parts)
    except ValidationError as error:
        raise ValidationFailed(error.messages_dict) from None
