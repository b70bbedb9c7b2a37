"""A keep-alive connection that measures from the first byte sent to the last one received."""

import socket
import time


class Failed(Exception):
    """A server answered what it should not have, or not in time."""


class Reply:
    """One HTTP/1.1 answer, fed piece by piece."""

    __slots__ = ("buf", "chunked", "close", "done", "length", "parts", "pos", "start", "status")

    def __init__(self) -> None:
        self.buf = bytearray()
        self.status = 0
        self.length = 0
        self.chunked = False
        self.close = False
        self.start = 0
        self.pos = 0
        self.parts: list[bytes] = []
        self.done = False

    def feed(self, data: bytes) -> bool:
        self.buf += data
        if not self.status:
            end = self.buf.find(b"\r\n\r\n")
            if end < 0:
                return False
            lines = bytes(self.buf[:end]).decode("latin-1").split("\r\n")
            self.status = int(lines[0].split(" ", 2)[1])
            for line in lines[1:]:
                name, _, value = line.partition(":")
                name = name.lower()
                if name == "content-length":
                    self.length = int(value)
                elif name == "transfer-encoding":
                    self.chunked = "chunked" in value.lower()
                elif name == "connection":
                    self.close = "close" in value.lower()
            self.start = self.pos = end + 4
            if self.status in (204, 304):
                self.length, self.chunked = 0, False
        if not self.chunked:
            self.done = len(self.buf) >= self.start + self.length
            return self.done
        while True:
            eol = self.buf.find(b"\r\n", self.pos)
            if eol < 0:
                return False
            size = int(bytes(self.buf[self.pos : eol]).split(b";")[0], 16)
            if len(self.buf) < eol + 2 + size + 2:
                return False
            if size == 0:
                self.done = True
                return True
            self.parts.append(bytes(self.buf[eol + 2 : eol + 2 + size]))
            self.pos = eol + 2 + size + 2

    def body(self) -> bytes:
        if self.chunked:
            return b"".join(self.parts)
        return bytes(self.buf[self.start : self.start + self.length])


class Connection:
    """Kept alive. `send` measures from the first byte sent to the last one received."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.sock: socket.socket | None = None

    def open(self) -> socket.socket:
        if self.sock is None:
            self.sock = socket.create_connection(self.address, timeout=60)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.sock

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def send(self, request: bytes, timeout: float) -> tuple[int, bytes, float]:
        for attempt in (1, 2):
            reused = self.sock is not None
            sock = self.open()
            sock.settimeout(timeout)
            started = time.perf_counter()
            reply = Reply()
            try:
                sock.sendall(request)
                while not reply.done:
                    data = sock.recv(1 << 18)
                    if not data:
                        raise ConnectionResetError("closed by the server")
                    reply.feed(data)
            except TimeoutError:
                self.close()
                raise Failed(f"no answer within {timeout:.0f} s") from None
            except OSError as error:
                self.close()
                # the server may close an idle keep-alive connection at any time: try once more
                if reused and attempt == 1 and not reply.buf:
                    continue
                raise Failed(str(error)) from None
            seconds = time.perf_counter() - started
            if reply.close:
                self.close()
            return reply.status, reply.body(), seconds
        raise AssertionError
