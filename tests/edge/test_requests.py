"""Requests as networks bring them: in pieces, several at once, in chunks, announced beforehand."""

import json
import time
from collections.abc import Iterator

import pytest
from servers import serving
from wire import SELECTORS, Wire, request, waits_by_epoll

PUSH = b"POST /api/v1/sync/push HTTP/1.1\r\nHost: melon\r\nContent-Type: application/json\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(scope="module", params=SELECTORS)
def wire(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    folder, few = tmp_path_factory.mktemp("edge"), {"WEB_THREADS": "2", **SELECTORS[request.param]}
    with serving("sqlite", folder, workers=1, MAX_BODY_MIB="2", **few) as server:
        assert waits_by_epoll(server) == (request.param == "epoll")
        yield Wire(server)


@pytest.fixture(scope="module")
def token(wire: Wire) -> str:
    return wire.register()


def large_push(wire: Wire, count: int = 400) -> bytes:
    """More than is kept in memory."""
    records = [{"id": f"p{number}", "name": "n" * 200} for number in range(count)]
    return wire.body(changes={"projects": {"created": records, "updated": [], "deleted": []}})


def test_a_request_may_come_byte_by_byte(wire: Wire, token: str) -> None:
    with wire.connect() as phone:
        for byte in request("POST", "/api/v1/sync/pull", wire.body(), token=token):
            phone.send(bytes([byte]))
        assert wire.rest(phone).startswith(b"HTTP/1.1 200 ")


def test_requests_in_one_go_are_answered_in_their_order(wire: Wire, token: str) -> None:
    """One connection, kept: the next one is looked at when the answer before it has left."""
    paths = ["/healthz", "/nowhere", "/api/v1/users/me", "/openapi.json", "/healthz"]
    kept = [request("GET", path, token=token, close=False) for path in paths[:-1]]
    answers = wire.send(b"".join([*kept, request("GET", paths[-1])]))
    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"200", b"200"]


@pytest.mark.parametrize("cut", [1, 7, 4_096])
def test_chunks_may_be_cut_anywhere(wire: Wire, token: str, cut: int) -> None:
    """And the request behind them is found."""
    body = large_push(wire, 4 if cut < 4_096 else 400)
    pieces = [body[at : at + 1_000] for at in range(0, len(body), 1_000)]
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = PUSH + f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    whole = head + chunks + b"0\r\nX-Trailer: 1\r\n\r\n" + request("GET", "/healthz")
    with wire.connect() as phone:
        for at in range(0, len(whole), cut):
            phone.send(whole[at : at + cut])
        answers = wire.rest(phone)
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert b'"timestamp"' in answers


def test_a_large_push_comes_and_goes_whole(wire: Wire) -> None:
    token = wire.register()
    body = large_push(wire)
    assert wire.send(request("POST", "/api/v1/sync/push", body, token=token)).startswith(
        b"HTTP/1.1 200 "
    )
    pulled = json.loads(wire.pull(token).partition(b"\r\n\r\n")[2])
    assert len(pulled["changes"]["projects"]["created"]) == 400


def test_who_asks_before_sending_is_told_to_go_on(wire: Wire, token: str) -> None:
    """RFC 9110 §10.1.1; by nobody's thread."""
    whole = request("POST", "/api/v1/sync/pull", wire.body(), token=token)
    head, body = whole[: -len(wire.body())], wire.body()
    with wire.connect() as phone:
        phone.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert phone.recv(len(CONTINUE)) == CONTINUE
        phone.sendall(body)
        assert wire.rest(phone).startswith(b"HTTP/1.1 200 ")


def test_who_asks_for_too_much_is_told_at_once(wire: Wire, token: str) -> None:
    """Contract, Requests 3: not a byte of the body has to be sent."""
    head = PUSH + f"Authorization: Bearer {token}\r\nContent-Length: 3000000\r\n".encode()
    with wire.connect() as phone:
        phone.sendall(head + b"Expect: 100-continue\r\n\r\n")
        answer = phone.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"payload_too_large" in answer


def test_a_file_is_sent_whole(wire: Wire) -> None:
    """What the page of the API loads, to a reader that takes its time."""
    answer = wire.get("/docs/swagger-ui-bundle.js")
    head, _, body = answer.partition(b"\r\n\r\n")
    with wire.connect(4_096) as phone:
        phone.sendall(request("GET", "/docs/swagger-ui-bundle.js"))
        time.sleep(0.2)
        assert wire.rest(phone).partition(b"\r\n\r\n")[2] == body
    assert f"Content-Length: {len(body)}".encode() in head
