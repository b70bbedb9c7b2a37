"""PyMySQL, which reads the rows of a result from what has arrived: packet by packet, as it does by
itself, a hundred small rows take it longer than the server.

Only plain packets of rows that are here as a whole are read here; all others, the end of the rows,
errors and what is cut among them, by PyMySQL.
"""

from collections.abc import Iterator
from typing import Any

from pymysql.connections import Connection, MySQLResult

HEAD_BYTES = 4  # of a packet: three of its size, one of its number
# The first byte of a column: its size, or one of these, or what is longer than a buffer holds.
NULL, TWO_BYTES = 0xFB, 0xFC


class QuickConnection(Connection):  # type: ignore[misc]
    def _read_query_result(self, unbuffered: bool = False) -> int:
        if unbuffered:
            count: int = super()._read_query_result(unbuffered)
            return count
        self._result = None
        result = QuickResult(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows)


class QuickResult(MySQLResult):  # type: ignore[misc]
    connection: Any
    affected_rows: Any
    rows: Any

    def _read_rowdata_packet(self) -> None:
        rows: list[tuple[Any, ...]] = []
        connection = self.connection
        while True:
            packet = connection._read_packet()
            if self._check_packet_is_eof(packet):
                break
            rows.append(self._read_row_from_packet(packet))
            rows += self._rows_here(connection)
        self.connection = None
        self.affected_rows, self.rows = len(rows), tuple(rows)

    def _rows_here(self, connection: Any) -> list[tuple[Any, ...]]:
        """The next rows, as far as they are here already."""
        try:
            here = connection._rfile.peek()
        except OSError:
            return []  # the next packet is as far away for PyMySQL, which says so
        rows, end = [], 0
        for row, behind in _rows(here, connection._next_seq_id, self.converters):
            rows.append(row)
            end = behind
        connection._rfile.read(end)
        connection._next_seq_id = (connection._next_seq_id + len(rows)) % 256
        return rows


def _rows(
    octets: bytes, number: int, converters: list[tuple[str | None, Any]]
) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The rows at their beginning, and where each ends."""
    start, size = 0, len(octets)
    while start + HEAD_BYTES < size:
        end = start + HEAD_BYTES + int.from_bytes(octets[start : start + 3], "little")
        if end > size or octets[start + 3] != number or octets[start + HEAD_BYTES] > TWO_BYTES:
            return
        row = _row(octets[start + HEAD_BYTES : end], converters)
        if row is None:
            return
        yield row, end
        start, number = end, (number + 1) % 256


def _row(packet: bytes, converters: list[tuple[str | None, Any]]) -> tuple[Any, ...] | None:
    """None for what PyMySQL has to look at."""
    place, size = 0, len(packet)
    values: list[Any] = []
    for encoding, convert in converters:
        first = packet[place] if place < size else 0xFF
        place += 1
        if first == NULL:
            values.append(None)
            continue
        if first > TWO_BYTES:
            return None
        start, length = place, first
        if first == TWO_BYTES:
            start += 2
            length = int.from_bytes(packet[place:start], "little")
        place = start + length
        value: Any = packet[start:place]
        if encoding is not None:
            value = value.decode(encoding)
        values.append(value if convert is None else convert(value))
    return tuple(values) if place == size else None
