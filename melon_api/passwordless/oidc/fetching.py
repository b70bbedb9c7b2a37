"""JSON from a provider: https, no redirects, bounded in time and size."""

import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from melon_api.passwordless.oidc.provider import is_safe

SECONDS, MOST_BYTES = 5, 1 << 19
CHUNK = 1 << 16


class NotFetched(Exception):
    """No good answer came; the message says why, and holds nothing that was sent."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def get(url: str, *, loopback: bool) -> dict[str, Any]:
    """A JSON object. `loopback`: this machine may be asked by http. Raises NotFetched."""
    return _parsed(_answer(url, None, loopback))


def post(url: str, form: dict[str, str], *, loopback: bool) -> dict[str, Any]:
    """The same for a form (RFC 6749 §3.2); an answer without a body is an empty one."""
    return _parsed(_answer(url, urlencode(form).encode(), loopback) or b"{}")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotFetched("the answer is no JSON") from None
    if not isinstance(found, dict):
        raise NotFetched("the answer is no JSON object")
    return found


def _answer(url: str, body: bytes | None, loopback: bool) -> bytes:
    if not is_safe(url, loopback=loopback):
        raise NotFetched("its address is not https")
    headers = {"Accept": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - is_safe
    try:
        with _opener.open(request, timeout=SECONDS) as answer:
            return _read(answer, time.monotonic() + SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotFetched(f"it answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise NotFetched(type(error).__name__) from None


def _read(answer: Any, end: float) -> bytes:
    parts, size = [], 0
    while part := answer.read1(CHUNK):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise NotFetched(f"the answer is more than {MOST_BYTES} bytes")
        if time.monotonic() > end:
            raise NotFetched(f"the answer took more than {SECONDS} s")
    return b"".join(parts)
