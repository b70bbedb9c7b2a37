"""SQL in the log: with LOG_SQL every statement, and always one that took SLOW_SQL_MS or longer.

Its text only. Values are parameters, and people's.
"""

import logging
import time
from typing import Any

import structlog
from flask import Flask
from sqlalchemy import event

from melon_api import measures
from melon_api.models.base import db

log: structlog.stdlib.BoundLogger = structlog.get_logger("melon_api.sql")
MOST_CHARACTERS = 1_000


def init_app(app: Flask) -> None:
    """Listen to the application's engine."""
    slow_s = app.config["SLOW_SQL_MS"] / 1000
    if app.config["LOG_SQL"]:
        logging.getLogger("melon_api.sql").setLevel(logging.INFO)

    def begin(
        _connection: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _: Any
    ) -> None:
        context.melon_started = time.perf_counter()

    def end(_connection: Any, _cursor: Any, sql: str, _: Any, context: Any, _many: bool) -> None:
        seconds = time.perf_counter() - context.melon_started
        measures.statement(seconds)
        if seconds >= slow_s:
            log.warning("slow statement", ms=round(seconds * 1000, 1), sql=_short(sql))
        elif app.config["LOG_SQL"]:
            log.info("statement", ms=round(seconds * 1000, 1), sql=_short(sql))

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", begin)
        event.listen(db.engine, "after_cursor_execute", end)


def _short(statement: str) -> str:
    return " ".join(statement[:MOST_CHARACTERS].split())
