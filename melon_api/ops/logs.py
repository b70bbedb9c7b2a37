"""Logs: one line a request, every line with the request's id, nothing that people wrote.

JSON where machines read them (staging, production), plain text on a laptop.
"""

import logging
import time
from urllib.parse import quote

import structlog
from flask import Flask, Response, g, request
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

log = logging.getLogger("melon_api.requests")


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
    plain = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False)
    ends: list[structlog.typing.Processor] = [ProcessorFormatter.remove_processors_meta]
    if is_json:
        ends += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        ends += [plain]
    return ProcessorFormatter(foreign_pre_chain=_COMMON, processors=ends)


def start_clock() -> None:
    g.started = time.perf_counter()


def log_request(response: Response) -> Response:
    """The path without its query, which may hold what is nobody's business, and on one line."""
    elapsed_ms = (time.perf_counter() - g.get("started", time.perf_counter())) * 1000
    path = quote(request.path)
    log.info("%s %s %d %.1f ms", request.method, path, response.status_code, elapsed_ms)
    return response
