"""What gunicorn writes an answer into: it goes out as the reader takes it, and the rest waits here,
in memory or in a file, without a thread."""

import os
import select
import socket
from collections import deque
from typing import IO, Any

from server import files
from server.limits import OWED_BYTES

AT_ONCE = 1 << 16  # small pieces leave together
PIECES = 64  # at most, for one system call (IOV_MAX is 1,024)
FILE_BYTES = 1 << 20  # of a file, for one
QUICK_SECONDS = 0.05  # so long a thread waits for a reader; for a slower one, it writes a file


class Span:
    """A piece of a file that is still to be sent."""

    __slots__ = ("file", "left", "start")

    def __init__(self, file: IO[bytes], start: int, left: int) -> None:
        self.file, self.start, self.left = file, start, left


class Outbox:
    """Stands where gunicorn expects the socket. Raises OSError when nobody is there any more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pieces: deque[memoryview | Span] = deque()
        self._spill: IO[bytes] | None = None
        self.owed = 0  # bytes in memory
        self.sent = 0  # bytes that the system has
        self.is_broken = False

    @property
    def is_empty(self) -> bool:
        return not self._pieces

    def fileno(self) -> int:
        """To look whether somebody is there (melon_api/web/request.py)."""
        return self._sock.fileno()

    def sendall(self, data: bytes) -> None:
        if not data:
            return
        if self._spill is not None:
            self._write(data)
            self.flush()
            return
        self._pieces.append(memoryview(data))
        self.owed += len(data)
        if self.owed >= AT_ONCE:
            self.flush()
        if self.owed > OWED_BYTES and not self._is_quick():
            self._to_file()

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """All of it, later: the application closes its own."""
        own = os.fdopen(os.dup(file.fileno()), "rb", buffering=0)
        left = os.fstat(own.fileno()).st_size - offset if count is None else count
        self._pieces.append(Span(own, offset, left))
        return left

    def flush(self, most: int | None = None) -> bool:
        """Send what the socket takes now, about `most` bytes; whether that was all."""
        end = None if most is None else self.sent + most
        try:
            while self._pieces and (end is None or self.sent < end):
                first = self._pieces[0]
                sent = self._send_file(first) if isinstance(first, Span) else self._send_bytes()
                self.sent += sent
        except BlockingIOError:
            return False
        except OSError:
            self.is_broken = True
            raise
        return not self._pieces

    def _send_bytes(self) -> int:
        pieces: list[memoryview] = []
        for piece in self._pieces:
            if isinstance(piece, Span) or len(pieces) == PIECES:
                break
            pieces.append(piece)
        sent = left = self._sock.send(pieces[0]) if len(pieces) == 1 else self._sock.sendmsg(pieces)
        self.owed -= sent
        for piece in pieces:
            if left < len(piece):
                self._pieces[0] = piece[left:]
                break
            left -= len(piece)
            self._pieces.popleft()
        return sent

    def _send_file(self, span: Span) -> int:
        count = min(span.left, FILE_BYTES)
        sent = os.sendfile(self._sock.fileno(), span.file.fileno(), span.start, count)
        if count and not sent:
            raise OSError("a file is shorter than its answer")
        span.start += sent
        span.left -= sent
        if not span.left:
            self._pieces.popleft()
            if span.file is not self._spill:
                span.file.close()
        return sent

    def _is_quick(self) -> bool:
        """Wait a moment for the reader, then go on; whether it has taken most of it."""
        waiting = select.poll()
        waiting.register(self._sock, select.POLLOUT)
        while self.owed > OWED_BYTES and waiting.poll(QUICK_SECONDS * 1_000):
            self.flush()
        return self.owed <= OWED_BYTES

    def _to_file(self) -> None:
        """From now on; what is in memory stays there."""
        self._spill = files.unnamed()

    def _write(self, data: bytes) -> None:
        assert self._spill is not None  # noqa: S101
        start = self._spill.seek(0, os.SEEK_END)
        files.write(self._spill, data)
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, Span) and last.file is self._spill:
            last.left += len(data)
        else:
            self._pieces.append(Span(self._spill, start, len(data)))

    def close(self) -> None:
        """Nothing more is sent."""
        for piece in self._pieces:
            if isinstance(piece, Span):
                piece.file.close()
        self._pieces.clear()
        self.owed = 0
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
