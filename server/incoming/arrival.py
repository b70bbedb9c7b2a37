"""A request on its way in: nobody works at it before the whole of it is here."""

import re
from typing import IO, Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, NoMoreData
from gunicorn.http.unreader import Unreader

from server import files
from server.incoming import heads
from server.incoming.chunks import ChunkEnd
from server.incoming.heads import Incoming
from server.limits import HEAD_BYTES, KEPT_BYTES, Limits, Room

END_OF_HEAD, END_OF_LINE = b"\r\n\r\n", b"\r\n"
BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")  # never ends a head that gunicorn takes
READ_BYTES = 1 << 18  # from a file, at once


class Stored(Unreader):  # type: ignore[misc]
    """What gunicorn reads a request from: bytes that are here, and their end."""

    def __init__(self) -> None:
        super().__init__()
        self.body = bytearray()
        self.file: IO[bytes] | None = None
        self._read = 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self.file is None:
            data, self.body = bytes(self.body), bytearray()
            return data
        self.file.seek(self._read)
        data = self.file.read(max(size_hint or 0, READ_BYTES))
        self._read += len(data)
        return data

    def keep(self, data: bytes) -> None:
        """More of the body. Raises OSError when the disk is full."""
        if self.file is None and len(self.body) + len(data) <= KEPT_BYTES:
            self.body += data
            return
        if self.file is None:
            self.file = files.unnamed()
            files.write(self.file, self.body)
            self.body = bytearray()
        files.write(self.file, data)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class NoRoom(Exception):
    """More bodies lie here than may."""


class Arrival:
    """One request. `error`: what gunicorn would answer by itself; `is_odd`: where the next request
    begins is unknown, or not worth waiting for; `discarded` bytes of it need not be kept."""

    def __init__(self, cfg: Any, limits: Limits, room: Room, peer: Any) -> None:
        self._cfg, self._limits, self._room, self._peer = cfg, limits, room, peer
        self._searched = 0
        self.request: Incoming | None = None
        self.error: Exception | None = None
        self.is_member, self.is_odd, self.is_whole = False, False, False
        self.taken = self.discarded = 0  # bytes of the body
        self._length = 0
        self._chunks: ChunkEnd | None = None
        self._stored: Stored | None = None

    def take_head(self, inbox: bytearray, number: int) -> bool:
        """Take the head out of what has arrived; whether it is here, or cannot come any more."""
        start = 2 if inbox.startswith(END_OF_LINE) else 0  # RFC 9112 §2.2
        end = inbox.find(END_OF_HEAD, max(start, self._searched - 3)) + 4
        if end < 4:
            is_hopeless = self._is_hopeless(inbox, start)
            self._searched = len(inbox)
            if not is_hopeless:
                return False
            end = len(inbox)
        head = bytes(memoryview(inbox)[:end])
        del inbox[:end]
        self._parse(head, number)
        return True

    def _is_hopeless(self, inbox: bytearray, start: int) -> bool:
        if len(inbox) > HEAD_BYTES or BARE_LINE_FEED.search(inbox, max(0, self._searched - 1)):
            return True
        most = self._cfg.limit_request_line + start + 2
        return len(inbox) > most and inbox.find(END_OF_LINE, start, most) < 0

    def _parse(self, head: bytes, number: int) -> None:
        stored = Stored()
        if len(head) > HEAD_BYTES:
            self.error = LimitRequestHeaders("limit request head size")
        try:
            self.request = heads.parse(self._cfg, stored, head, self._peer, number)
        except (NoMoreData, StopIteration):
            self.error = self.error or InvalidHeader("end of head")
        except Exception as error:  # whatever it is, the client is told by whoever answers
            self.error = error
        if self.request is None or self.error:
            self.is_odd = self.is_whole = True
            return
        self._stored = stored
        reader = self.request.body.reader
        if isinstance(reader, ChunkedReader):
            self._chunks = ChunkEnd()
        else:
            self._length = reader.length
            self.is_whole = self._length == 0
            if self._length > self._limits.body_bytes:
                self._refuse(self._length)

    def take_body(self, inbox: bytearray) -> None:
        """Take what belongs to the body out of what has arrived. Raises NoRoom; OSError when the
        disk is full."""
        if self.is_whole or not inbox:
            return
        data = bytes(inbox) if self._chunks else bytes(memoryview(inbox)[: self._missing])
        end = self._chunks.find(data) if self._chunks else None
        data = data[:end]
        del inbox[: len(data)]
        if not self._room.take(len(data), is_member=self.is_member):
            self._refuse(self._length or self._limits.body_bytes)
            raise NoRoom("too many bodies are under way")
        self.taken += len(data)
        if self._stored:
            self._stored.keep(data)
        if self._chunks is None:
            self.is_whole = not self._missing
        elif end is not None:
            self.is_whole, self.is_odd = True, self._chunks.is_broken
        elif self.taken > 2 * self._limits.body_bytes:  # chunks have lengths beside their bytes
            self._refuse(4 * self._limits.body_bytes)

    @property
    def _missing(self) -> int:
        return self._length - self.taken

    def cut(self) -> None:
        """The client has stopped in the middle: whoever reads it finds that out."""
        self.is_whole = self.is_odd = True

    def _refuse(self, length: int) -> None:
        """Let it be answered without the rest, which is read and thrown away: a phone in the middle
        of its upload would else see a reset connection instead of the answer."""
        self.is_whole = self.is_odd = True
        self.discarded = max(0, min(length, 4 * self._limits.body_bytes) - self.taken)

    def close(self) -> None:
        """It is answered, or given up."""
        self._room.give_back(self.taken, is_member=self.is_member)
        self.taken = 0
        if self._stored:
            self._stored.close()
