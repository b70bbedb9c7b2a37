"""deploy/nginx.conf, in front of a real server."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from conftest import missing
from devices import created, project
from living import Live, Person, living
from paas import ROOT
from servers import START_SECONDS, Server, free_port, serving

from melon_api.live.desk import OF_A_SESSION

PATH = f"{os.environ['PATH']}:/usr/sbin"  # Debian has it where only root looks


@pytest.fixture(scope="module")
def front(live_front: tuple[Server, Live, str]) -> str:
    return live_front[2]


@pytest.fixture(scope="module")
def live_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Live, str]]:
    nginx = shutil.which("nginx", path=PATH)
    if not nginx:
        missing("nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    with (
        serving("sqlite", folder, workers=1, TRUSTED_PROXIES="1") as server,
        living(server) as live,
    ):
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        text = text.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
        text = text.replace("127.0.0.1:8001", live.url.removeprefix("http://"))
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
        folders = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = folder / "nginx.conf"
        user = "" if os.geteuid() else "user root;\n"  # or it could not write here
        head = f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        conf.write_text(head + text.replace("http {\n", f"http {{\n{folders}", 1))
        process = subprocess.Popen([str(nginx), "-c", str(conf)])
        try:
            wait_for(port, process, folder / "error.log")
            yield server, live, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(log.read_text() if log.exists() else "nginx does not start")


def test_it_holds_no_event_back(live_front: tuple[Server, Live, str]) -> None:
    """And X-Forwarded-For is the phone's."""
    server, live, front = live_front
    ada = Person(server)
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(Live(front, live.process, live.log)).head() as stream:
        for _ in range(2):
            tablet.push(projects=created(project()))
            assert stream.news(30)


def test_an_address_that_listens_a_lot_syncs_all_the_same(
    live_front: tuple[Server, Live, str],
) -> None:
    """A school's phones: more streams than an address may have other connections."""
    server, live, front = live_front
    conf = (ROOT / "deploy" / "nginx.conf").read_text()
    (most,) = re.findall(r"limit_conn address (\d+);", conf)
    there, ada = Live(front, live.process, live.log), Person(replace(server, url=front))
    with ExitStack() as opened:
        listening = 0
        while listening <= int(most):
            phone = ada.phone()
            phone.pull()
            for _ in range(OF_A_SESSION):
                assert opened.enter_context(phone.listen(there)).head(30).status == 200
            listening += OF_A_SESSION
        ada.first.pull()
        ada.first.push(projects=created(project()))


def test_it_passes_on_what_the_server_says(front: str) -> None:
    assert requests.get(f"{front}/healthz", timeout=30).status_code == 200
    body = {"email": "ada@example.com", "password": "correct-horse-battery"}
    known = requests.post(f"{front}/api/v1/auth/register", json=body, timeout=30)
    assert known.status_code == 201
    headers = {"Authorization": f"Bearer {known.json()['access_token']}"}
    large = [{"id": f"p{n}", "name": "x" * 200} for n in range(5_000)]
    lists = {"created": large, "updated": [], "deleted": []}
    push = {"changes": {"projects": lists}, "lastPulledAt": 0}
    stored = requests.post(f"{front}/api/v1/sync/push", json=push, headers=headers, timeout=60)
    assert stored.status_code == 200
    pull = {"lastPulledAt": None}
    pulled = requests.post(f"{front}/api/v1/sync/pull", json=pull, headers=headers, timeout=60)
    assert len(pulled.json()["changes"]["projects"]["created"]) == len(large)
    unknown = requests.get(f"{front}/nowhere", timeout=30)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("line", ["GET /" + "x" * 70_000, "G\x00T /", "GET / HTTP/9.9\r\nX: \x01"])
def test_its_own_errors_are_no_pages(front: str, line: str) -> None:
    """Contract, Requests 5."""
    port = int(front.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: melon\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    assert "application/problem+json" in answer
    assert "<html" not in answer.lower()
