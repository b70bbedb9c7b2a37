"""Where a chunked body ends (RFC 9112 §7.1). gunicorn's parser reads it afterwards, and says what
is wrong with it."""

import re

LINE_BYTES = 8_190  # of a chunk's size with its extensions; gunicorn's own bound
TRAILER_BYTES = 1 << 16
SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
END_OF_LINE = b"\r\n"


class ChunkEnd:
    """Looks at the bytes of a body as they come. `is_broken`: no chunks, or endless lines."""

    def __init__(self) -> None:
        self._skip = 0  # bytes of a chunk that are still to come
        self._line = b""
        self._trailer = -1  # bytes of its lines; -1 before the last chunk
        self._is_behind_chunk = False
        self.is_broken = False

    def find(self, data: bytes) -> int | None:
        """How many of these further bytes belong to the body when it ends in them, or breaks; None
        when it goes on."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            if len(self._line) > LINE_BYTES:
                self.is_broken = True
                return len(data)
            if not end:
                return None
            line, self._line, at = self._line, b"", end
            if self._ends(line):
                return len(data) if self.is_broken else at
        return None

    def _ends(self, line: bytes) -> bool:
        if self._trailer >= 0:
            self._trailer += len(line)
            self.is_broken = not line.endswith(END_OF_LINE) or self._trailer > TRAILER_BYTES
            return self.is_broken or line == END_OF_LINE
        if self._is_behind_chunk:
            self._is_behind_chunk = False
            self.is_broken = line != END_OF_LINE
            return self.is_broken
        size = SIZE.fullmatch(line)
        self.is_broken = size is None
        self._skip = int(size[1], 16) if size else 0
        self._is_behind_chunk = self._skip > 0
        if not self._skip:
            self._trailer = 0
        return self.is_broken
