"""What an operator sees: `/metrics` of several workers, scraped by a real Prometheus, and whether
the alerts and the dashboard ask for what there is."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app, missing
from devices import API, PASSWORD, new_id, project
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from servers import PrivateRedis, Server, free_port, serving

from config import ROOT

DEPLOY = ROOT / "deploy"
TOKEN = "for-prometheus-only"
PATIENCE_SECONDS = 60
# Nothing is told of what has not happened yet.
MAY_BE_EMPTY = ("melon_transaction_retries_total", "sign_in_failed", "refresh_token_reused")
MAY_BE_EMPTY += ("melon_live_event_seconds",)  # the live process's


def ask(server: Server, method: str, path: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def metrics(server: Server) -> dict[str, float]:
    """`name{label=value,…}`: value, of all workers."""
    request = urllib.request.Request(f"{server.url}/metrics")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    with PrivateRedis() as redis:
        settings = {"REDIS_URL": redis.url, "METRICS_TOKEN": TOKEN}
        with serving("mariadb", folder, workers=3, **settings) as server:
            yield server


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """Of a phone that has pushed, and pulled in every way."""
    email = f"{new_id()}@example.com"
    signed_in = ask(server, "POST", f"{API}/auth/register", {"email": email, "password": PASSWORD})
    phone: str = signed_in["access_token"]
    changes = {"projects": {"created": [project(), project()], "updated": [], "deleted": []}}
    ask(server, "POST", f"{API}/sync/push", {"changes": changes, "lastPulledAt": 0}, phone)
    first = ask(server, "POST", f"{API}/sync/pull", {"lastPulledAt": None}, phone)
    ask(server, "POST", f"{API}/sync/pull", {"lastPulledAt": first["timestamp"] - 60_000}, phone)
    body = {"lastPulledAt": first["timestamp"], "replacement": True}
    ask(server, "POST", f"{API}/sync/pull", body, phone)
    with suppress(urllib.error.HTTPError):
        ask(server, "GET", "/nowhere")  # so that there is an error to be told
    return phone


def test_all_workers_are_counted_together(server: Server, token: str) -> None:
    """Contract, Service 3."""
    name = f"melon_request_seconds_count{{method=GET,route={API}/users/me,status=200}}"
    before = metrics(server).get(name, 0)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, server, "GET", f"{API}/users/me", None, token) for _ in range(60)]
        assert all(answer.result()["id"] for answer in asked)
    assert metrics(server)[name] - before == 60


def test_what_a_dead_worker_counted_is_not_lost(server: Server, token: str) -> None:
    counted = "melon_records_pushed_total{}"
    before = metrics(server)[counted]
    assert before >= 2
    for pid in _workers(server):
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while pid in _workers(server) or len(_workers(server)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    ask(server, "GET", f"{API}/users/me", None, token)
    assert metrics(server)[counted] == before


def _workers(server: Server) -> set[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {int(pid) for pid in children}


def test_what_phones_do_is_told(server: Server, token: str) -> None:
    told = metrics(server)
    for kind in ("first", "incremental", "replacement"):
        assert told[f"melon_pulls_total{{kind={kind}}}"] >= 1
    assert told["melon_records_pulled_total{}"] >= 6
    assert told["melon_push_records_count{}"] >= 1
    assert told["melon_clock_wait_seconds_count{}"] >= 1
    assert told["melon_password_hash_seconds_count{}"] >= 1
    assert told["melon_account_events_total{event=account_registered}"] >= 1
    assert told["melon_statements_total{}"] > 5
    assert told["melon_events_waiting{}"] == told["melon_events_set_aside{}"] == 0
    assert told["melon_database_connections{}"] == 0
    assert told["melon_database_connections_limit{}"] >= 3


@pytest.mark.parametrize(("given", "status"), [("", 401), ("wrong", 401), (TOKEN, 200)])
def test_metrics_want_their_token(server: Server, given: str, status: int) -> None:
    """Contract, Service 3."""
    request = urllib.request.Request(f"{server.url}/metrics")
    if given:
        request.add_header("Authorization", f"Bearer {given}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = answer.status
    except urllib.error.HTTPError as error:
        with error:
            found = error.code
    assert found == status


def test_production_tells_nobody_without_a_token(tmp_path: Path) -> None:
    """Contract, Service 3."""
    app = make_app(environment("sqlite", f"sqlite:///{tmp_path}/m.db"), tmp_path)
    assert app.test_client().get("/metrics").status_code == 200
    app.config["METRICS_ARE_OPEN"] = False
    assert app.test_client().get("/metrics").status_code == 404


def test_odd_requests_make_no_series_of_their_own(plain_app: Flask) -> None:
    client = plain_app.test_client()
    client.open("/nowhere/at/all", method="FOO")
    client.get("/nowhere/else")
    text = client.get("/metrics").text
    assert "nowhere" not in text
    assert "FOO" not in text


def test_promtool_likes_the_alerts_and_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool")
        return
    config = _configuration(tmp_path, "127.0.0.1:1")
    subprocess.run([promtool, "check", "config", str(config)], check=True, capture_output=True)


def test_every_alert_has_its_line_for_the_one_who_is_woken() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    alerts = [
        line.split("alert: ")[1]
        for line in (DEPLOY / "alerts.yml").read_text().splitlines()
        if "alert: " in line
    ]
    assert len(alerts) == 14
    assert not [alert for alert in alerts if f"`{alert}`" not in page]


def test_a_real_prometheus_has_an_answer_to_every_panel_and_alert(
    server: Server, token: str, tmp_path: Path
) -> None:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) > 15
    with _prometheus(tmp_path, server) as url:
        _eventually(lambda: _query(url, "up{job='melon'}") == ["1"])
        ask(server, "POST", f"{API}/sync/pull", {"lastPulledAt": None}, token)
        rate = "rate(melon_request_seconds_count[1m])"
        _eventually(lambda: any(float(value) > 0 for value in _query(url, rate)))
        told = {expr: _query(url, expr.replace("$__rate_interval", "1m")) for expr in asked}
        silent = [e for e, values in told.items() if not values]
        assert not [e for e in silent if not any(name in e for name in MAY_BE_EMPTY)]
        rules = _get(url, "/api/v1/rules")["groups"][0]["rules"]
        _eventually(lambda: all(r["health"] == "ok" for r in _rules(url)))
        assert len(rules) == 14
        assert [r["name"] for r in _rules(url) if r["state"] == "firing"] == []


def _rules(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _get(url, "/api/v1/rules")["groups"][0]["rules"]
    return found


@contextmanager
def _prometheus(folder: Path, server: Server) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        missing("prometheus")
        pytest.skip("no prometheus")
    config = _configuration(folder, urllib.parse.urlsplit(server.url).netloc)
    port = free_port()
    command = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with (folder / "prometheus.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _configuration(folder: Path, target: str) -> Path:
    """deploy/'s own, with this target, and impatient."""
    text = (DEPLOY / "prometheus.yml").read_text()
    assert text.count("127.0.0.1:8000") == 1
    text = text.replace("127.0.0.1:8000", target).replace("15s", "1s")
    (folder / "metrics_token").write_text(TOKEN)
    shutil.copy(DEPLOY / "alerts.yml", folder)
    config = folder / "prometheus.yml"
    config.write_text(text)
    return config


def _query(url: str, expr: str) -> list[str]:
    answer = _get(url, f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
    return [series["value"][1] for series in answer["result"]]


def _get(url: str, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=60) as answer:
            return json.loads(answer.read())["data"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read()) from None
    except OSError:
        return {"result": [], "groups": [{"rules": []}]}  # it is not up yet


def _eventually(is_so: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
