"""One who waits for news: a stream of events, or a long poll."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from melon_api import measures
from melon_api.auth.sessions import session_number

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

QUIET_SECONDS = (12.0, 20.0)  # then a comment; 25 is the contract's most
TOGETHER_SECONDS = 0.1  # commits within it may be one event
COME_AGAIN_MS = (1_000, 5_000)
NEWS = b"event: news\ndata: {}\n\n"
COMMENT = b":\n\n"  # with it when to come again: some clients' libraries show that, and no comment


class Stream:
    """Of a session: `known` is how far it has been told, or knew before, by space (their clocks);
    `checked` when the database last said that the session lives (s, monotonic)."""

    def __init__(self, session_id: str, user_id: str, since: int) -> None:
        self.session_id, self.user_id, self.since = session_id, user_id, since
        self.session = session_number(session_id)
        self.known = {user_id: since}
        self.checked = time.monotonic()
        self.end_reason: str | None = None
        self.told = 0  # times
        self._has_news = False
        self._clock: int | None = None  # of the commit that it waits to be told of
        self._wake = asyncio.Event()

    def tell(self, space_id: str, clock: int, *, is_now: bool = False) -> None:
        """There is news in this space, whose clock is there; `is_now`: it was committed just now"""
        self.known[space_id] = max(clock, self.known.get(space_id, 0))
        if is_now and self._clock is None:
            self._clock = clock
        self._has_news = True
        self._wake.set()

    def end(self, reason: str) -> None:
        """What it was told last holds; nothing more is said."""
        self.end_reason = self.end_reason or reason
        self._wake.set()

    @property
    def has_something(self) -> bool:
        return self._has_news or self.end_reason is not None

    async def wait(self, seconds: float) -> None:
        """Returns when there is news, when it has ended, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        if self.end_reason is None:
            self._wake.clear()

    def take_news(self) -> bool:
        """Whether there is news that it was not told, once."""
        news, self._has_news = self._has_news and self.end_reason is None, False
        if news:
            self.told += 1
            clock, self._clock = self._clock, None
            measures.live_told(None if clock is None else time.time() - clock / 1000)
        return news


async def send_events(stream: Stream, send: Send) -> None:
    """Server-sent events (HTML, 9.2), until the stream ends or nobody reads it."""
    await _send(send, _come_again())
    due = _next_comment()
    while True:
        if stream.take_news():
            await _send(send, NEWS)
            await asyncio.sleep(TOGETHER_SECONDS)
        if stream.end_reason is not None:
            break
        if time.monotonic() >= due:  # however often there is news
            await _send(send, COMMENT + _come_again())
            due = _next_comment()
        await stream.wait(max(0.0, due - time.monotonic()))
    await _send(send, _come_again(), more=False)


async def send_verdict(stream: Stream, send: Send, wait: float) -> None:
    """A long poll's answer: when there is news, else after `wait` seconds."""
    await stream.wait(wait)
    await _send(send, b'{"news":true}' if stream.take_news() else b'{"news":false}', more=False)


def _next_comment() -> float:
    return time.monotonic() + random.uniform(*QUIET_SECONDS)  # noqa: S311 - so is all here: jitter


def _come_again() -> bytes:
    return b"retry: %d\n\n" % random.randint(*COME_AGAIN_MS)  # noqa: S311


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
