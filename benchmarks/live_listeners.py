"""A process that holds streams, or makes long polls, as plain sockets: the phones."""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from benchmarks.live_load import Account

AT_ONCE = 100
NEWS, RETRY, ENDS = b"event: news", b"retry: ", (b"", b"0\r\n")


@dataclass
class Heard:
    """By one phone. `events` and `ended`: when (s since the epoch); `again_ms`: what it was told
    last; `late`: of each long poll, how many seconds beyond its wait; `refused`: how often."""

    events: list[float] = field(default_factory=list)
    again_ms: int = 0
    ended: float | None = None
    late: list[float] = field(default_factory=list)
    refused: int = 0


class Listeners:
    """`opened`: how many listen, once all do."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.opened: int = pipe.recv()

    def heard(self) -> list[Heard]:
        """What each phone has heard since this was asked before."""
        self._pipe.send("heard")
        found: list[Heard] = self._pipe.recv()
        return found

    def events(self) -> dict[int, list[float]]:
        return {number: one.events for number, one in enumerate(self.heard()) if one.events}


@contextmanager
def listening(
    url: str, people: Sequence[Account], wait: float | None = None
) -> Iterator[Listeners]:
    """All of them, until the end; `wait`: by long polls of so many seconds, of which each begins at
    a time of its own."""
    ours, theirs = multiprocessing.Pipe()
    tokens = [person.phone for person in people]
    process = multiprocessing.Process(target=_listen, args=(url, tokens, wait, theirs), daemon=True)
    process.start()
    try:
        yield Listeners(ours)
    finally:
        process.kill()  # in peace it would end ten thousand tasks first
        process.join()


def _listen(url: str, tokens: list[str], wait: float | None, pipe: Connection) -> None:
    asyncio.run(Phones(url, len(tokens), wait).listen(tokens, pipe))


class Phones:
    def __init__(self, url: str, count: int, wait: float | None) -> None:
        self._place, self._wait = urlsplit(url), wait
        self._room = asyncio.Semaphore(AT_ONCE)
        self._since = int(time.time() * 1000)  # each waits for what comes
        self._heard = [Heard() for _ in range(count)]

    async def listen(self, tokens: list[str], pipe: Connection) -> None:
        kind = self._stream if self._wait is None else self._poll
        opened = [asyncio.Event() for _ in tokens]
        tasks = [
            asyncio.create_task(kind(number, token, opened[number]))
            for number, token in enumerate(tokens)
        ]
        for event in opened:
            await event.wait()
        pipe.send(len(tasks))
        while True:
            while not pipe.poll():
                await asyncio.sleep(0.2)
            pipe.recv()
            heard, self._heard = self._heard, [Heard() for _ in tokens]
            pipe.send(heard)

    async def _stream(self, number: int, token: str, opened: asyncio.Event) -> None:
        async with self._room:
            reader, _writer = await self._asked(token, self._since)
            assert b"200" in await reader.readline()
        opened.set()
        while (line := await reader.readline()) not in ENDS:
            heard = self._heard[number]
            if line.startswith(NEWS):
                heard.events.append(time.time())
            elif line.startswith(RETRY):
                heard.again_ms = int(line.removeprefix(RETRY))
        self._heard[number].ended = time.time()

    async def _poll(self, number: int, token: str, opened: asyncio.Event) -> None:
        wait, since = self._wait or 0.0, self._since
        opened.set()
        await asyncio.sleep(random.uniform(0, wait))
        while True:
            began = time.monotonic()
            reader, writer = await self._asked(token, since)
            status, body = await _answer(reader)
            writer.close()
            heard = self._heard[number]
            if status != 200:
                heard.refused += 1
                await asyncio.sleep(5 + random.uniform(0, 5))  # Retry-After, and a part of its own
            elif b"true" in body:
                heard.events.append(time.time())
                since = int(time.time() * 1000)
            else:
                heard.late.append(time.monotonic() - began - wait)

    async def _asked(self, token: str, since: int) -> tuple[asyncio.StreamReader, Any]:
        place = self._place
        reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2048)
        writer.write(request(token, since, self._wait))
        return reader, writer


def request(token: str, since: int, wait: float | None = None) -> bytes:
    query = f"since={since}" + ("" if wait is None else f"&wait={wait}")
    lines = [f"GET /api/v1/sync/live?{query} HTTP/1.1", "Host: melon"]
    lines += [] if wait is None else ["Accept: application/json", "Connection: close"]
    return "\r\n".join([*lines, f"Authorization: Bearer {token}", "", ""]).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    whole = await reader.read()
    return int(whole.split(b" ", 2)[1]), whole.partition(b"\r\n\r\n")[2]
