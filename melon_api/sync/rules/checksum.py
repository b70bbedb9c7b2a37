"""The checksum that tells a device whether it holds what the server holds. Pure.

A record becomes bytes: of `id`, then of each column in the order of their names, in one piece,

    null      n
    boolean   t or f
    number    d, then the value as an IEEE 754 double in 8 bytes, big-endian
    string    s, then its UTF-8 bytes, then one byte 0

and the table's checksum is the plain sum of the records' CRC-32 (that of zip and PNG). A sum does
not mind the order; JavaScript's numbers hold it exactly for two million records.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Any

_double = struct.Struct(">cd")


def table_checksum(records: Iterable[dict[str, Any]], columns: Iterable[str]) -> tuple[int, int]:
    """(how many records, the sum of their CRC-32 over `id` and `columns`)."""
    names = ("id", *sorted(columns))
    count = total = 0
    for record in records:
        total += zlib.crc32(b"".join(_bytes(record[name]) for name in names))
        count += 1
    return count, total


def _bytes(value: Any) -> bytes:
    if value is None:
        return b"n"
    if value is True or value is False:
        return b"t" if value else b"f"
    if isinstance(value, str):
        return b"s" + value.encode() + b"\0"
    return _double.pack(b"d", value)
