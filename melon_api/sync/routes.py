"""`/sync`: pull and push."""

from typing import Any

import orjson
from flask import Response, current_app, request
from marshmallow import ValidationError

from melon_api.auth.guard import caller, signed_in
from melon_api.errors import ValidationFailed
from melon_api.extensions import db
from melon_api.http import API, json_body
from melon_api.ops.openapi import Blueprint
from melon_api.sync import schemas, service
from melon_api.sync.schemas import (
    PullQuerySchema,
    PullRequest,
    PullSchema,
    PushAnswerSchema,
    PushQuerySchema,
    PushSchema,
)

blueprint = Blueprint("sync", __name__, url_prefix=f"{API}/sync", description="Pull and push")
PullAnswerSchema = schemas.pull_answer_schema()


@blueprint.post("/pull")
@signed_in()
@blueprint.body(PullSchema)
@blueprint.response(200, PullAnswerSchema)
def pull() -> Response:
    """What has changed since lastPulledAt"""
    return _pull(_read(schemas.read_pull, json_body(any_type=True)))


@blueprint.get("/pull")
@signed_in()
@blueprint.query(PullQuerySchema)
@blueprint.response(200, PullAnswerSchema)
def pull_by_query() -> Response:
    """The same, asked as the snippet in WatermelonDB's docs does"""
    return _pull(_read(schemas.read_pull_query, request.args.to_dict()))


@blueprint.post("/push")
@signed_in()
@blueprint.query(PushQuerySchema)
@blueprint.body(PushSchema)
@blueprint.response(200, PushAnswerSchema)
def push() -> Response:
    """Store what this device changed, all or nothing"""
    body, query = json_body(any_type=True), request.args.to_dict()
    pushed = _read(schemas.read_push, body, query)
    policy = current_app.config["SYNC_CONFLICT_POLICY"]
    answer = service.push(db.engine, caller(), pushed, policy)
    result: dict[str, Any] = {"timestamp": answer.timestamp}
    if pushed.allow_partial:
        rejected = {table: list(ids) for table, ids in answer.problems.rejected.items()}
        result["experimentalRejectedIds"] = rejected
        result["errors"] = {"changes": answer.problems.errors} if answer.problems.errors else {}
    return _json(result)


def _pull(pull_request: PullRequest) -> Response:
    return _json(service.pull(db.engine, caller(), pull_request))


def _read(reader: Any, *parts: Any) -> Any:
    try:
        return reader(*parts)
    except ValidationError as error:
        raise ValidationFailed(error.messages_dict) from None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), mimetype="application/json")
