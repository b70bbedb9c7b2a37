"""HTTP over a plain socket, byte by byte where a test wants it."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from servers import Server

PASSWORD = "correct horse battery"
TIMEOUT_SECONDS = 60
# How a worker waits for its sockets: by epoll, and as on systems without it.
ELSEWHERE = {"PYTHONPATH": str(Path(__file__).parent / "without_epoll")}
SELECTORS = {
    "epoll": {},
    "poll": {"SELECTOR": "PollSelector", **ELSEWHERE},
    "select": {"SELECTOR": "SelectSelector", **ELSEWHERE},
}


def request(
    method: str, path: str, body: bytes = b"", *, token: str = "", close: bool = True
) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: melon\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    head += f"Content-Length: {len(body)}\r\n" if body else ""
    return (head + ("Connection: close\r\n" if close else "") + "\r\n").encode() + body


def waits_by_epoll(server: Server) -> bool:
    """Whether a worker does."""
    task = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    files = [f for pid in task.read_text().split() for f in Path(f"/proc/{pid}/fd").iterdir()]
    return any("eventpoll" in str(file.resolve()) for file in files)


class Wire:
    """To a server."""

    def __init__(self, server: Server) -> None:
        url = urlsplit(server.url)
        self._address = (url.hostname, url.port)
        self._people = 0

    def connect(self, kept_bytes: int = 0) -> socket.socket:
        """`kept_bytes`: what its own system takes in before it is read."""
        connection = socket.socket()
        if kept_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept_bytes)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(self._address)
        return connection

    def send(self, whole: bytes) -> bytes:
        """Its answer, to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(whole)
            return self.rest(connection)

    def rest(self, connection: socket.socket) -> bytes:
        """What still comes."""
        connection.settimeout(TIMEOUT_SECONDS)
        parts = []
        with suppress(ConnectionError):
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)

    def get(self, path: str) -> bytes:
        return self.send(request("GET", path))

    def body(self, **more: Any) -> bytes:
        return json.dumps({"lastPulledAt": None, **more}).encode()

    def register(self) -> str:
        """A new person's access token."""
        self._people += 1
        who = {"email": f"person{self._people}@example.com", "password": PASSWORD}
        answer = self.send(request("POST", "/api/v1/auth/register", json.dumps(who).encode()))
        return json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]

    def pull(self, token: str) -> bytes:
        return self.send(request("POST", "/api/v1/sync/pull", self.body(), token=token))
