"""The `changes` of a pull as JSON text: in memory while it is small, on disk when it is not.

A pull is read to its end before the first byte of its answer leaves: what goes wrong is still an
error answer, and no transaction waits for a slow phone. So a large answer must lie somewhere.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple, Self

from melon_api.errors import Unavailable

LISTS = ("created", "updated", "deleted")
KEPT_BYTES = 4 << 20  # of one answer, in memory
CHUNK_BYTES = 1 << 18


class Span(NamedTuple):
    """A piece that is on disk; both in bytes."""

    start: int
    size: int


class ChangesText:
    """The lists of each table, in the order of `tables`; filled in any order, then iterated over
    for the text of the whole object, as often as wanted until it is closed."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._lists: dict[str, dict[str, list[bytes | Span]]] = {
            name: {key: [] for key in LISTS} for name in tables
        }
        self._taken = 0  # bytes of all pieces
        self.counts: dict[str, dict[str, int]] = {}  # of records and ids, where there are some
        self._file: IO[bytes] | None = None

    @classmethod
    @contextmanager
    def filled(cls, tables: Iterable[str]) -> Iterator[Self]:
        """A new one, to be filled in this context; whoever gets it whole closes it."""
        text = cls(tables)
        try:
            yield text
        except BaseException:
            text.close()
            raise

    @property
    def is_on_disk(self) -> bool:
        return self._file is not None

    @property
    def count(self) -> int:
        """Records and deletions."""
        return sum(sum(of_table.values()) for of_table in self.counts.values())

    def add(self, table: str, key: str, records: bytes, count: int) -> None:
        """More of a list: `count` JSON values with commas between them. Raises Unavailable when the
        disk is full."""
        if count:
            of_table = self.counts.setdefault(table, {})
            of_table[key] = of_table.get(key, 0) + count
        if records:
            self._lists[table][key].append(self._keep(records))

    def values(self, table: str, key: str) -> Iterator[bytes]:
        """A list's text, without its brackets."""
        return self._read(_joined(self._lists[table][key]))

    def __iter__(self) -> Iterator[bytes]:
        return self._read(self._object())

    @property
    def size(self) -> int:
        """Of the text, in bytes."""
        return sum(p.size if isinstance(p, Span) else len(p) for p in self._object())

    def close(self) -> None:
        """Give the room on the disk back."""
        if self._file:
            self._file.close()

    def _keep(self, text: bytes) -> bytes | Span:
        self._taken += len(text)
        if self._taken <= KEPT_BYTES:
            return text
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` is for the caller
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(text)
            self._file.flush()  # now, while a full disk is still an error answer
        except OSError as error:
            with suppress(OSError):  # the same one
                self.close()
            raise Unavailable("There is no room for so large an answer.") from error
        return Span(start, len(text))

    def _object(self) -> Iterator[bytes | Span]:
        if not self._lists:
            yield b"{}"
            return
        before = "{"
        for name, lists in self._lists.items():
            before += f'"{name}":{{'
            for key, pieces in lists.items():
                yield f'{before}"{key}":['.encode()
                yield from _joined(pieces)
                before = "],"
            before = "]},"
        yield b"]}}"

    def _read(self, pieces: Iterable[bytes | Span]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
            elif self._file:
                yield from _chunks(self._file, piece)


def _chunks(file: IO[bytes], span: Span) -> Iterator[bytes]:
    end = span.start + span.size
    for start in range(span.start, end, CHUNK_BYTES):
        file.seek(start)
        yield file.read(min(CHUNK_BYTES, end - start))


def _joined(pieces: Iterable[bytes | Span]) -> Iterator[bytes | Span]:
    for index, piece in enumerate(pieces):
        if index:
            yield b","
        yield piece
