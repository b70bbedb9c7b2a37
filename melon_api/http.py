"""What every route shares: the request's id, its body, the headers of an answer."""

import json
import re
import uuid
import zlib
from typing import Any

import orjson
from flask import Flask, Response, current_app, g, request

from melon_api.errors import (
    BadRequest,
    MalformedJson,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMediaType,
)

API = "/api/v1"
REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
JSON_TYPES = ("application/json", "application/problem+json")
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def init_app(app: Flask) -> None:
    app.before_request(name_request)
    app.before_request(check_accept)
    app.after_request(complete_answer)


def name_request() -> None:
    """The caller's `X-Request-ID` when it is a decent one, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def check_accept() -> None:
    """The API speaks JSON; a client that takes none of it is told so. Raises NotAcceptable."""
    if not request.path.startswith(API) or not request.headers.get("Accept"):
        return
    if not any(request.accept_mimetypes[kind] for kind in JSON_TYPES):
        raise NotAcceptable("This server answers application/json only.")


def complete_answer(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "")
    response.headers["Cache-Control"] = "no-store"
    return response


def json_body(*, any_type: bool = False) -> Any:
    """The request's JSON; `any_type` also takes text/plain and no type at all (contract).

    Raises UnsupportedMediaType, PayloadTooLarge, MalformedJson, BadRequest.
    """
    kind = request.mimetype
    if not (request.is_json or (any_type and kind in ("", "text/plain"))):
        raise UnsupportedMediaType(f"Send application/json, not {kind or 'a body without a type'}.")
    return parse_json(_unpacked(request.get_data(cache=False)))


def parse_json(data: bytes) -> Any:
    """JSON as phones send it. Raises MalformedJson."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _parse_lenient(data, error)


def _parse_lenient(data: bytes, reason: orjson.JSONDecodeError) -> Any:
    """JavaScript's strings may hold half an emoji, which UTF-8 cannot; it becomes U+FFFD."""
    if b"\\u" not in data:
        raise MalformedJson(f"The body is not JSON: {reason}.")
    try:
        text = json.dumps(json.loads(data, parse_constant=_refuse_constant), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise MalformedJson(f"The body is not JSON: {reason}.") from None
    return orjson.loads(LONE_SURROGATE.sub("\ufffd", text))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unpacked(data: bytes) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType(f"Content-Encoding may be gzip, not {encoding}.")
    return gunzip(data, current_app.config["MAX_CONTENT_LENGTH"])


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpack at most `limit` bytes (RFC 1952, several members too).

    Raises PayloadTooLarge before more than that is in memory, BadRequest when it is not gzip.
    """
    parts: list[bytes] = []
    room = limit
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(data, room + 1)
        except zlib.error as error:
            raise BadRequest(f"The body is not gzip: {error}.") from None
        room -= len(part)
        if room < 0:
            raise PayloadTooLarge(f"The body unpacks to more than {limit} bytes.")
        if not unpacker.eof:
            raise BadRequest("The gzip body ends too early.")
        parts.append(part)
        data = unpacker.unused_data
    return b"".join(parts)
