"""Traces and metrics go to an OpenTelemetry collector (OTEL_EXPORTER_OTLP_ENDPOINT).

Spans of requests, SQL and Redis commands, and how long requests take. The SDK reads its other
settings (headers, sampling, the service's name) from the environment by itself. It is safe to fork
after this (gunicorn's preload): the SDK starts its threads anew in the child, which gets a
`service.instance.id` of its own. At the end of the process it sends what is left.

What leaves is chosen: no SQL parameters, no URLs but the route's pattern, no addresses, and no
messages of exceptions, which quote what people wrote.
"""

from collections.abc import Sequence
from typing import Any

from flask import Flask, g
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.semconv.metrics import MetricInstruments
from opentelemetry.trace import Span, SpanKind, Status

from melon_api.models.base import db

NOT_TRACED = "healthz,readyz,metrics"
# Of the semantic conventions, in their old names and, behind OTEL_SEMCONV_STABILITY_OPT_IN, new
HTTP = {"http.method", "http.status_code", "http.route", "http.target"}
HTTP |= {"http.request.method", "http.response.status_code"}
DATABASE = {"db.system", "db.name", "db.statement", "db.operation"}
DATABASE |= {"db.system.name", "db.namespace", "db.query.text", "db.operation.name"}
SERVER = {"net.peer.name", "net.peer.port", "server.address", "server.port"}
REQUEST_ID, ACCOUNT_ID, ERROR_TYPE = "melon.request_id", "melon.account_id", "error.type"
KEPT = (HTTP | DATABASE | SERVER | {REQUEST_ID, ACCOUNT_ID, ERROR_TYPE}) - {"http.target"}


def init_app(app: Flask) -> None:
    """Trace this application, in front of all that it does, and every Redis client."""
    resource = _resource(app)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(DiscreetExporter(OTLPSpanExporter())))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    views = [
        # The old convention's `http.target` is the route here; a caller chooses `http.host`.
        View(instrument_name="http.server.*", attribute_keys=HTTP),
        View(instrument_name="db.client.*", attribute_keys={"state"}),  # not the database's URL
    ]
    meters = MeterProvider(resource=resource, metric_readers=[reader], views=views)
    trace.set_tracer_provider(tracers)  # for spans of your own
    metrics.set_meter_provider(meters)
    FlaskInstrumentor().instrument_app(  # type: ignore[no-untyped-call]
        app, response_hook=_name_request, excluded_urls=NOT_TRACED, enable_commenter=False
    )
    RedisInstrumentor().instrument()


def trace_sql(app: Flask) -> None:
    """Trace the statements of the application's engine, and count its connections.

    Not by the library's `SQLAlchemyInstrumentor`: it wants greenlet, and SQLAlchemy below 2.1.
    """
    usage = metrics.get_meter(__name__).create_up_down_counter(
        MetricInstruments.DB_CLIENT_CONNECTIONS_USAGE, unit="connections"
    )
    with app.app_context():
        EngineTracer(trace.get_tracer(__name__), db.engine, usage)  # type: ignore[no-untyped-call]


def _resource(app: Flask) -> Resource:
    """Who reports; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    own = {"service.name": "melon-api", "deployment.environment.name": app.config["APP_ENV"]}
    if app.config["RELEASE"]:
        own["service.version"] = app.config["RELEASE"]
    return Resource.create(own).merge(OTELResourceDetector().detect())


def _name_request(span: Span | None, _status: str, _headers: list[Any]) -> None:
    if span is None:
        return
    span.set_attribute(REQUEST_ID, g.get("request_id", "-"))
    if caller := g.get("caller"):
        span.set_attribute(ACCOUNT_ID, caller.user_id)


class DiscreetExporter(SpanExporter):
    """Passes spans on with what is known to hold nothing of people's."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    attributes = {name: v for name, v in (span.attributes or {}).items() if name in KEPT}
    for event in span.events:
        if event.attributes and "exception.type" in event.attributes:
            attributes[ERROR_TYPE] = event.attributes["exception.type"]
    is_nowhere = span.kind is SpanKind.SERVER and "http.route" not in attributes
    return ReadableSpan(
        name="no route" if is_nowhere else span.name,  # the SDK's has the path that was asked for
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
