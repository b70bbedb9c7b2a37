"""Who holds connections open, and says or reads next to nothing, holds nobody else up."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import serving
from wire import SELECTORS, Wire, request

EACH, PULLS = 25, 40
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: melon\r\n"
BODY = LOGIN + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
READ = b"GET /openapi.json HTTP/1.1\r\nHost: melon\r\n\r\n" * 40
SAID = {"silent": b"", "head": LOGIN, "body": BODY, "reader": READ}
DRIPS = {"silent": b"", "head": b"x", "body": b"x", "reader": b""}


class Crowd:
    """EACH of every kind, from a thread; sends a byte a second, reads 100."""

    def __init__(self, stack: ExitStack, wire: Wire) -> None:
        self.people = {
            stack.enter_context(wire.connect(4_096)): kind for _ in range(EACH) for kind in SAID
        }
        for person, kind in self.people.items():
            person.setblocking(False)
            person.send(SAID[kind])
        self.gone: set[socket.socket] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def __enter__(self) -> "Crowd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._is_over.wait(0.5):
            for person, kind in self.people.items():
                try:
                    person.send(DRIPS[kind])
                    if not person.recv(100):
                        self.gone.add(person)
                except BlockingIOError:
                    pass
                except OSError:
                    self.gone.add(person)


def test_a_crowd_of_strangers_holds_nobody_up(tmp_path: Path) -> None:
    """Contract, Requests 6: twice as many of each kind as there are threads would do."""
    few = {"WEB_THREADS": "2", "SILENCE_SECONDS": "2"}
    with serving("sqlite", tmp_path, workers=1, **few) as server, ExitStack() as stack:
        wire = Wire(server)
        token = wire.register()
        with Crowd(stack, wire) as crowd:
            for _ in range(PULLS):
                assert wire.pull(token).startswith(b"HTTP/1.1 200 ")
                time.sleep(0.05)
            readers = {p for p, kind in crowd.people.items() if kind == "reader"}
            deadline = time.monotonic() + 60
            while crowd.gone != set(crowd.people) - readers and time.monotonic() < deadline:
                time.sleep(0.2)
            assert crowd.gone == set(crowd.people) - readers  # they have not read up to the end
        for reader in readers:
            assert len(wire.rest(reader)) < 2 * len(wire.get("/openapi.json"))


@pytest.fixture(scope="module", params=SELECTORS)
def wire(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("edge")
    few = {"WEB_THREADS": "2", "SILENCE_SECONDS": "1", **SELECTORS[request.param]}
    with serving("sqlite", folder, workers=1, MAX_BODY_MIB="2", **few) as server:
        yield Wire(server)


def test_a_slow_honest_phone_gets_its_push_through(wire: Wire) -> None:
    """Contract, Requests 6: 4 kB/s is little, and more than enough, over many stretches."""
    task = {"id": "slow", "name": "n" * 200}
    body = wire.body(changes={"projects": {"created": [task], "updated": [], "deleted": []}})
    whole = request("POST", "/api/v1/sync/push", body + b" " * 16_000, token=wire.register())
    with wire.connect() as phone:
        for start in range(0, len(whole), 800):
            phone.sendall(whole[start : start + 800])
            time.sleep(0.2)
        assert wire.rest(phone).startswith(b"HTTP/1.1 200 ")


def test_a_slow_honest_reader_gets_its_answer(wire: Wire) -> None:
    """Contract, Requests 6: it is larger than all buffers on its way together."""
    whole = wire.get("/openapi.json").partition(b"\r\n\r\n")[2]
    with wire.connect(4_096) as phone:
        phone.sendall(request("GET", "/openapi.json", close=False) * 3 + request("GET", "/healthz"))
        answers = b""
        while part := phone.recv(8_000):
            answers += part
            time.sleep(0.02)
    assert answers.count(whole) == 3
    assert answers.endswith(b'{"status":"ok"}') or answers.count(b"HTTP/1.1 200 OK") == 4


def test_who_has_waited_longest_makes_room(tmp_path: Path) -> None:
    """Contract, Requests 6: a full worker takes whoever comes, and ends no request."""
    few = {"GUNICORN_CMD_ARGS": "--worker-connections 10", "SILENCE_SECONDS": "600"}
    with serving("sqlite", tmp_path, workers=1, **few) as server, ExitStack() as stack:
        wire = Wire(server)
        token = wire.register()
        phone = stack.enter_context(wire.connect())
        phone.sendall(request("POST", "/api/v1/sync/pull", wire.body(), token=token, close=False))
        assert phone.recv(65_536).startswith(b"HTTP/1.1 200 ")
        people = [stack.enter_context(wire.connect()) for _ in range(9)]
        time.sleep(1.5)
        people += [stack.enter_context(wire.connect()) for _ in range(3)]
        assert wire.pull(token).startswith(b"HTTP/1.1 200 ")
        assert [person.recv(1) for person in people[:3]] == [b""] * 3
        phone.sendall(request("POST", "/api/v1/sync/pull", wire.body(), token=token))
        assert wire.rest(phone).startswith(b"HTTP/1.1 200 ")
