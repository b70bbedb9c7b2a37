"""Lines whose parents come later in the file, kept on disk until its end."""

from collections.abc import Iterator
from typing import IO

import orjson

from melon_api.loading.window import Waiting


class Late:
    """`count` lines in a temporary file, each with what was wrong with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0

    def add(self, line: Waiting, wrong: str) -> None:
        self.count += 1
        self._file.write(orjson.dumps([line.number, wrong]) + b"\n" + line.text.strip() + b"\n")

    def lines(self) -> Iterator[tuple[Waiting, str]]:
        """In the order in which they came here."""
        self._file.seek(0)
        while head := self._file.readline():
            number, wrong = orjson.loads(head)
            yield Waiting(number, self._file.readline()), wrong
