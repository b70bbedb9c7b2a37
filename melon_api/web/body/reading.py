"""The body of a request as JSON: how long it may be, unpacked, before it becomes values."""

import re
from contextlib import suppress
from typing import Any

import orjson
from flask import current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.wsgi import get_input_stream

from melon_api.errors import BadRequest, MalformedJson, PayloadTooLarge, UnsupportedMediaType
from melon_api.web.body import cost
from melon_api.web.body.unpacking import MAGIC, gunzip

SMALL_BYTES = 1 << 16  # of any call outside /sync (contract, Requests 3)
CHUNK_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HIGH, LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
LONE_SURROGATE = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (HIGH, LOW, HIGH, LOW))


def json_body(*, is_sync: bool = False, has_records: bool = False) -> Any:
    """The request's JSON, of at most SMALL_BYTES; for `is_sync` of MAX_BODY_MIB, and text/plain
    and no type at all are taken as well (contract, Requests 1 to 3). Without records it may hold
    few values.

    Raises UnsupportedMediaType, PayloadTooLarge, MalformedJson, BadRequest, Unavailable.
    """
    kind = request.mimetype
    if not (request.is_json or (is_sync and kind in ("", "text/plain"))):
        raise UnsupportedMediaType(f"Send application/json, not {kind or 'a body without a type'}.")
    limit = current_app.config["MAX_CONTENT_LENGTH"] if is_sync else SMALL_BYTES
    return parse_json(_unpacked(_arrived(limit), limit, has_records))


def has_body() -> bool:
    """Whether the request says that it has one."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _arrived(limit: int) -> bytes:
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


def _unpacked(data: bytes, limit: int, has_records: bool) -> bytes:
    """What a large one costs is bounded here; a small one cannot cost much."""
    if not _is_packed(data):
        is_small = len(data) <= SMALL_BYTES
        return data if is_small else cost.admitted(data, has_records=has_records)
    try:
        return gunzip(data, min(limit, SMALL_BYTES))
    except PayloadTooLarge:
        if limit <= SMALL_BYTES:
            raise
    with cost.one_unpacks():
        return cost.admitted(gunzip(data, limit), has_records=has_records)


def _is_packed(data: bytes) -> bool:
    """By its first bytes as well: React Native on Android drops the header of a body that is no
    string. JSON never begins so."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType(f"Content-Encoding may be gzip, not {encoding}.")
    return encoding.endswith("gzip") or data.startswith(MAGIC)


def parse_json(data: bytes | bytearray) -> Any:
    """JSON as phones send it. Raises MalformedJson."""
    data = data.removeprefix(BYTE_ORDER_MARK)
    if b"\\u" in data:
        with suppress(orjson.JSONDecodeError):  # which holds all of the text, while it is held
            return orjson.loads(data)
        data = _without_halves(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error}.") from None


def _without_halves(data: bytes | bytearray) -> bytearray:
    """JavaScript's strings may hold half an emoji, which UTF-8 cannot; it becomes U+FFFD. In place:
    values made for it, or pieces, would be many times the body."""
    mended = bytearray(data)
    for half in LONE_SURROGATE.finditer(data.replace(rb"\\", b"--")):  # begins no escape
        mended[half.start() : half.end()] = rb"\ufffd"
    return mended
