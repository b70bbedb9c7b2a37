"""The server under test: its requests, its processes, and what was found out about it."""

import json
import time
from urllib.parse import urlsplit

from benchmarks.driver.processes import ProcessTree
from benchmarks.driver.wire import Connection, Failed


class Server:
    def __init__(self, name: str, base_url: str, pid: int | None = None) -> None:
        url = urlsplit(base_url if "://" in base_url else f"http://{base_url}")
        if url.scheme != "http" or url.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise SystemExit(f"{base_url}: only http on loopback is measured")
        self.name = name
        self.host = url.hostname
        self.port = url.port or 80
        self.prefix = url.path.rstrip("/") or "/api/v1"
        self.tree = ProcessTree(pid) if pid else None
        self.hard_deadline = time.monotonic() + 3600
        self.state: dict = {}
        self.samples: dict[str, list[float]] = {}
        self.problems: list[str] = []
        self.errors: dict[str, dict[str, int]] = {}
        self.info: dict[str, object] = {}

    def connection(self) -> Connection:
        return Connection(self.host, self.port)

    def build(self, method: str, path: str, body: object = None, token: str | None = None) -> bytes:
        data = b""
        if body is not None:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        head = f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
        head += "Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: bench\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        elif method == "POST":
            head += "Content-Length: 0\r\n"
        return head.encode() + b"\r\n" + data

    def timeout(self) -> float:
        return max(1.0, min(60.0, self.hard_deadline - time.monotonic()))

    def call(
        self,
        connection: Connection,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
    ) -> tuple[object, float]:
        """One request; the time is only the wire's and the server's, not that of our JSON."""
        status, data, seconds = connection.send(
            self.build(method, path, body, token), self.timeout()
        )
        if status >= 300:
            raise Failed(f"{method} {path}: {status} {data[:300].decode(errors='replace')}")
        self.info["last_size"] = len(data)
        return (json.loads(data) if data else None), seconds

    def record(self, key: str, value: float) -> None:
        self.samples.setdefault(key, []).append(value)

    def problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < 20:
            self.problems.append(text)
