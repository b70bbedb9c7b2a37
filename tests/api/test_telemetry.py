"""Traces and metrics: the real SDK in a real gunicorn, and a collector that reads its protobuf."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices import created, project, task
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from servers import serving
from sinks import EMAIL, PASSWORD, Phone, Sink

from config import ROOT
from melon_api.web.request import API

TITLE, REQUEST_ID = "My private task", "request-of-the-story"
INTO = re.compile(r"INSERT INTO [`\"]?(\w+)")
PUSH, PULL = f"{API}/sync/push", f"{API}/sync/pull"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def settings(sink: Sink, **more: str) -> dict[str, str]:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=the-license-key",
        "OTEL_RESOURCE_ATTRIBUTES": "team=melon",
        "GIT_REV": "c0ffee",
    }
    return environ | {"PYTHONPATH": str(ROOT / "tests"), **more}


def values(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def spans(sink: Sink) -> list[tuple[Span, dict[str, Any]]]:
    """Every span, with the attributes of the process that it came from."""
    found = []
    for arrival in list(sink.arrivals):
        if arrival.path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(arrival.body).resource_spans:
                process = values(group.resource.attributes)
                found += [(s, process) for scope in group.scope_spans for s in scope.spans]
    return found


def metrics(sink: Sink) -> dict[str, Any]:
    found = {}
    for arrival in list(sink.arrivals):
        if arrival.path == "/v1/metrics":
            for group in ExportMetricsServiceRequest.FromString(arrival.body).resource_metrics:
                found |= {m.name: m for scope in group.scope_metrics for m in scope.metrics}
    return found


def workers(sink: Sink) -> set[str]:
    return {process["service.instance.id"] for _, process in spans(sink)}


def story(phone: Phone) -> dict[str, Any]:
    tokens = phone.register()
    home = project(name=TITLE)
    changes = {"projects": created(home), "tasks": created(task(home["id"], title=TITLE))}
    status, _ = phone.ask("POST", PUSH, {"changes": changes, "lastPulledAt": None}, REQUEST_ID)
    assert status == 200
    for path in (f"{PULL}?last_pulled_at=0&token={PASSWORD}", f"/nothing/{PASSWORD}", "/healthz"):
        phone.ask("GET", path)
    body = {"password": PASSWORD, "email": EMAIL}
    assert phone.ask("POST", f"{API}/fail/database", body)[0] == 500
    return tokens


def assert_discreet(sink: Sink, tokens: dict[str, Any]) -> None:
    said = sink.bytes()
    secrets = [PASSWORD, EMAIL, EMAIL.partition("@")[0], TITLE, "last_pulled_at", "Cookie"]
    secrets += [tokens["access_token"], tokens["refresh_token"], "Bearer"]
    assert not [secret for secret in secrets if secret.encode() in said]
    assert not re.findall(rb"[\w.]+@example", said)


@pytest.mark.parametrize(
    ("backend", "preload"),
    [("sqlite", ""), ("mariadb+redis", ""), ("mariadb+redis", "--preload"), ("mysql", "")],
)
def test_a_push_is_told_with_its_sql(
    sink: Sink, tmp_path: Path, backend: str, preload: str
) -> None:
    """All that is left goes out at the stop, from workers that were forked."""
    environ = settings(sink, GUNICORN_CMD_ARGS=preload)
    with serving(backend, tmp_path, 1, application="crashing:app", **environ) as server:
        phone = Phone(server)
        tokens = story(phone)
    found = spans(sink)
    (push, process) = next((s, p) for s, p in found if s.name == f"POST {PUSH}")
    assert push.kind == Span.SPAN_KIND_SERVER
    facts = values(push.attributes)
    assert (facts["http.route"], facts["http.status_code"]) == (PUSH, 200)
    assert (facts["melon.request_id"], facts["melon.account_id"]) == (REQUEST_ID, phone.user)
    assert (process["service.name"], process["service.version"]) == ("melon-api", "c0ffee")
    assert (process["deployment.environment.name"], process["team"]) == ("testing", "melon")
    below = [s for s, _ in found if s.trace_id == push.trace_id and s is not push]
    statements = [values(s.attributes).get("db.statement", "") for s in below]
    assert {"projects", "tasks"} <= {table for text in statements for table in INTO.findall(text)}
    assert ("redis" in backend) == any(values(s.attributes)["db.system"] == "redis" for s in below)
    assert_discreet(sink, tokens)
    assert {a.headers["api-key"] for a in sink.arrivals} == {"the-license-key"}
    names = {s.name for s, _ in found if s.kind == Span.SPAN_KIND_SERVER}
    assert names == {f"POST {API}/auth/register", f"POST {PUSH}", f"GET {PULL}", "no route"} | {
        f"POST {API}/fail/<how>"
    }


def test_a_failed_statement_is_told_without_what_the_driver_quotes(
    sink: Sink, tmp_path: Path
) -> None:
    with serving("mariadb", tmp_path, 1, application="crashing:app", **settings(sink)) as server:
        tokens = story(Phone(server))
    (failed,) = (s for s, _ in spans(sink) if s.kind == Span.SPAN_KIND_CLIENT and s.status.code)
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert values(failed.attributes)["db.statement"].startswith("INSERT INTO users SELECT")
    assert failed.status.message == ""
    assert_discreet(sink, tokens)


def test_workers_tell_their_metrics_apart(sink: Sink, tmp_path: Path) -> None:
    """How long requests take, by route and status alone: a caller cannot add to the labels."""
    often = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    environ = settings(sink, GUNICORN_CMD_ARGS="--preload", **often)
    with serving("sqlite", tmp_path, application="crashing:app", **environ) as server:
        phone = Phone(server)
        tokens = story(phone)
        sink.wait_until(lambda: phone.ask("GET", f"{API}/users/me") and len(workers(sink)) == 2)
        sink.wait_until(lambda: "http.server.duration" in metrics(sink))
    duration = metrics(sink)["http.server.duration"]
    labels = {frozenset(values(point.attributes)) for point in duration.histogram.data_points}
    assert frozenset(["http.method", "http.status_code", "http.target"]) in labels
    assert labels <= {
        frozenset(["http.method", "http.status_code", "http.target"]),
        frozenset(["http.method", "http.status_code"]),
    }
    usage = metrics(sink)["db.client.connections.usage"].sum.data_points
    assert {tuple(values(point.attributes)) for point in usage} == {("state",)}
    assert_discreet(sink, tokens)
