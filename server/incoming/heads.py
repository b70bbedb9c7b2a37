"""A request's head: gunicorn's own parser takes what is out of the ordinary, and says what is
wrong. What a phone, a browser or a proxy sends each day is known by one look at its whole, which
costs a fifth of that; a test holds both to the same."""

import functools
import re
from typing import Any

from gunicorn.http.body import Body, EOFReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

PLAIN_BYTES = 4_000  # of a whole head: less than gunicorn allows for one line
# RFC 9112 §3 and §5, without what is read in more than one way: a fragment, a name with an
# underscore, an octet that is not ASCII, a folded line.
PLAIN = re.compile(
    rb"([A-Z]{3,20}) (/[!-\"$->@-~]*)(?:\?([!-\"$-~]*))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]{1,64}:[\t -~]*\r\n){1,50})\r\n"
)
LENGTH = re.compile("[0-9]{1,15}")
ODD = {"EXPECT", "TRANSFER-ENCODING"}
SAMPLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Incoming(Request):  # type: ignore[misc]
    """gunicorn's request, which says what is left to arrive of it."""

    body: Any
    wants_continue: bool
    _expected_100_continue: bool

    def set_body_reader(self) -> None:
        super().set_body_reader()
        if isinstance(self.body.reader, EOFReader):  # RFC 9112 §6.3: no length, no body
            self.body = Body(LengthReader(self.unreader, 0))
        self.wants_continue = self._expected_100_continue
        self._expected_100_continue = False  # or gunicorn would say it when the body is here

    def value(self, name: str) -> str | None:
        """A header's, by its name in capitals."""
        return next((value for key, value in self.headers if key == name), None)


def parse(cfg: Any, unreader: Unreader, head: bytes, peer: Any, number: int) -> Incoming:
    """A request, whose body `unreader` holds, or will. Raises what gunicorn does."""
    return plain(cfg, unreader, head, peer, number) or by_gunicorn(
        cfg, unreader, head, peer, number
    )


def by_gunicorn(cfg: Any, unreader: Unreader, head: bytes, peer: Any, number: int) -> Incoming:
    """Of any head. Raises what gunicorn does."""
    unreader.buf.write(head)
    return Incoming(cfg, unreader, peer, number)


def plain(cfg: Any, unreader: Any, head: bytes, peer: Any, number: int) -> Incoming | None:
    """Where nothing about it is odd."""
    found = PLAIN.fullmatch(head) if len(head) <= PLAIN_BYTES and _is_plain(cfg) else None
    if found is None:
        return None
    lines = (line.partition(":") for line in found[4].decode("ascii").split("\r\n")[:-1])
    headers = [(name.upper(), value.strip(" \t")) for name, _, value in lines]
    by_name = dict(headers)
    length = by_name.get("CONTENT-LENGTH", "0")
    if len(by_name) < len(headers) or not ODD.isdisjoint(by_name) or not LENGTH.fullmatch(length):
        return None
    request: Incoming = object.__new__(Incoming)
    values = request.__dict__
    values.update(_sample(cfg))
    values["method"], values["path"] = found[1].decode(), found[2].decode()
    values["query"] = query = (found[3] or b"").decode()
    values["uri"] = values["path"] if found[3] is None else f"{values['path']}?{query}"
    values["headers"], values["trailers"] = headers, []
    values["unreader"], values["req_number"] = unreader, number
    values["peer_addr"] = values["remote_addr"] = peer
    schemes = cfg.secure_scheme_headers.keys() & by_name.keys()
    if len(schemes) > 1:
        return None  # they may contradict each other
    if schemes and request._peer_is_trusted_proxy():
        (name,) = schemes
        is_secure = by_name[name] == cfg.secure_scheme_headers[name]
        values["scheme"] = "https" if is_secure else "http"
    values["body"] = Body(LengthReader(unreader, int(length)))
    return request


@functools.cache
def _is_plain(cfg: Any) -> bool:
    """Whether gunicorn's settings leave a plain head what it is."""
    allowed = cfg.limit_request_line, cfg.limit_request_field_size
    return cfg.proxy_protocol == "off" and cfg.limit_request_fields >= 50 and all(
        limit <= 0 or limit > PLAIN_BYTES for limit in allowed
    )  # fmt: skip


@functools.cache
def _sample(cfg: Any) -> dict[str, Any]:
    """What gunicorn notes of any request."""
    return dict(by_gunicorn(cfg, Unreader(), SAMPLE, ("", 0), 1).__dict__)
