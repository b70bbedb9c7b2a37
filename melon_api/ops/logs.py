"""Logs: one line a request, slow SQL, every line with the request's id, nothing that people wrote.

JSON where machines read them (staging, production), short lines on a laptop.
"""

import logging
import time
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

import orjson
import structlog
from flask import Flask, Response, g
from flask.globals import app_ctx, request_ctx
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from melon_api import measures
from melon_api.web.request import API

REQUESTS = "melon_api.requests"
_requests = logging.getLogger(REQUESTS)
NO_ROUTE = "(none)"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # anybody may invent more


def init_app(app: Flask) -> None:
    """Log to standard error, where a PaaS collects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(is_json=app.config["LOGS_ARE_JSON"]))
    logging.getLogger().handlers = [handler]  # the libraries' lines carry the id, too
    logging.getLogger("melon_api").setLevel(app.config["LOG_LEVEL"])
    logging.getLogger("melon_api.audit").setLevel(logging.INFO)  # whatever LOG_LEVEL says
    structlog.configure(
        processors=[*_COMMON, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    app.before_request(start_clock)
    app.after_request(log_request)


def add_request_id(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The id of the request at hand, or behind whose answer this happens; `-` for none."""
    event["request_id"] = structlog.contextvars.get_contextvars().get("request_id", "-")
    return event


_COMMON: list[structlog.typing.Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    add_request_id,
]


class Formatter(ProcessorFormatter):
    """The line of a request is there already but for its shape: structlog's way of making one takes
    longer than all the rest of an idle pull."""

    def __init__(self, *, is_json: bool) -> None:
        ends: list[structlog.typing.Processor] = [
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if is_json else _line,
        ]
        super().__init__(foreign_pre_chain=_COMMON, processors=ends)
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        if record.name != REQUESTS:
            return super().format(record)
        facts: dict[str, Any] = {**cast(dict[str, Any], record.msg)}
        return (
            orjson.dumps(facts, default=str).decode() if self._is_json else _line(None, "", facts)
        )


def _line(_logger: object, _method: str, event: EventDict) -> str:
    """On a laptop: `12:03:04 POST /api/v1/sync/push 200 12 ms request_id=…`; what else happens has
    its facts, what should not its level and its logger. The id is in each (contract Errors 3)."""
    text, level = str(event.pop("event")), event.pop("level")
    if event["logger"] == REQUESTS:
        text = text.replace(NO_ROUTE, str(event.get("path", "")), 1)
        name = f"request_id={event['request_id']}"
        return f"{datetime.now():%H:%M:%S} {text} {event['ms']:.0f} ms {name}"
    trace = event.pop("exception", None)
    is_usual = level in ("info", "debug")
    hidden = ("timestamp", "logger") if is_usual else ("timestamp",)
    facts = [f"{name}={value}" for name, value in event.items() if name not in hidden]
    words = [text] if is_usual else [level.upper(), text]
    line = " ".join([f"{datetime.now():%H:%M:%S}", *words, *facts])
    return f"{line}\n{trace}" if trace else line


def start_clock() -> None:
    g.started = time.perf_counter()
    measures.begin_request(request_ctx.request.environ.pop(measures.FACTS, None))


def log_request(response: Response) -> Response:
    """The line of a request, and its measure. Of an unknown address outside the API the first part
    of its path: the rest may be nobody's business (a mail's link that leads here), as a query."""
    facts = measures.request_facts()
    call, known = request_ctx.request, vars(app_ctx.g)  # looked up once
    if call.url_rule is None:
        is_ours = call.path.startswith(API)
        facts["path"] = quote(call.path if is_ours else f"/{call.path.split('/')[1]}")
    if caller := known.get("caller"):
        facts |= {"account_id": caller.user_id, "session_id": caller.session_id}
    facts |= {
        "request_id": known.get("request_id", "-"),
        "client": call.remote_addr,
        "bytes_in": call.content_length,
        "bytes_out": response.content_length,
    }
    route = call.url_rule.rule if call.url_rule else NO_ROUTE
    started = known.get("started", time.perf_counter())
    log_answer(call.method, route, response.status_code, started, facts)
    return response


def log_answer(method: str, route: str, status: int, started: float, facts: dict[str, Any]) -> None:
    """The line of a request, and its measure; `started` by `time.perf_counter`, `facts` with the
    `request_id` and the `client`."""
    seconds = time.perf_counter() - started
    measures.answered(method if method in METHODS else "OTHER", route, status, seconds)
    if not _requests.isEnabledFor(logging.INFO):
        return
    line = {name: value for name, value in facts.items() if value is not None}
    if "sql_ms" in line:
        line["sql_ms"] = round(line["sql_ms"], 1)
    line |= {
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "event": f"{method} {route} {status}",
        "logger": REQUESTS,
        "level": "info",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    record = logging.LogRecord(REQUESTS, logging.INFO, "", 0, line, None, None)
    _requests.handle(record)
