"""PyMySQL, which reads a result from what has arrived: octets by octets, as it does by itself, it
takes longer for a hundred small rows, and for what heads a small result, than the server does.

Only plain packets that are here as a whole are read here; all others, errors and what is cut among
them, by PyMySQL.
"""

from typing import Any

from pymysql.connections import Connection, MySQLResult
from pymysql.protocol import MysqlPacket

HEAD_BYTES = 4  # of a packet: three of its size, one of its number
ERROR = 0xFF  # the first byte of such a packet
# The first byte of a column: its size, or one of these, or what is longer than a buffer holds.
NULL, TWO_BYTES = 0xFB, 0xFC
OCTETS = [(None, None)]  # how a row of one binary column is converted
MOST_KNOWN = 200  # headings of results that a connection remembers


class QuickConnection(Connection):  # type: ignore[misc]
    _next_seq_id: int

    def __init__(self, *args: Any, **options: Any) -> None:
        self._headings: dict[bytes, tuple[Any, Any, Any]] = {}
        super().__init__(*args, **options)

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        here = self._here() if self._current_timeout == self._read_timeout else b""
        end = HEAD_BYTES + int.from_bytes(here[:3], "little")
        is_plain = HEAD_BYTES < end <= len(here) and here[HEAD_BYTES] != ERROR
        if not is_plain or here[3] != self._next_seq_id:
            return super()._read_packet(packet_type)
        self._take(end, 1)
        return packet_type(here[HEAD_BYTES:end], self.encoding)

    def _here(self) -> bytes:
        """What has arrived, as far as it is buffered; what comes next, when nothing has."""
        try:
            here: bytes = self._rfile.peek()
        except OSError:
            return b""  # the next packet is as far away for PyMySQL, which says so
        return here

    def _take(self, octets: int, packets: int) -> None:
        self._rfile.read(octets)
        self._next_seq_id = (self._next_seq_id + packets) % 256

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

    def _get_descriptions(self) -> None:
        """What heads a result is the same octets whenever a statement is asked again."""
        connection, packets = self.connection, self.field_count + 1
        here = connection._here()
        end = _end(here, connection._next_seq_id, packets)
        headings, octets = connection._headings, here[:end]
        if end and octets in headings:
            self.fields, self.converters, self.description = headings[octets]
            connection._take(end, packets)
            return
        super()._get_descriptions()
        if end and len(headings) < MOST_KNOWN:
            headings[octets] = self.fields, self.converters, self.description

    def _read_rowdata_packet(self) -> None:
        connection = self.connection
        rows = self._rows_here(connection)
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
        octets, number = connection._here(), connection._next_seq_id
        if self.converters == OCTETS:
            rows, end = _octets(octets, number)
        else:
            rows, end = _rows(octets, number, self.converters)
        connection._take(end, len(rows))
        return rows


def _end(octets: bytes, number: int, packets: int) -> int:
    """Of so many packets at their beginning; 0 when they are not all here, in their order."""
    end, size = 0, len(octets)
    for count in range(packets):
        start = end
        end += HEAD_BYTES + int.from_bytes(octets[start : start + 3], "little")
        if end > size or octets[start + 3] != (number + count) % 256:
            return 0
    return end


def _rows(
    octets: bytes, number: int, converters: list[tuple[str | None, Any]]
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows at their beginning, and where they end."""
    rows: list[tuple[Any, ...]] = []
    start, size = 0, len(octets)
    while start + HEAD_BYTES < size:
        length = octets[start] | octets[start + 1] << 8 | octets[start + 2] << 16
        end = start + HEAD_BYTES + length
        if end > size or octets[start + 3] != number or octets[start + HEAD_BYTES] > TWO_BYTES:
            break
        row = _row(octets[start + HEAD_BYTES : end], converters)
        if row is None:
            break
        rows.append(row)
        start, number = end, (number + 1) % 256
    return rows, start


def _octets(octets: bytes, number: int) -> tuple[list[tuple[Any, ...]], int]:
    """The same of one column that is taken as it comes: no call for a row that can be spared."""
    rows: list[tuple[Any, ...]] = []
    start, size = 0, len(octets)
    while start + HEAD_BYTES < size:
        place = start + HEAD_BYTES
        end = place + (octets[start] | octets[start + 1] << 8 | octets[start + 2] << 16)
        first = octets[place]
        if end > size or octets[start + 3] != number:
            break
        if first < NULL:
            value, length = place + 1, first
        elif first == TWO_BYTES and end > place + 2:
            value, length = place + 3, octets[place + 1] | octets[place + 2] << 8
        else:
            break
        if value + length != end:
            break
        rows.append((octets[value:end],))
        start, number = end, (number + 1) % 256
    return rows, start


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
