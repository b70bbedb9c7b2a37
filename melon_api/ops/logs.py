"""Logs: one line a request, every line with the request's id, nothing that people wrote."""

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, g, has_request_context, request

FORMAT = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
log = logging.getLogger("melon_api.requests")


class WithRequestId(logging.Filter):
    """Puts the id of the request at hand on a record, `-` outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = g.get("request_id", "-") if has_request_context() else "-"
        return True


def init_app(app: Flask) -> None:
    """Log to standard error, where a PaaS collects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(WithRequestId())
    logging.getLogger().handlers = [handler]  # the libraries' lines carry the id, too
    logging.getLogger("melon_api").setLevel(app.config["LOG_LEVEL"])
    app.before_request(start_clock)
    app.after_request(log_request)


def start_clock() -> None:
    g.started = time.perf_counter()


def log_request(response: Response) -> Response:
    """The path without its query, which may hold what is nobody's business, and on one line."""
    elapsed_ms = (time.perf_counter() - g.get("started", time.perf_counter())) * 1000
    path = quote(request.path)
    log.info("%s %s %d %.1f ms", request.method, path, response.status_code, elapsed_ms)
    return response
