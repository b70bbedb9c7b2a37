"""A file of JSON lines, plain or gzip, read in the memory of one line."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import orjson

from melon_api.web.body import cost
from melon_api.web.body.reading import BYTE_ORDER_MARK
from melon_api.web.body.unpacking import MAGIC

MOST_BYTES = 32 * 1024 * 1024  # of a line: what a push may bring at once
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)

Report = Callable[[int, str], None]  # of a line's number, from 1, and what is wrong with it


class Line(NamedTuple):
    """`text` is what `value` was read from: an object."""

    number: int
    text: bytes
    value: dict[str, Any]


def read(file: BinaryIO, report: Report) -> Iterator[Line]:
    """The lines that are JSON objects; the others are reported, blank ones passed over."""
    for number, text in _texts(file, report):
        if cost.estimate(text) > cost.most(text):  # `[[],[],…]` would be 60 times its bytes
            report(number, "it holds too many values")
            continue
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            report(number, f"not JSON: {error}")
            continue
        if isinstance(value, dict):
            yield Line(number, text, value)
        else:
            report(number, "not a JSON object")


def _texts(file: BinaryIO, report: Report) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, text in enumerate(_bounded(_unpacked(file)), 1):
            bare = text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text
            if len(text) > MOST_BYTES:
                report(number, f"longer than {MOST_BYTES >> 20} MiB")
            elif bare.strip():
                yield number, bare
    except DAMAGED as error:
        report(
            number + 1, f"the gzip is damaged or ends here, and nothing after it is read: {error}"
        )
    except OSError as error:  # of a disk, or of a network's
        report(number + 1, f"the file cannot be read from here on: {error.strerror}")


def _unpacked(file: BinaryIO) -> BinaryIO:
    some: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    unpacked: Any = gzip.GzipFile(fileobj=some) if some.peek(2)[:2] == MAGIC else some
    return cast(BinaryIO, unpacked)


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """Of a longer line its beginning, one byte more than is taken."""
    while text := file.readline(MOST_BYTES + 1):
        yield text
        rest = text
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MOST_BYTES)
