"""The live process beside a server, and who listens to it over a plain connection."""

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import forks
from devices import API, PASSWORD, holds_a_secret, new_id, note_tokens
from servers import KEPT, START_SECONDS, Server, free_port

from config import ROOT

PATH = f"{API}/sync/live"
STOP_SECONDS = 15


@dataclass
class Live:
    url: str
    process: forks.Process
    log: Path

    def stop(self) -> float:
        """SIGTERM, and how many seconds it took."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - started

    def get(self, path: str) -> tuple[int, bytes]:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.status, answer.read()


@contextmanager
def living(
    server: Server, module: str = "melon_api.live", port: int | None = None, **more_env: str
) -> Iterator[Live]:
    """`python -m melon_api.live` with the server's own settings."""
    port = port or free_port()
    log = server.log.with_name(f"live.{port}.log")
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    place = {"HOST": "127.0.0.1", "PORT": str(port)}
    with log.open("wb") as output:
        process = forks.start(
            module,
            cwd=ROOT,
            environ=shell | server.environ | place | more_env,
            output=output,
            errors=output,
        )
    live = Live(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_up(live)
        yield live
        told = log.read_text(errors="replace")
        assert not holds_a_secret(told), "a secret is in the log"
        assert "Traceback" not in told, told[-4_000:]
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)


def _wait_until_up(live: Live) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            assert live.get("/healthz") == (200, b'{"status":"ok"}')
            return
        except OSError:
            said = live.log.read_text(errors="replace")
            if live.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"live does not serve:\n{said[-4_000:]}") from None
            time.sleep(0.05)


class Listener:
    """One connection to the live process, of which the answer is read as it comes."""

    def __init__(self, live: Live, token: str | None, query: str = "", **headers: str) -> None:
        place = urlsplit(live.url)
        self.line = socket.create_connection((place.hostname, place.port), timeout=20)
        lines = [f"GET {PATH}{query} HTTP/1.1", "Host: melon"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._came = b""
        self.status, self.headers = 0, dict[str, str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def head(self, seconds: float = 10) -> Self:
        """Returns when the answer has begun."""
        self._until(b"\r\n\r\n", seconds)
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        return self

    def news(self, seconds: float = 5) -> bool:
        """Whether an event comes within so many seconds; one is taken."""
        return self._took(b"event: news\ndata: {}\n\n", seconds)

    def comment(self, seconds: float) -> bool:
        return self._took(b"\n:\n\n", seconds)

    def ends(self, seconds: float) -> bool:
        """Whether the server closes the connection, or ends its answer, within so many seconds."""
        try:
            self._until(b"\r\n0\r\n\r\n", seconds)
        except TimeoutError:
            return False
        except (ConnectionError, EOFError):
            return True
        return True

    def text(self) -> str:
        """What has come and was not taken."""
        return self._came.decode()

    def body(self, seconds: float = 10) -> Any:
        """Of an answer that is JSON."""
        if length := self.headers.get("content-length"):
            while len(self._came) < int(length):
                self._read(seconds)
            return json.loads(self._came[: int(length)])
        self._until(b"0\r\n\r\n", seconds)
        return json.loads(self._came.split(b"\r\n")[1])

    def _took(self, wanted: bytes, seconds: float) -> bool:
        try:
            self._until(wanted, seconds)
        except (TimeoutError, EOFError):
            return False
        before, _, after = self._came.partition(wanted)
        self._came = before + after
        return True

    def _until(self, wanted: bytes, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while wanted not in self._came:
            self._read(deadline - time.monotonic())

    def _read(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError
        self.line.settimeout(seconds)
        came = self.line.recv(65_536)
        if not came:
            raise EOFError
        self._came += came


class Person:
    """An account on a server that runs; `phone()` is one more sign-in."""

    def __init__(self, server: Server) -> None:
        self.server, self.email = server, f"{new_id()}@example.com"
        tokens = self._sign_in("register")
        self.id, self.first = str(tokens["user"]["id"]), Phone(server, tokens)

    def phone(self) -> "Phone":
        return Phone(self.server, self._sign_in("login"))

    def _sign_in(self, how: str) -> Any:
        body = {"email": self.email, "password": PASSWORD}
        return call(self.server, "POST", f"/auth/{how}", None, body)[1]


class Phone:
    def __init__(self, server: Server, tokens: Any) -> None:
        self.server, self.token, self.since = server, tokens["access_token"], 0
        self.refresh_token = tokens["refresh_token"]
        note_tokens(self.token, self.refresh_token)

    def pull(self) -> Any:
        status, answer = self.call("POST", "/sync/pull", {"lastPulledAt": self.since})
        assert status == 200, answer
        self.since = answer["timestamp"]
        return answer["changes"]

    def push(self, **tables: Any) -> int | None:
        body = {"lastPulledAt": self.since, "changes": tables}
        status, answer = self.call("POST", "/sync/push", body)
        assert status == 200, answer
        if answer["timestamp"]:
            self.since = answer["timestamp"]
        timestamp: int | None = answer["timestamp"]
        return timestamp

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return call(self.server, method, path, self.token, body)

    def listen(self, live: Live, query: str | None = None, **headers: str) -> Listener:
        query = f"?since={self.since}" if query is None else query
        return Listener(live, self.token, query, **headers)


def call(
    server: Server, method: str, path: str, token: str | None, body: Any = None
) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{server.url}{API}{path}", data=data, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
