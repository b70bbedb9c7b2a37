"""A head that is known by one look is the request that gunicorn makes of it."""

import random
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.unreader import Unreader

from server.incoming import heads

PROXY, STRANGER = ("127.0.0.1", 4_000), ("192.0.2.7", 4_000)
LINES = [
    b"Host: example.org",
    b"Content-Type: application/json",
    b"content-length: 12",
    b"Content-Length:  007 ",
    b"Authorization: Bearer abc.def-_~+/=",
    b"Accept: */*",
    b"Accept-Encoding:gzip, deflate",
    b"User-Agent: okhttp/4.9.2 (\xe9t\xe9)",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Transfer-Encoding: chunked",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Ssl: on",
    b"X-Forwarded-For: 203.0.113.9",
    b"X_Forwarded_For: 203.0.113.9",
    b"X-Request-ID: 7b\t8",
    b"X-Empty:",
    b" folded",
    b"Bad Name: 1",
    b"No colon",
    b": no name",
    b"SCRIPT-NAME: /x",
]
FIRST = [
    b"POST /api/v1/sync/push HTTP/1.1",
    b"GET /api/v1/sync/pull?last_pulled_at=12&schema_version=1 HTTP/1.1",
    b"GET /? HTTP/1.1",
    b"GET /a%2Fb;c=d?e[f]=g?h HTTP/1.1",
    b"GET //evil.example/x HTTP/1.1",
    b"GET http://example.org/x HTTP/1.1",
    b"GET /x#y HTTP/1.1",
    b"GET /x?y#z HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"OPTIONS /x HTTP/1.1",
    b"CONNECT /x HTTP/1.1",
    b"get /x HTTP/1.1",
    b"GET /x HTTP/1.0",
    b"GET /x HTTP/2.0",
    b"GET  /x HTTP/1.1",
    b"GET /\xe9 HTTP/1.1",
    b"\r\nGET /x HTTP/1.1",
]
OCTETS = [b"\r", b"\n", b"\r\n", b"\0", b"\t", b" ", b":", b"_", b"\x7f", b"\x80", b"//", b"A"]


def of(request: heads.Incoming) -> dict[str, Any]:
    """All that a request is made of, whoever has read its head."""
    reader = request.body.reader
    values = {name: value for name, value in vars(request).items() if name != "unreader"}
    return values | {
        "body": (type(reader), getattr(reader, "length", None)),
        "closes": request.should_close(),
        "behind the head": request.unreader.buf.getvalue(),
    }


def made_up(chance: random.Random) -> bytes:
    """Most of it is plain, so that there is something to compare."""
    first = FIRST[0] if chance.random() < 0.5 else chance.choice(FIRST)
    some = chance.sample(LINES, chance.randint(1, 7))
    if chance.random() < 0.1:
        some.append(chance.choice(some))
    head = b"\r\n".join([first, *some]) + b"\r\n\r\n"
    while chance.random() < 0.25:
        place = chance.randrange(len(head))
        end = place + chance.randint(0, 2)
        head = head[:place] + chance.choice(OCTETS) + head[end:]
    return head


@pytest.mark.parametrize("peer", [PROXY, STRANGER, "", None])
def test_a_plain_head_is_what_gunicorn_takes_it_for(peer: Any) -> None:
    cfg, chance, plain, odd = Config(), random.Random(str(peer)), 0, 0
    for number in range(1, 12_001):
        head = made_up(chance)
        found = heads.plain(cfg, Unreader(), head, peer, number)
        if found is None:
            odd += 1
            continue
        plain += 1
        assert of(found) == of(heads.by_gunicorn(cfg, Unreader(), head, peer, number)), head
    assert plain > 1_000 < odd


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit_request_line", 90), ("limit_request_field_size", 90), ("limit_request_fields", 5),
     ("proxy_protocol", "v1")],
)  # fmt: skip
def test_stricter_settings_leave_all_heads_to_gunicorn(name: str, value: Any) -> None:
    cfg = Config()
    assert heads.plain(cfg, Unreader(), heads.SAMPLE, PROXY, 1)
    strict = Config()
    strict.set(name, value)
    assert heads.plain(strict, Unreader(), heads.SAMPLE, PROXY, 1) is None


def test_a_phones_head_is_plain() -> None:
    """Or all of it would be for nothing."""
    lines = [FIRST[0], LINES[0], *LINES[1:3], *LINES[4:7], LINES[8], LINES[12], LINES[15]]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    found = heads.plain(Config(), Unreader(), head, PROXY, 1)
    assert found and found.scheme == "https" and found.body.reader.length == 12
    of_stranger = heads.plain(Config(), Unreader(), head, STRANGER, 1)
    assert of_stranger and of_stranger.scheme == "http"
