"""Logs: one line a request, slow SQL, every line with the request's id, nothing that people wrote.

JSON where machines read them (staging, production), short lines on a laptop.
"""

import logging
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bound_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from melon_api import measures
from melon_api.web.request import API

REQUESTS = "melon_api.requests"
log: structlog.stdlib.BoundLogger = structlog.get_logger(REQUESTS)
_requests = logging.getLogger(REQUESTS)
NO_ROUTE = "(none)"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # anybody may invent more


def init_app(app: Flask) -> None:
    """Log to standard error, where a PaaS collects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(is_json=app.config["LOGS_ARE_JSON"]))
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


def _formatter(*, is_json: bool) -> ProcessorFormatter:
    ends: list[structlog.typing.Processor] = [
        ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer() if is_json else _line,
    ]
    return ProcessorFormatter(foreign_pre_chain=_COMMON, processors=ends)


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
    measures.begin_request()


def log_request(response: Response) -> Response:
    """The line of a request, and its measure. Of an unknown address outside the API the first part
    of its path: the rest may be nobody's business (a mail's link that leads here), as a query."""
    facts = measures.request_facts()
    if request.url_rule is None:
        is_ours = request.path.startswith(API)
        facts["path"] = quote(request.path if is_ours else f"/{request.path.split('/')[1]}")
    if "caller" in g:
        facts |= {"account_id": g.caller.user_id, "session_id": g.caller.session_id}
    facts |= {"bytes_in": request.content_length, "bytes_out": response.content_length}
    facts["client"] = request.remote_addr
    route = request.url_rule.rule if request.url_rule else NO_ROUTE
    started = g.get("started", time.perf_counter())
    _log(request.method, route, response.status_code, started, facts)
    return response


def log_answer(method: str, route: str, status: int, started: float, facts: dict[str, Any]) -> None:
    """The same of what was answered outside of Flask; `started` by `time.perf_counter`, `facts`
    with the `request_id` and the `client`."""
    if _requests.isEnabledFor(logging.INFO):
        with bound_contextvars(request_id=facts["request_id"], client=facts["client"]):
            _log(method, route, status, started, facts)
    else:
        _log(method, route, status, started, facts)


def _log(method: str, route: str, status: int, started: float, facts: dict[str, Any]) -> None:
    seconds = time.perf_counter() - started
    measures.answered(method if method in METHODS else "OTHER", route, status, seconds)
    if _requests.isEnabledFor(logging.INFO):
        known = {name: value for name, value in facts.items() if value is not None}
        if "sql_ms" in known:
            known["sql_ms"] = round(known["sql_ms"], 1)
        known |= {"method": method, "route": route, "status": status}
        log.info(f"{method} {route} {status}", ms=round(seconds * 1000, 1), **known)
