"""What only a real server shows: bodies that are cut, endless, or refused while they arrive."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import Server, serving

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("sqlite", tmp_path_factory.mktemp("real"), MAX_BODY_MIB="2") as server:
        yield server


def talk(server: Server, head: str, *parts: bytes, close: bool = False) -> str:
    """Send a request to the end, as a phone does, then read the whole answer."""
    url = urlsplit(server.url)
    request = f"{head}\r\nHost: melon\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        for part in (request, *parts):
            connection.sendall(part)
        if close:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


LOGIN = "POST /api/v1/auth/login HTTP/1.1\r\nContent-Type: application/json"
PUSH = "POST /api/v1/sync/push HTTP/1.1\r\nContent-Type: application/json"
CHUNKED = "\r\nTransfer-Encoding: chunked"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("size", [MEBIBYTE, 3 * MEBIBYTE])
def test_a_refused_upload_still_gets_its_answer(server: Server, size: int) -> None:
    """Contract, Requests 3: a phone with an expired token and a big push must learn why."""
    head = f"{PUSH}\r\nAuthorization: Bearer x.y.z\r\nContent-Length: {size}"
    answer = talk(server, head, *[b" " * 65_536] * (size // 65_536))
    assert answer.startswith("HTTP/1.1 401")
    assert "token_invalid" in answer


def test_a_chunked_body_is_bounded(server: Server) -> None:
    """Contract, Requests 3: 413, and no silent cut."""
    parts = [chunk(b'{"email": "a@example.com"'), *[chunk(b" " * 65_536)] * 40, chunk(b"}")]
    answer = talk(server, LOGIN + CHUNKED, *parts, b"0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 413")
    assert "payload_too_large" in answer


def test_a_chunked_body_is_read(server: Server) -> None:
    answer = talk(
        server, LOGIN + CHUNKED, chunk(b'{"email": "a@'), chunk(b'b.example"}'), b"0\r\n\r\n"
    )
    assert answer.startswith("HTTP/1.1 422")
    assert '"password"' in answer


def test_a_body_cut_short_is_not_parsed(server: Server) -> None:
    """Contract, Requests 4: the connection broke; what came happens to be JSON."""
    answer = talk(server, f"{LOGIN}\r\nContent-Length: 100", b"{}", close=True)
    assert answer.startswith("HTTP/1.1 400")
    assert "bad_request" in answer


def test_a_broken_chunk_is_the_clients_fault(server: Server) -> None:
    answer = talk(server, LOGIN + CHUNKED, b"ZZ\r\n{}\r\n0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400")
    assert "bad_request" in answer


def test_a_stop_takes_its_counts_away_and_nothing_else(tmp_path: Path) -> None:
    """From a folder that an operator has named."""
    folder = tmp_path / "counts"
    folder.mkdir()
    (folder / "app.db").write_text("somebody's")
    with serving("sqlite", tmp_path, PROMETHEUS_MULTIPROC_DIR=str(folder)) as server:
        assert talk(server, "GET /healthz HTTP/1.1").startswith("HTTP/1.1 200")
        assert list(folder.glob("histogram_*.db"))
    assert [path.name for path in folder.iterdir()] == ["app.db"]


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/sync/pull"])
def test_who_falls_silent_lets_go_of_its_thread(tmp_path: Path, path: str) -> None:
    """Contract, Requests 4: all threads of a worker are held by phones that have left their
    network."""
    body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    request = f"POST {path} HTTP/1.1\r\nHost: melon\r\nConnection: close\r\n{body}".encode()
    few = {"WEB_THREADS": "2", "SILENCE_SECONDS": "1"}
    with serving("sqlite", tmp_path, workers=1, **few) as server, ExitStack() as phones:
        url = urlsplit(server.url)
        held = [
            phones.enter_context(socket.create_connection((url.hostname, url.port), timeout=30))
            for _ in range(2)
        ]
        for phone in held:
            phone.sendall(request)
        assert talk(server, "GET /healthz HTTP/1.1").startswith("HTTP/1.1 200")
        assert [phone.recv(65_536) for phone in held] == [b"", b""]


ODD_REQUESTS = {
    "long line": (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
    "200 headers": (
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        431,
    ),
    "a long header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
    "method": (b"G\x00T / HTTP/1.1\r\nHost: melon\r\n\r\n", 400),
    "version": (b"GET / HTTP/7.7\r\nHost: melon\r\n\r\n", 400),
    "no line": (b"<script>alert(1)</script>\r\n\r\n", 400),
    "header": (b"GET / HTTP/1.1\r\nHost melon\r\n\r\n", 400),
    "folded": (b"GET / HTTP/1.1\r\nHost: melon\r\nX: 1\r\n 2\r\n\r\n", 400),
    "length": (b"POST /api/v1/auth/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    "lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "coding": (b"POST / HTTP/1.1\r\nHost: melon\r\nTransfer-Encoding: zip\r\n\r\n", 400),
    "expectation": (b"POST / HTTP/1.1\r\nHost: melon\r\nExpect: miracles\r\n\r\n", 417),
    "unknown method": (b"BREW /healthz HTTP/1.1\r\nHost: melon\r\nConnection: close\r\n\r\n", 405),
    "foreign host": (b"GET /nowhere HTTP/1.1\r\nHost: <x>\r\nConnection: close\r\n\r\n", 404),
    "chunk": (LOGIN.encode() + b"\r\nHost: melon\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
}


@pytest.mark.parametrize(("request_bytes", "status"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_the_web_servers_own_errors_are_no_pages(
    server: Server, request_bytes: bytes, status: int
) -> None:
    """Contract, Errors 1 and 3; no answer is HTML."""
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(request_bytes)
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "\r\nContent-Type: application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["code"] == (
        "method_not_allowed" if status == 405 else "not_found" if status == 404 else "bad_request"
    )
    assert f"\r\nX-Request-ID: {problem['request_id']}" in head
