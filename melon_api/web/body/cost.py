"""What the values of a large body take, estimated from its bytes before any of them is made.

`[{},{},…]` of 32 MiB would be 1.1 GB of dicts. More than `TIMES` the body, and than `AT_ONCE`, is
refused; those let in share `AT_ONCE` bytes of a worker; who needs more is alone till the answer.
"""

import ctypes
import gc
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from flask import Flask, g

from melon_api.bulkheads import Allowance
from melon_api.errors import PayloadTooLarge

# bytes in memory, rather more than less (CPython 3.11 to 3.13, 64 bits)
OBJECT, ARRAY, MORE = 240, 128, 72  # with their first value; each further value
USUAL_KEYS = 64  # of an object; further ones are no columns, and each is a text of its own
TIMES = 8  # a push of records with many short columns takes 5
AT_ONCE = 64 << 20  # bytes
WITHOUT_RECORDS = 16 << 20  # bytes; what names all columns of the largest app takes a tenth
WINDOW = 1 << 18  # bytes
NO_BACKSLASH = re.compile(rb"[^\\]")
ASTRAL = re.compile(rb"[\xf0-\xf4]|\\u")  # a text has as many bytes for each of its characters

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves
_memory = Allowance(AT_ONCE, "Other large requests are under way; try again in a moment.")
_unpacking = Allowance(1, "Other large requests are under way; try again in a moment.")


def init_app(app: Flask) -> None:
    app.teardown_request(_give_back)


def one_unpacks() -> AbstractContextManager[None]:
    """Until what a large gzip body unpacks to is known and admitted. Raises Unavailable."""
    return _unpacking.share(1)


def admitted(data: bytes, *, has_records: bool = True) -> bytes:
    """The same, when its values may be in memory until the request is answered.

    Raises PayloadTooLarge, Unavailable.
    """
    size = estimate(data)
    if size > (most(data) if has_records else WITHOUT_RECORDS):
        raise PayloadTooLarge("The body holds too many values for one request; send less at once.")
    g.admitted = _memory.take(size + (1 + _width(data)) * len(data))
    return data


def most(data: bytes) -> int:
    """Bytes that the values of records may take."""
    return max(AT_ONCE, TIMES * len(data))


def _width(data: bytes) -> int:
    """Bytes that a character takes in a text, at most: that of the widest in it."""
    if data.isascii() and b"\\u" not in data:
        return 1
    return 4 if ASTRAL.search(data) else 2


def estimate(data: bytes) -> int:
    """Bytes that the values take beside their texts. Linear, and little memory of its own."""
    size = _values([data])  # and what looks like values within texts
    return size if size <= AT_ONCE else _values(_outside_texts(data))


def _values(texts: Iterable[bytes]) -> int:
    counts = [[text.count(sign) for sign in (b"{", b"[", b",", b":")] for text in texts]
    objects, lists, more, keys = map(sum, zip(*counts, strict=True))
    return OBJECT * objects + ARRAY * lists + MORE * (more + max(0, keys - USUAL_KEYS * objects))


def _outside_texts(data: bytes) -> Iterator[bytes]:
    start, inside = 0, 0
    while start < len(data):
        found = NO_BACKSLASH.search(data, start + WINDOW)  # no escape is cut in two
        end = found.end() if found else len(data)
        plain = data[start:end].replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = plain.split(b'"')
        yield b"".join(pieces[inside::2])
        inside = (inside + len(pieces) - 1) % 2
        start = end


def _give_back(_error: BaseException | None) -> None:
    """To the others, and what was much to the system: a heap keeps what lies below its top, and
    a refusal its body, as Marshmallow's errors hold themselves."""
    taken = g.pop("admitted", 0)
    if taken >= AT_ONCE // 4:
        gc.collect()
        if _trim:
            _trim(0)
    _memory.give_back(taken)
