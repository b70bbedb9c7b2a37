"""The checksum that tells a device whether it holds what the server holds.

A record becomes bytes: of `id`, then of each column in the order of their names, in one piece,

    null      n
    boolean   t or f
    number    d, then the value as an IEEE 754 double in 8 bytes, big-endian
    string    s, then its UTF-8 bytes, then one byte 0

and the table's checksum is the plain sum of the records' CRC-32 (that of zip and PNG). A sum does
not mind the order; JavaScript's numbers hold it exactly for two million records.
"""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from melon_api.sync.rules.kinds.texts import Text
from melon_api.sync.rules.tables import Column

NULL = b"n"


def table_checksum(records: Iterable[dict[str, Any]], columns: Iterable[Column]) -> tuple[int, int]:
    """(how many records, the sum of their CRC-32 over `id` and `columns`)."""
    named = sorted((column.name, column.kind.checksum) for column in columns)
    parts = [("id", Text.checksum), *named]
    count = total = 0
    for record in records:
        values = [(record[name], as_bytes) for name, as_bytes in parts]
        total += zlib.crc32(
            b"".join([NULL if v is None else as_bytes(v) for v, as_bytes in values])
        )
        count += 1
    return count, total


def value_digest(column: Column, value: Any) -> str:
    """A value in 64 bits, as text: enough to know one again that a device sends twice."""
    known = NULL if value is None else column.kind.checksum(value)
    return hashlib.blake2b(known, digest_size=8).hexdigest()


@dataclass(frozen=True)
class DeviceTable:
    """What a device holds of a table, over `columns` beside the id."""

    columns: tuple[str, ...]
    count: int
    checksum: int
