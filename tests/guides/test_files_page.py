"""docs/files.md is followed to the letter, in a copy, beside a storage that checks signatures."""

import sys
from pathlib import Path

from copies import copied, run
from own_tables_page import named_block

PAGE = "files.md"
CONFTEST = '''"""The storage: what is put is got, by an address that it signs alike."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from minio.credentials import Credentials
from minio.signer import presign_v4

pytest_plugins = ["melon_api.testing"]
KEYS = Credentials("a key", "a secret")


@pytest.fixture(scope="session")
def melon_settings() -> dict[str, str]:
    return {"MELON_APP": __name__.removesuffix(".tests.conftest")}


class Storage(BaseHTTPRequestHandler):
    held: dict[str, bytes] = {}

    def is_signed(self) -> bool:
        there = urlsplit(f"http://{self.headers['Host']}{self.path}")
        given = {name: values[0] for name, values in parse_qs(there.query).items()}
        if "X-Amz-Signature" not in given:
            return False
        made = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        bare, lasts = there._replace(query=""), int(given["X-Amz-Expires"])
        ours = presign_v4(
            method=self.command, url=bare, region="eu", credentials=KEYS, date=made, expires=lasts
        )
        return lasts == 600 and f"X-Amz-Signature={given['X-Amz-Signature']}" in ours.query

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_signed():
            return self.answer(403)
        self.held[urlsplit(self.path).path] = body
        return self.answer(200)

    def do_GET(self) -> None:
        found = self.held.get(urlsplit(self.path).path)
        if not self.is_signed():
            return self.answer(403)
        return self.answer(404) if found is None else self.answer(200, found)

    def do_DELETE(self) -> None:
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return self.answer(403)
        self.held.pop(urlsplit(self.path).path, None)
        return self.answer(204)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        names = {"HOST": f"127.0.0.1:{server.server_port}", "BUCKET": "photos", "TLS": "off"}
        names |= {"KEY": KEYS.access_key, "SECRET": KEYS.secret_key, "REGION": "eu"}
        for name, value in names.items():
            monkeypatch.setenv(f"FILES_{name}", value)
        Storage.held.clear()
        yield Storage.held
        server.shutdown()
'''
TESTS = """
import requests

from app.models import Photo, Project, Task

PATH = "/photos/{}/{}"


def a_photo(ada):
    home = ada.create(Project, name="Home")
    task = ada.create(Task, title="Paint", project_id=home.id)
    photo = ada.create(Photo, task_id=task.id, content_type="image/jpeg")
    return task, photo


def test_the_bytes_travel_past_the_server(phone, held):
    ada, tablet = phone("ada"), phone("ada", "tablet")
    _, photo = a_photo(ada)
    assert ada.call("POST", PATH.format(photo.id, "upload")).status_code == 404
    ada.sync()
    url = ada.call("POST", PATH.format(photo.id, "upload")).json["url"]
    assert requests.put(url, b"\\xff\\xd8 bytes", timeout=30).status_code == 200
    ada.update(photo, is_uploaded=True)
    ada.sync()
    tablet.sync()
    assert tablet.get(Photo, photo.id)["is_uploaded"]
    url = tablet.call("POST", PATH.format(photo.id, "download")).json["url"]
    assert requests.get(url, timeout=30).content == b"\\xff\\xd8 bytes"
    assert requests.put(url, b"other bytes", timeout=30).status_code == 403


def test_others_get_no_address(phone, held):
    ada, eve = phone("ada"), phone("eve")
    _, photo = a_photo(ada)
    ada.sync()
    for what in ("upload", "download"):
        assert eve.call("POST", PATH.format(photo.id, what)).status_code == 404
        nobody = {"Authorization": "Bearer x.y.z"}
        assert eve.call("POST", PATH.format(photo.id, what), headers=nobody).status_code == 401
        ada.call("POST", PATH.format(photo.id, what))
    token = ada.access_token
    assert ada.call("POST", "/auth/logout").status_code == 204
    revoked = {"Authorization": f"Bearer {token}"}
    assert eve.call("POST", PATH.format(photo.id, "upload"), headers=revoked).status_code == 401


def test_what_is_deleted_with_its_task_goes_from_the_storage(phone, held, events):
    ada = phone("ada")
    task, photo = a_photo(ada)
    ada.sync()
    url = ada.call("POST", PATH.format(photo.id, "upload")).json["url"]
    requests.put(url, b"bytes", timeout=30)
    assert len(held) == 1
    ada.delete(task)
    ada.sync()
    events()
    assert held == {}
"""


def test_photos_go_past_the_server(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    app, tests = copy / "app", copy / "app" / "tests"
    models = app / "models.py"
    models.write_text(f"{models.read_text()}\n\n{named_block(PAGE, 'models')}")
    for name in ("files", "routes", "jobs"):
        (app / f"{name}.py").write_text(named_block(PAGE, name))
    flask = ("flask", "--app", "wsgi", "db")
    run(copy, *flask, "upgrade")
    run(copy, *flask, "migrate", "-m", "Photos")
    tests.mkdir()
    (tests / "__init__.py").touch()
    (tests / "conftest.py").write_text(CONFTEST)
    (tests / "test_files.py").write_text(TESTS)
    options = ["app/tests", "-p", "no:xdist", "-p", "no:cacheprovider"]
    assert "3 passed" in run(copy, sys.executable, "-m", "pytest", *options)
