"""Rows that are read from what has arrived are those that PyMySQL reads packet by packet."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
from conftest import SERVERS, missing, want_servers
from pymysql.connections import Connection
from pymysql.protocol import FieldDescriptorPacket

from melon_api.storage import driver
from melon_api.storage.driver import QuickConnection

QUERIES = [
    "SELECT 1",
    "SELECT 1 FROM dual WHERE 1 = 0",
    "SELECT NULL, '', 'é\U0001f348', x'00ff', 1.50, 2e0, NOW(6), CURDATE(), SEC_TO_TIME(5), TRUE",
    "SELECT NULL UNION ALL SELECT NULL UNION ALL SELECT 'x'",
    "SELECT JSON_ARRAY('a', 1, NULL), CAST('{}' AS BINARY)",
    *(f"SELECT REPEAT('ä', {n}), {n} UNION ALL SELECT 'b', 2" for n in (124, 125, 126, 4_000)),
    *(f"SELECT REPEAT('x', {n}) UNION ALL SELECT 'y'" for n in (250, 251, 252, 8_170, 8_192)),
    *(f"SELECT REPEAT('x', {n}) UNION ALL SELECT 'y'" for n in (65_535, 65_536, 16_777_300)),
]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    want_servers()
    place = urlsplit(SERVERS[request.param])
    options = {"host": place.hostname, "port": place.port, "user": place.username}
    options |= {"password": place.password, "max_allowed_packet": 1 << 25, "read_timeout": 60}
    try:
        pymysql.connect(**options).close()
    except pymysql.OperationalError:
        missing(request.param)
    return options


@pytest.fixture
def both(server: dict[str, Any]) -> Iterator[tuple[Connection, QuickConnection]]:
    pair = Connection(**server), QuickConnection(**server)
    yield pair
    for connection in pair:
        connection.close()


def told(connection: Connection, query: str) -> Any:
    """All that a cursor says of a query."""
    with connection.cursor() as cursor:
        try:
            count = cursor.execute(query)
        except pymysql.Error as error:
            return error.args
        return count, cursor.rowcount, cursor.fetchall(), cursor.description


def counted(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> list[None]:
    """One for each call of PyMySQL's own from now on."""
    calls: list[None] = []
    own = getattr(where, name)
    monkeypatch.setattr(where, name, lambda *given: calls.append(None) or own(*given))
    return calls


def numbers(rows: int) -> str:
    """So many rows of 1, 2, 3 …"""
    digits = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
    places = ", ".join(f"({digits}) AS t{place}" for place in range(4))
    number = "1 + t0.d + 10 * t1.d + 100 * t2.d + 1000 * t3.d"
    return f"(SELECT {number} AS n FROM {places} ORDER BY n LIMIT {rows}) AS numbers"


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_the_same_is_read(both: tuple[Connection, QuickConnection], query: str) -> None:
    plain, quick = both
    # The largest wants a server that sends it: else both say the same of that, too.
    expected, found = told(plain, query), told(quick, query)
    if "NOW" in query:
        expected, found = repr(expected)[:60], repr(found)[:60]
    assert found == expected
    assert told(quick, "SELECT 2") == told(plain, "SELECT 2")
    again = told(quick, query)  # what heads the result is known now
    assert (repr(again)[:60] if "NOW" in query else again) == expected


def test_many_rows_of_any_length_are_read(both: tuple[Connection, QuickConnection]) -> None:
    """More than a buffer holds, and than a packet's number counts."""
    plain, quick = both
    chance = random.Random(8)
    for _ in range(30):
        most, rows = chance.choice([3, 60, 400, 3_000]), chance.randint(1, 1_500)
        text = f"REPEAT(CHAR(97 + n % 26), n * {chance.randint(1, 10_000)} % {most})"
        octets = f"IF(n % {chance.randint(2, 900)}, CAST({text} AS BINARY), NULL)"
        for columns in (f"n, {text}, IF(n % 7, n, NULL)", octets):
            query = f"SELECT {columns} FROM {numbers(rows)} ORDER BY n"
            assert told(quick, query) == told(plain, query)


