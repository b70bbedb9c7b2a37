"""What every route shares: the request's id, its body, the headers of an answer."""

import json
import re
import uuid
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from structlog.contextvars import bind_contextvars, clear_contextvars
from werkzeug.wsgi import get_input_stream

from melon_api.errors import (
    BadRequest,
    MalformedJson,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMediaType,
)

API = "/api/v1"
REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
JSON_TYPES = {"application/json", "application/problem+json", "application/*", "*/*"}
# What phones send, fetch and axios among them; all of it takes JSON.
PLAIN_ACCEPTS = {None, "*/*", "application/json", "application/json, text/plain, */*"}
CHUNK_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def init_app(app: Flask) -> None:
    app.before_request(name_request)
    app.teardown_request(forget_request)
    app.before_request(check_accept)
    app.after_request(complete_answer)


def request_id(environ: Mapping[str, Any]) -> str:
    """The caller's `X-Request-ID` when it is a decent one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def name_request() -> None:
    g.request_id = request_id(request.environ)
    bind_contextvars(request_id=g.request_id, client=request.remote_addr)


def forget_request(_error: BaseException | None) -> None:
    """The thread may do something else next."""
    clear_contextvars()


def check_accept() -> None:
    """The API speaks JSON; a client that takes none of it is told so. Raises NotAcceptable."""
    if request.environ.get("HTTP_ACCEPT") in PLAIN_ACCEPTS:
        return
    if request.routing_exception or not request.path.startswith(API):
        return
    named = [(k.partition(";")[0].strip().lower(), q) for k, q in request.accept_mimetypes]
    if any(kind for kind, _ in named) and not {kind for kind, q in named if q} & JSON_TYPES:
        raise NotAcceptable


def complete_answer(response: Response) -> Response:
    if response.status_code >= 400:
        _drain_body()
    response.headers["X-Request-ID"] = g.get("request_id", "")
    response.headers["Cache-Control"] = "no-store"
    return response


def _drain_body() -> None:
    """Take in what is left of a refused request: gunicorn closes a connection with unread data, and
    a phone in the middle of its upload would see that instead of the error."""
    if not request.environ.get("wsgi.input_terminated"):
        return  # only gunicorn's stream knows its own end
    left = 2 * current_app.config["MAX_CONTENT_LENGTH"]
    stream = request.environ["wsgi.input"]
    with suppress(OSError, ParseException):
        while left > 0 and (chunk := stream.read(CHUNK_BYTES)):
            left -= len(chunk)


def json_body(*, any_type: bool = False) -> Any:
    """The request's JSON; `any_type` also takes text/plain and no type at all (contract).

    Raises UnsupportedMediaType, PayloadTooLarge, MalformedJson, BadRequest.
    """
    kind = request.mimetype
    if not (request.is_json or (any_type and kind in ("", "text/plain"))):
        raise UnsupportedMediaType(f"Send application/json, not {kind or 'a body without a type'}.")
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    return parse_json(_unpacked(_body(limit), limit))


def _body(limit: int) -> bytes:
    """The whole body, as it was sent; a shorter one than announced is refused, not parsed."""
    announced = request.content_length
    if announced is not None and announced > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    stream = get_input_stream(request.environ)
    parts, size = [], 0
    try:
        while size <= limit and (part := stream.read(CHUNK_BYTES)):
            parts.append(part)
            size += len(part)
    except (OSError, ParseException) as error:
        raise BadRequest(f"The body did not arrive: {type(error).__name__}.") from None
    if size > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    if announced is not None and size < announced:
        raise BadRequest("The body is shorter than its Content-Length.")
    return b"".join(parts)


def parse_json(data: bytes) -> Any:
    """JSON as phones send it. Raises MalformedJson."""
    data = data.removeprefix(BYTE_ORDER_MARK)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b"\\u" not in data:
            raise MalformedJson(f"The body is not JSON: {error}.") from None
        return _parse_lenient(data, error)


def _parse_lenient(data: bytes, reason: orjson.JSONDecodeError) -> Any:
    """JavaScript's strings may hold half an emoji, which UTF-8 cannot; it becomes U+FFFD."""
    try:
        text = json.dumps(json.loads(data, parse_constant=_refuse_constant), ensure_ascii=False)
        return orjson.loads(LONE_SURROGATE.sub("\ufffd", text))
    except (ValueError, RecursionError):
        raise MalformedJson(f"The body is not JSON: {reason}.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unpacked(data: bytes, limit: int) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType(f"Content-Encoding may be gzip, not {encoding}.")
    return gunzip(data, limit)


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpack at most `limit` bytes of one gzip member, as clients send it (RFC 1952).

    Raises PayloadTooLarge before much more than that is in memory, BadRequest when it is not gzip.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}.") from None
    if len(unpacked) > limit:
        raise PayloadTooLarge(f"The body unpacks to more than {limit} bytes.")
    if not unpacker.eof:
        raise BadRequest("The gzip body ends too early.")
    if unpacker.unused_data:
        raise BadRequest("The gzip body has something behind its end.")
    return unpacked
