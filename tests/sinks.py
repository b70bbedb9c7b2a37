"""Where a service under test reports to: a real HTTP server that keeps all that comes in."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

import brotli
from servers import Server

from melon_api.web.request import API

DEADLINE_SECONDS = 60
PASSWORD, EMAIL = "correct-horse-battery", "ada.lovelace@example.com"
UNPACKERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,  # Flask-Compress brings it, and then Sentry's client uses it
}


@dataclass(frozen=True)
class Arrival:
    """A POST; `body` is unpacked."""

    path: str
    headers: dict[str, str]
    body: bytes


class Sink:
    """Takes every POST, while the `with` lasts."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_port

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = UNPACKERS[self.headers["Content-Encoding"]](body)
                sink.arrivals.append(Arrival(self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_until(self, is_enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_enough():
            assert time.monotonic() < deadline, [a.path for a in self.arrivals]
            time.sleep(0.02)

    def bytes(self) -> bytes:
        """All that came in: paths, headers and bodies."""
        return b"\n".join(
            f"{a.path}\n{json.dumps(a.headers)}\n".encode() + a.body for a in list(self.arrivals)
        )


def sentry_events(sink: Sink) -> list[dict[str, Any]]:
    """The events among the envelopes (develop.sentry.dev/sdk/foundations/envelopes)."""
    events = []
    for arrival in list(sink.arrivals):
        rest = arrival.body.partition(b"\n")[2]
        while rest:
            head, _, rest = rest.partition(b"\n")
            item = json.loads(head)
            length = item["length"]
            if item["type"] == "event":
                events.append(json.loads(rest[:length]))
            rest = rest[length:].removeprefix(b"\n")
    return events


@dataclass
class Phone:
    """Speaks to a server under test; `token` and `user` are those of its registration."""

    server: Server
    token: str = ""
    user: str = ""

    def register(self) -> dict[str, Any]:
        body = {"email": EMAIL, "password": PASSWORD}
        _, answer = self.ask("POST", f"{API}/auth/register", body)
        self.token, self.user = answer["access_token"], answer["user"]["id"]
        return dict(answer)

    def ask(
        self, method: str, path: str, body: Any = None, name: str = "some-request-id"
    ) -> tuple[int, Any]:
        connection = HTTPConnection(urlsplit(self.server.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "X-Request-ID": name}
        headers |= {"Content-Type": "application/json", "Cookie": f"secret={PASSWORD}"}
        with closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(content) if is_json else None