def test_most_rows_are_read_at_once(
    both: tuple[Connection, QuickConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = both
    for column in ("n", "CAST(n AS BINARY)"):
        packets = counted(monkeypatch, Connection, "_read_packet")
        assert len(told(quick, f"SELECT {column} FROM {numbers(1_000)}")[2]) == 1_000
        assert len(packets) < 100


def test_octets_are_read_without_a_call_for_each(
    both: tuple[Connection, QuickConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = both
    read = counted(monkeypatch, driver, "_row")
    told(quick, f"SELECT CAST(n AS BINARY) FROM {numbers(100)}")
    assert not read


def test_what_heads_a_result_is_read_once_while_it_is_the_same(
    both: tuple[Connection, QuickConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, quick = both
    parsed = counted(monkeypatch, FieldDescriptorPacket, "_parse_field_descriptor")
    queries = ["SELECT 1 AS a, 'x' AS b", "SELECT 1 AS a, 'x' AS c", "SELECT '1' AS a, 'x' AS b"]
    for query in queries * 3:
        assert told(quick, query)[2:] == told(plain, query)[2:]
    assert len(parsed) == 2 * len(queries) * (3 + 1)


def test_not_more_headings_are_kept_than_some(
    both: tuple[Connection, QuickConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MOST_KNOWN", 2)
    plain, quick = both
    for number in range(5):
        query = f"SELECT {number} AS a{number}"
        assert told(quick, query) == told(plain, query)
    assert len(quick._headings) == 2


def test_headings_of_every_length_are_read(both: tuple[Connection, QuickConnection]) -> None:
    """Also those that no buffer holds as a whole, and of more packets than a number counts."""
    plain, quick = both
    for columns in (1, 40, 200, 253, 254, 255, 256, 257, 300):
        query = "SELECT " + ", ".join(f"{n} AS a_column_{n}" for n in range(columns))
        assert told(quick, query) == told(quick, query) == told(plain, query)


def test_an_error_behind_some_rows_is_raised(both: tuple[Connection, QuickConnection]) -> None:
    plain, quick = both
    query = f"SELECT IF(n < 40, n, (SELECT 1 UNION SELECT 2)) FROM {numbers(50)} ORDER BY n"
    assert told(quick, query) == told(plain, query)
    assert told(quick, query)[0] == 1242
    assert told(quick, "SELECT 3")[2] == ((3,),)


def test_rows_that_stop_coming_are_a_lost_connection(server: dict[str, Any]) -> None:
    """By the time-out for each read, and where the server ends."""
    quick = QuickConnection(**server | {"read_timeout": 1})
    slow = f"SELECT n, REPEAT('x', 3000), SLEEP(IF(n = 30, 8, 0)) FROM {numbers(60)}"
    assert told(quick, slow)[0] == 2013
    assert not quick.open
    cut = QuickConnection(**server)
    other = pymysql.connect(**server)
    read = driver.QuickResult._rows_here

    killed = []

    def kill(self: Any, connection: Any) -> Any:
        if not killed:
            with other.cursor() as cursor:
                killed.append(cursor.execute(f"KILL {connection.thread_id()}"))
        return read(self, connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver.QuickResult, "_rows_here", kill)
        assert told(cut, slow)[0] in (2013, 2006, 1317, 1927)
    other.close()


@pytest.mark.parametrize(
    "octets",
    [b"", b"\x02\0\0", b"\x02\0\0\x01", b"\x02\0\0\x01\x01", b"\x02\0\0\x02\x01a",
     b"\x05\0\0\x01\xfe\0\0\x02\0", b"\x03\0\0\x01\xff\x01\x04", b"\x02\0\0\x01\x05a",
     b"\x03\0\0\x01\x01ab", b"\0\0\0\x01\x01\0\0\x02", b"\x01\0\0\x01\xfc"],
)  # fmt: skip
def test_what_is_no_whole_plain_row_is_left(octets: bytes) -> None:
    """Cut, of another number, an end, an error, a column that is too long or too short."""
    whole = b"\x02\0\0\0\x01z"
    plain = [("utf8", None)]
    assert driver._rows(octets, 1, plain) == ([], 0)
    assert driver._rows(whole + octets, 0, plain) == ([("z",)], len(whole))
    assert driver._octets(octets, 1) == ([], 0)
    assert driver._octets(whole + octets, 0) == ([(b"z",)], len(whole))
