"""`make bench-crowd`: what a signed-in phone's small pull waits for while strangers hold their
connections open, and how long they can; see README.md.

Four kinds at once, from a process of their own: silent ones, one header byte every 5 s, one byte of
a body every second, and readers of 100 bytes a second who have asked 40 times for /openapi.json
in one go. While the pulls are measured, who is sent away comes again; then nobody does.
"""

import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import database, servers
from benchmarks import driver as bench

HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: melon\r\n"
BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
READ = b"GET /openapi.json HTTP/1.1\r\nHost: melon\r\n\r\n" * 40
SAID = {"silent": b"", "head": HEAD, "body": BODY, "reader": READ}
REDIS = 13
WAIT_SECONDS, PATIENCE = 0.1, 90


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        url = stack.enter_context(database.alone(options.database))
        server = stack.enter_context(servers.ours_alone(url, REDIS, "crowd", options.checkout))
        phone = bench.Account(bench.Server(server.name, server.url, server.pid))
        phone.push(phone.fill(20))
        _tell("alone", _pulls(server.url, phone, options.pulls))
        before = _sockets(server.pid)
        crowd = Crowd(server.url, options.each)
        crowd.start(comes_again=True)
        time.sleep(3)
        print(f"open: {_sockets(server.pid) - before} of {4 * options.each} strangers")
        _tell("beside the crowd", _pulls(server.url, phone, options.pulls))
        crowd.stop()
        while _sockets(server.pid) > before:
            time.sleep(1)
        crowd.start(comes_again=False)
        _tell("beside a crowd that comes once", _pulls(server.url, phone, options.pulls // 2))
        _wait_until_gone(server.pid, before, crowd)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--each", type=int, default=600, help="strangers of each kind")
    parser.add_argument("--pulls", type=int, default=200)
    parser.add_argument("--checkout", type=Path, default=servers.ROOT, help="of another version")
    return parser.parse_args()


def _sockets(master: int) -> int:
    """Connections that the workers hold."""
    found = 0
    for worker in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        for file in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(OSError):
                found += str(file.readlink()).startswith("socket:")
    return found


def _pulls(url: str, phone: Any, count: int) -> list[float]:
    """Seconds of each; every second one on a connection of its own."""
    parts = urlsplit(url)
    body = b'{"lastPulledAt":0}'
    request = (
        f"POST /api/v1/sync/pull HTTP/1.1\r\nHost: melon\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {phone.a}\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    times, kept = [], None
    for number in range(count):
        started = time.monotonic()
        own = number % 2 == 1
        try:
            if own or kept is None:
                connection = socket.create_connection(
                    (parts.hostname, parts.port), timeout=PATIENCE
                )
            else:
                connection = kept
            connection.sendall(
                request + (b"Connection: close\r\n" if own else b"") + b"\r\n" + body
            )
            _read_answer(connection)
            times.append(time.monotonic() - started)
        except OSError as error:
            print(f"pull {number}: {error!r}")
            times.append(float(PATIENCE))
            own = True
        if own:
            connection.close()
        else:
            kept = connection
        time.sleep(WAIT_SECONDS)
    return times


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65_536)):
            raise ConnectionError("closed")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:60])
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(rest) < length:
        if not (more := connection.recv(65_536)):
            raise ConnectionError("cut")
        rest += more


def _tell(name: str, times: list[float]) -> None:
    p95 = statistics.quantiles(times, n=20)[-1]
    print(
        f"{name:32} p50 {statistics.median(times) * 1e3:7.1f}  p95 {p95 * 1e3:7.1f}"
        f"  most {max(times) * 1e3:7.1f} ms, {len(times)} pulls",
        flush=True,
    )


def _wait_until_gone(pid: int, before: int, crowd: "Crowd") -> None:
    while (left := _sockets(pid) - before) > 0 and crowd.age() < PATIENCE * 2:
        time.sleep(0.5)
    print(f"{max(left, 0)} strangers left {crowd.age():.0f} s after the first came")
    crowd.stop()


class Crowd:
    """The strangers' process."""

    def __init__(self, url: str, each: int) -> None:
        parts = urlsplit(url)
        self._address, self._each = (parts.hostname, parts.port), each
        self._process: Any = None
        self._started = 0.0

    def start(self, *, comes_again: bool) -> None:
        ready = multiprocessing.Event()
        self._started = time.monotonic()
        self._process = multiprocessing.Process(
            target=_be_a_crowd, args=(self._address, self._each, comes_again, ready), daemon=True
        )
        self._process.start()
        ready.wait(PATIENCE)

    def age(self) -> float:
        return time.monotonic() - self._started

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def _be_a_crowd(address: Any, each: int, comes_again: bool, ready: Any) -> None:
    os.nice(5)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    people = [Stranger(address, kind) for _ in range(each) for kind in SAID]
    ready.set()
    for tick in range(10_000):
        started = time.monotonic()
        for person in people:
            person.live(tick, comes_again)
        time.sleep(max(0.0, 1 - (time.monotonic() - started)))


class Stranger:
    """One of a kind."""

    def __init__(self, address: Any, kind: str) -> None:
        self._address, self._kind = address, kind
        self._come()

    def _come(self) -> None:
        self._socket: socket.socket | None = socket.socket()
        kept = 4_096 if self._kind == "reader" else 65_536
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept)
        self._socket.setblocking(False)
        self._socket.connect_ex(self._address)
        self._has_said = False

    def live(self, tick: int, comes_again: bool) -> None:
        """One second of its life."""
        try:
            if self._socket is not None and not self._goes_on(self._socket, tick):
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            if self._socket is not None:
                self._socket.close()
            self._socket = None
            if comes_again:
                self._come()

    def _goes_on(self, connection: socket.socket, tick: int) -> bool:
        if not self._has_said:
            connection.send(SAID[self._kind])
            self._has_said = True
        elif self._kind == "body" or (self._kind == "head" and tick % 5 == 0):
            connection.send(b"x")
        return bool(connection.recv(100))


if __name__ == "__main__":
    servers.leave_tidily(main)
