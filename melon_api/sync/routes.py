"""`/sync`: pull and push."""

import itertools
from typing import Any

import orjson
from flask import Response, current_app, request
from marshmallow import ValidationError

from melon_api.auth.guard import caller, signed_in
from melon_api.auth.tokens import keys_now
from melon_api.bulkheads import account_queue
from melon_api.errors import ValidationFailed
from melon_api.models.base import db
from melon_api.storage.cache import cache
from melon_api.sync import described_schemas, docs, requests
from melon_api.sync import pull as pulls
from melon_api.sync import push as pushes
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules import cursor
from melon_api.sync.rules.body import check_size
from melon_api.sync.rules.walk import PullRequest, Walk
from melon_api.sync.schemas import (
    PullQuerySchema,
    PullSchema,
    PushAnswerSchema,
    PushQuerySchema,
    VerifiedSchema,
)
from melon_api.sync.sql import clock
from melon_api.sync.verify import Verified
from melon_api.sync.verify import verify as check
from melon_api.web.answer import respond
from melon_api.web.limits import limited
from melon_api.web.openapi.api import Blueprint
from melon_api.web.request import API, json_body

blueprint = Blueprint("sync", __name__, url_prefix=f"{API}/sync", tag="Sync", calls=docs.calls)
PullAnswerSchema = described_schemas.pull_answer_schema()
WholePushSchema, ChangesSchema = described_schemas.push_schema(), described_schemas.pushed_changes()
HeldSchema = described_schemas.verify_schema()


@blueprint.post("/pull")
@signed_in(verified=True)
@limited("PULL")
@blueprint.query(PullQuerySchema)
@blueprint.body(PullSchema)
@blueprint.response(200, PullAnswerSchema)
def pull() -> Response:
    """What has changed since lastPulledAt"""
    return _pull(json_body(any_type=True))


@blueprint.get("/pull")
@signed_in(verified=True)
@limited("PULL")
@blueprint.query(PullQuerySchema)
@blueprint.response(200, PullAnswerSchema)
def pull_by_query() -> Response:
    """The same, asked as the snippet in WatermelonDB's docs does"""
    return _pull({})


@blueprint.post("/push")
@signed_in(verified=True)
@limited("PUSH")
@blueprint.query(PushQuerySchema)
@blueprint.body(WholePushSchema, ChangesSchema)
@blueprint.response(200, PushAnswerSchema)
def push() -> Response:
    """Store what this device changed, all or nothing"""
    policy = current_app.config["SYNC_CONFLICT_POLICY"]
    size = None if request.content_encoding else request.content_length
    with account_queue(caller().user_id, size) as queue:  # before the body is read
        body, query = json_body(any_type=True), request.args.to_dict()
        pushed = _read(requests.read_push, body, query)
        check_size(pushed.changes, current_app.config["MAX_PUSH_RECORDS"])
        with queue.turn():
            answer = pushes.push(db.engine, caller(), pushed, policy)
    result: dict[str, Any] = {"timestamp": answer.timestamp}
    if pushed.allow_partial:
        rejected = {table: list(ids) for table, ids in answer.problems.rejected.items()}
        result["experimentalRejectedIds"] = rejected
        result["errors"] = answer.problems.by_place()
    return _json(result)


@blueprint.post("/verify")
@signed_in(verified=True)
@limited("PULL")
@blueprint.body(HeldSchema)
@blueprint.response(200, VerifiedSchema)
def verify() -> Verified:
    """Whether this device holds what the server holds"""
    since, held = _read(requests.read_verify, json_body(any_type=True))
    return check(db.engine, caller(), since, held)


def _pull(body: Any) -> Response:
    pull_request: PullRequest = _read(
        requests.read_pull, body, request.args.to_dict(), _read_cursor
    )
    page = pulls.pull(db.engine, caller(), pull_request, _known_clock())
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
    if not cache().remembers:
        return caller().clock
    if requests.CLOCK in request.environ:
        known: int | None = request.environ[requests.CLOCK]
        return known
    return clock.remembered(cache(), caller().user_id)


def _read_cursor(text: str) -> Walk | None:
    return cursor.read(text, caller().user_id, keys_now(), synced_tables())


def _read(reader: Any, *parts: Any) -> Any:
    try:
        return reader(*parts)
    except ValidationError as error:
        raise ValidationFailed(error.messages_dict) from None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), mimetype="application/json")
