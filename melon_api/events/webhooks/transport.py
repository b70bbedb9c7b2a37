"""A POST to a stranger's server: over TLS, to a public address, with an end.

A name is looked up once, and what was looked up is connected to. Nothing redirects, and no proxy of
the environment is asked.
"""

import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from melon_api.events.webhooks.addresses import NotPublic, Place, addresses

SECONDS, MOMENT = 10, 0.1  # contract, The server's own changes; from the name to the status
MOST_BYTES = 65_536  # of an answer


def post(url: str, body: bytes, headers: Mapping[str, str], *, loopback: bool) -> int:
    """The status of the answer, whose body is not read. `loopback`: this machine may be asked, too,
    and without TLS. Raises OSError (NotPublic, TimeoutError) and HTTPException."""
    parts = urlsplit(url)
    connection = _Connection(parts, loopback)
    timer = threading.Timer(SECONDS, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        query = f"?{parts.query}" if parts.query else ""
        connection.request("POST", f"{parts.path or '/'}{query}", body, dict(headers))
        return connection.getresponse().status
    except (OSError, HTTPException) as error:
        if isinstance(error, TimeoutError) or connection.is_cut:
            raise TimeoutError(f"no answer within {SECONDS} s") from error
        raise
    finally:
        timer.cancel()
        connection.close()


class _Connection(HTTPConnection):
    """To an address that was checked. `cut` ends it from another thread, whatever it waits for."""

    def __init__(self, parts: SplitResult, loopback: bool) -> None:
        self._is_tls, self._loopback = parts.scheme == "https", loopback
        self.default_port = 443 if self._is_tls else 80
        super().__init__(parts.hostname or "", parts.port or self.default_port)
        self._ends, self.is_cut = time.monotonic() + SECONDS, False

    def connect(self) -> None:
        places = addresses(self.host, self.port, loopback=self._loopback)
        if not self._is_tls and not all(ip_address(p[-1][0]).is_loopback for p in places):
            raise NotPublic(f"{self.host} is not this machine: https is needed")
        self._connect_to_one(places)
        if self._is_tls:
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._raise_if_cut()
            self.sock.do_handshake()

    def _connect_to_one(self, places: list[Place]) -> None:
        for at, (*kind, place) in enumerate(places, 1):
            self.sock = socket.socket(*kind)
            self._raise_if_cut()
            self.sock.settimeout(max(self._ends - time.monotonic(), MOMENT))
            try:
                return self.sock.connect(place)
            except OSError:
                self.sock.close()
                if at == len(places):
                    raise
        return None

    def getresponse(self) -> HTTPResponse:
        answer = HTTPResponse(_Bounded(self.sock), method="POST")  # type: ignore[arg-type]
        answer.begin()
        return answer

    def cut(self) -> None:
        self.is_cut = True
        if self.sock is not None:
            with suppress(OSError):  # it is not connected yet, or no more
                # Not TLS's own way, which is at work in the other thread.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _raise_if_cut(self) -> None:
        """What was not there yet could not be cut."""
        if self.is_cut:
            raise TimeoutError


class _Bounded(io.RawIOBase):
    """What comes of a socket, up to MOST_BYTES."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock, self._left = sock, MOST_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left == 0:
            raise OSError(f"the answer's head is more than {MOST_BYTES} bytes")
        count = self._sock.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count
