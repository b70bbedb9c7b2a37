"""What is answered when the application is not: problem+json, as everything else."""

import json
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from gunicorn.http import errors

from server.incoming.arrival import NoRoom

# What HTTP has an own status for; all else that cannot be parsed is 400, but for what we wrote.
STATUSES = {
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
    errors.InvalidResponseHeader: 500,
    errors.InvalidResponseHeaderName: 500,
    errors.ParseException: 400,
    NoRoom: 503,
}
RETRY_AFTER_SECONDS = 5

log = logging.getLogger("gunicorn.error")


def refuse(outbox: Any, peer: Any, error: BaseException) -> int:
    """Answer it and log it (contract, Errors 1 and 3); the status. What a client wrote is not
    repeated at length."""
    # Not at the top: the master, which imports this module, does without the application.
    from melon_api.errors import Example  # noqa: PLC0415
    from melon_api.web.problems import HELP, as_problem, of_status  # noqa: PLC0415

    status = next((s for kind, s in STATUSES.items() if isinstance(error, kind)), 500)
    name, kind = uuid4().hex, of_status(status)
    if status == 500:
        log.error("Error handling request, request_id=%s", name, exc_info=error)
    else:
        ip = peer[0] if peer else ""
        log.warning("Invalid request from ip=%s: %.200r request_id=%s", ip, error, name)
    said = kind.example if status >= 500 else Example(f"{type(error).__name__}: {error!s:.100}")
    body = json.dumps(as_problem(kind, said, name, status)).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Request-ID: {name}\r\n"
        f"Link: {HELP.format(kind.code)}\r\n"
        + (f"Retry-After: {RETRY_AFTER_SECONDS}\r\n" if status == 503 else "")
        + "\r\n"
    )
    with suppress(OSError):  # nobody is there any more
        outbox.sendall(head.encode() + body)
    return status
