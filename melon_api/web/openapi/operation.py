"""An operation of OpenAPI, from a view, what is noted on it, and what its `docs.py` says.

Which errors a call can answer follows from what stands before its view and from its own `problems`;
tests/api/test_openapi.py brings each of them about, and no other.
"""

import inspect
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from melon_api import errors
from melon_api.errors import DomainError
from melon_api.web.openapi.call import JSON, TEXT, Call, Example, Problem
from melon_api.web.openapi.notes import View, notes
from melon_api.web.openapi.words import HEADERS, REQUEST_ID
from melon_api.web.problems import as_problem, by_code

LIMITS = tuple(name for name in HEADERS if name.startswith("RateLimit-"))
OF_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After", *LIMITS), 503: ("Retry-After",)}
ALWAYS = (errors.InternalError, errors.Unavailable)
BODY = (
    errors.MalformedJson,
    errors.BadRequest,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
)
TOKENS = (errors.TokenMissing, errors.TokenExpired, errors.TokenInvalid, errors.TokenRevoked)
AS_TEXT = {"type": "string", "contentMediaType": JSON, "description": "the same, as text"}
ACCEPTED = Call(gives={"type": "null"}, answers={"accepted": Example("Always", None)})


def operation(view: View, call: Call, *, speaks_json: bool) -> dict[str, Any]:
    """All of it but its name and heading; schemas are still Marshmallow's."""
    noted = notes(view)
    summary, _, text = (inspect.getdoc(view) or view.__name__).partition("\n\n")
    doc: dict[str, Any] = {"summary": summary.replace("\n", " ").rstrip("."), "description": text}
    doc["security"] = [{f"{kind}Token": []} for kind in noted.get("tokens", ())]
    doc |= {} if call.security is None else {"security": call.security}
    doc |= {"parameters": [{"in": "query", "schema": call.asks}]} if call.asks else {}
    if taken := _body(call, noted):
        doc["requestBody"] = {"required": noted.get("body_needed", True), "content": taken}
    known = {kind.code for kind in _guards(noted, bool(taken), speaks_json)} | call.problems.keys()
    kinds = [kind for code, kind in by_code().items() if code in known]
    doc["responses"] = _success(call, noted) | _problems(kinds, call.problems)
    return {name: part for name, part in doc.items() if part != ""}


def headers(*names: str) -> dict[str, Any]:
    """These headers, and the one that every answer has, as references."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def example(kind: type[DomainError], own: Problem) -> dict[str, Any]:
    """The body of an error, as the server writes it."""
    detail, found = own.detail or kind.example.detail, own.errors
    said = errors.Example(detail, kind.example.errors if found is None else found)
    return as_problem(kind, said, REQUEST_ID)


def _guards(noted: Mapping[str, Any], has_body: bool, speaks_json: bool) -> set[type[DomainError]]:
    """The errors of what stands before the view, and those that no call is safe from."""
    found = {*ALWAYS}
    for is_there, kinds in (
        (noted.get("tokens"), (*TOKENS, errors.AccountDisabled)),
        (noted.get("verified"), (errors.EmailNotVerified,)),
        (noted.get("limited"), (errors.RateLimited,)),
        (has_body, BODY),
        (noted.get("body"), (errors.ValidationFailed,)),
        (speaks_json, (errors.NotAcceptable,)),
    ):
        found |= {*kinds} if is_there else set()
    return found


def _body(call: Call, noted: Mapping[str, Any]) -> dict[str, Any]:
    """By type; what a view reads by itself is JSON whatever type it says it has."""
    if call.takes:
        one = call.takes[0] if len(call.takes) == 1 else {"anyOf": [*call.takes]}
        by_type = {JSON: one, TEXT: AS_TEXT}
    else:
        by_type = {JSON: noted["body"]} if "body" in noted else {}
    return {media: _content(media, schema, call.requests) for media, schema in by_type.items()}


def _content(media: str, schema: Any, examples: Mapping[str, Example]) -> dict[str, Any]:
    shown = {name: _example(example, media) for name, example in examples.items()}
    return {"schema": schema} | ({"examples": shown} if shown else {})


def _example(given: Example, media: str) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in given.query.items())
    goes_with = {"description": f"Goes with `?{query}`."} if query else {}
    is_text = media == TEXT and not isinstance(given.value, str)
    value = orjson.dumps(given.value).decode() if is_text else given.value
    return {"summary": given.summary, **goes_with, "value": value}


def _success(call: Call, noted: Mapping[str, Any]) -> dict[str, Any]:
    status = noted.get("status", 200)
    call = ACCEPTED if status == 202 else call  # what there is to say is said later, by mail
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    answer["headers"] = headers(*(LIMITS if noted.get("limited") else ()))
    if schema := noted.get("answer") or call.gives:
        answer["content"] = {call.media: _content(call.media, schema, call.answers)}
    told = {str(status): answer}
    return told | ({"201": answer | {"description": "Created"}} if noted.get("creates") else {})


def _problems(kinds: list[type[DomainError]], own: Mapping[str, Problem]) -> dict[str, Any]:
    """By status, with an example of each code."""
    by_status: dict[int, list[type[DomainError]]] = defaultdict(list)
    for kind in kinds:
        by_status[kind.status].append(kind)
    return {str(status): _problem(status, of, own) for status, of in by_status.items()}


def _problem(
    status: int, kinds: list[type[DomainError]], own: Mapping[str, Problem]
) -> dict[str, Any]:
    codes = {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}
    narrowed = {"properties": codes} | ({"required": ["errors"]} if status == 422 else {})
    examples = {
        kind.code: {
            "summary": kind.code,
            "description": kind.advice,
            "value": example(kind, own.get(kind.code, Problem())),
        }
        for kind in kinds
    }
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    return {
        "description": f"{HTTPStatus(status).phrase}. "
        + "; ".join(f"`{kind.code}`: {kind.advice}" for kind in kinds),
        "headers": headers("Link", *OF_STATUS.get(status, ())),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }
