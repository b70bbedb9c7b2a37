"""Crashes and logged errors go to Sentry (SENTRY_DSN), each of them once, without people's data.

A crash of a request comes by Flask's signal, once from errors.py; whatever else is logged as an
error (mail that cannot be sent, a crash in front of Flask) comes by its log line. What is sent is
chosen, not filtered: an exception's message, a log line's values, headers, bodies and variables
may hold what people wrote, and stay here. The request's id leads to the line in the log.
"""

import logging
from typing import Any

import sentry_sdk
from flask import Flask, g, got_request_exception, has_request_context, request
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import get_contextvars

from melon_api.storage.transactions import error_number

# Sentry's event payloads: https://develop.sentry.dev/sdk/foundations/envelopes/event-payloads/
KEPT = {"event_id", "timestamp", "platform", "level", "logger", "type", "sdk"}
KEPT |= {"release", "environment", "server_name", "contexts", "exception"}
KEPT_OF_EXCEPTION = {"type", "module", "stacktrace", "mechanism"}
KEPT_OF_MECHANISM = {"type", "handled", "exception_id", "parent_id", "is_exception_group"}
# Told by the signal already; and those that speak of a collector which is away.
IGNORED_LOGGERS = ("melon_api.web.problems", "opentelemetry.*")
CONSTANT_LOGGERS = ("melon_api.", "gunicorn.")


def init_app(app: Flask) -> None:
    """Start the client. It sends from a thread of its own, which it starts in each process."""
    sentry_sdk.init(
        dsn=app.config["SENTRY_DSN"],
        release=app.config["RELEASE"],
        environment=app.config["APP_ENV"],
        default_integrations=False,  # of command lines, web clients, installed modules …
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=_say_nothing),
            DedupeIntegration(),
            ExcepthookIntegration(),  # commands: `flask sync purge`
            LoggingIntegration(level=None),
            ThreadingIntegration(propagate_scope=False),
        ],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=without_private_data,
    )
    for name in IGNORED_LOGGERS:
        ignore_logger(name)
    got_request_exception.connect(_capture, app)


def _say_nothing(_pending: int, _timeout: float) -> None:
    """At the end the client would tell the console that it waits for its last events."""


def _capture(_app: Flask, exception: BaseException, **_: Any) -> None:
    event, hint = event_from_exception(
        exception,
        client_options=sentry_sdk.get_client().options,
        mechanism={"type": "flask", "handled": False},
    )
    sentry_sdk.capture_event(event, hint=hint)


def without_private_data(event: Event, hint: Hint) -> Event:
    """The event as it may leave: what is known to be harmless, and who and where, by ids."""
    found: dict[str, Any] = {name: value for name, value in event.items() if name in KEPT}
    found["tags"] = {"request_id": get_contextvars().get("request_id", "-")}
    if "exception" in found:
        found["exception"] = {"values": _exceptions(event, hint)}
    if record := hint.get("log_record"):
        found["logentry"] = {"message": _constant_part(record)}
    if has_request_context():
        found["transaction"] = f"{request.method} {request.url_rule or 'no route'}"
        if caller := g.get("caller"):
            found["user"] = {"id": caller.user_id}
    return found  # type: ignore[return-value]


def _constant_part(record: logging.LogRecord) -> str:
    """A log line before its values are filled in. Other libraries may have filled theirs in."""
    text = record.msg.get("event") if isinstance(record.msg, dict) else record.msg  # structlog's
    return str(text) if record.name.startswith(CONSTANT_LOGGERS) else f"an error of {record.name}"


def _exceptions(event: Event, hint: Hint) -> list[dict[str, Any]]:
    some = []
    for value in event["exception"]["values"]:
        kept = {name: part for name, part in value.items() if name in KEPT_OF_EXCEPTION}
        mechanism = value.get("mechanism") or {}
        kept["mechanism"] = {k: v for k, v in mechanism.items() if k in KEPT_OF_MECHANISM}
        some.append(kept)
    error = (hint.get("exc_info") or (None, None))[1]
    if isinstance(error, DBAPIError) and isinstance(error_number(error), int):
        some[-1]["value"] = str(error_number(error))
    return some
