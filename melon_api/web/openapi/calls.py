"""How a call is described: the one shape of every `docs.py`, and what it becomes in OpenAPI.

Which errors a call can answer follows from what stands before its view (a token, a body, a limit)
and from its own `problems`; tests/api/test_openapi.py brings each of them about, and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from melon_api.errors import STATUS_OF
from melon_api.web.openapi.problems import LIMIT_HEADERS, Problem, headers, responses

TOKEN_CODES = {"token_missing", "token_expired", "token_invalid", "token_revoked"}
BODY_CODES = {"malformed_json", "bad_request", "payload_too_large", "unsupported_media_type"}
UNSAFE_CODES = {"internal_error", "unavailable"}
TEXT = "text/plain"


@dataclass(frozen=True)
class Example:
    """A body, and the `query` that it is sent with."""

    summary: str
    value: Any
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """`id` is for generated clients. `requests` are bodies, `answers` those of its success, each by
    name; `problems`, by code, are its own, or what is usual in its own words."""

    id: str
    text: str
    requests: Mapping[str, Example] = field(default_factory=dict)
    answers: Mapping[str, Example] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Guards:
    """What stands before a view; `tokens` are the kinds that let one in."""

    tokens: tuple[str, ...] = ()
    is_verified: bool = False
    is_limited: bool = False
    has_body: bool = False
    speaks_json: bool = True

    def codes(self) -> set[str]:
        """The errors of them, and those that no call is safe from."""
        found = set(UNSAFE_CODES)
        for is_there, codes in (
            (self.tokens, {*TOKEN_CODES, "account_disabled"}),
            (self.is_verified, {"email_not_verified"}),
            (self.is_limited, {"rate_limited"}),
            (self.has_body, BODY_CODES),
            (self.speaks_json, {"not_acceptable"}),
        ):
            found |= codes if is_there else set()
        return found


def operation(doc: dict[str, Any], call: Call, guards: Guards) -> dict[str, Any]:
    """`doc`, an operation with its schemas, and all else that is known of the call."""
    doc |= {"operationId": call.id, "description": call.text}
    doc["security"] = [{kind: []} for kind in guards.tokens]
    _illustrate(doc.get("requestBody", {}), call.requests)
    known = guards.codes() | call.problems.keys()
    answers = {str(s): r for s, r in doc["responses"].items() if str(s).startswith("2")}
    for status, answer in answers.items():
        if status == "202":  # what there is to say is said later, by mail
            answer["content"] = {"application/json": {"schema": {"type": "null"}}}
        _illustrate(answer, call.answers)
        limits = LIMIT_HEADERS if guards.is_limited else ()
        answer["headers"] = answer.get("headers", {}) | headers(*limits)
    codes = [code for code in STATUS_OF if code in known]
    doc["responses"] = answers | responses(codes, call.problems)
    return doc


def _illustrate(part: dict[str, Any], examples: Mapping[str, Example]) -> None:
    for media, content in part.get("content", {}).items():
        if examples:
            content["examples"] = {name: _example(e, media) for name, e in examples.items()}


def _example(example: Example, media: str) -> dict[str, Any]:
    told: dict[str, Any] = {"summary": example.summary}
    if example.query:
        query = "&".join(f"{name}={value}" for name, value in example.query.items())
        told["description"] = f"Goes with `?{query}`."
    is_text = media == TEXT and not isinstance(example.value, str)
    return told | {"value": orjson.dumps(example.value).decode() if is_text else example.value}
