"""The database is asked again and again, of a few hundred sessions at a time, which of them live
and where the clocks of their spaces stand. So a session that has ended loses its streams, and what
no poke told is told: where Redis is away, or not there at all."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from melon_api.live.desk import Desk
from melon_api.live.spaces import MOST_AT_ONCE, Clocks
from melon_api.live.stream import Stream

log = logging.getLogger(__name__)

Read = Callable[[Collection[tuple[str, str]]], Mapping[str, Clocks]]

# How old may be what is known of a stream, in seconds.
AGE_HEARING, AGE_AWAY, AGE_WITHOUT_REDIS = 2.5, 1.2, 0.25
TURN_SECONDS = 0.25
BACKOFF_SECONDS = 1.0  # of a database that is away


class Watch:
    """`read`: spaces.read, in a thread; `age`: how old, at the moment."""

    def __init__(self, desk: Desk, read: Read, age: Callable[[], float]) -> None:
        self._desk, self._read, self._age = desk, read, age
        self._thread = ThreadPoolExecutor(1, "live watch")
        self._called = asyncio.Event()
        self._is_away = False

    def call(self) -> None:
        """Somebody is in doubt: look now."""
        self._called.set()

    async def run(self, listen: Callable[[set[str]], None]) -> None:
        """`listen` is called with spaces that are new."""
        while True:
            due = self._desk.take_doubtful() + self._due()
            for first in range(0, len(due), MOST_AT_ONCE):
                await self._look(due[first : first + MOST_AT_ONCE], listen)
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await self._called.wait()
            except TimeoutError:
                continue
            self._called.clear()

    def _due(self) -> list[Stream]:
        now, age = time.monotonic(), self._age()
        return [stream for stream in self._desk if now > stream.checked + age]

    async def _look(self, streams: Sequence[Stream], listen: Callable[[set[str]], None]) -> None:
        asked = time.monotonic()
        sessions = {(stream.session_id, stream.user_id) for stream in streams}
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._read, sessions)
        except SQLAlchemyError as error:
            if not self._is_away:
                log.warning("the database does not answer: %s", type(error).__name__)
            self._is_away = True
            await asyncio.sleep(BACKOFF_SECONDS)
            return
        if self._is_away:
            log.warning("the database answers again")
        self._is_away = False
        if new := self._desk.see(streams, found, asked):
            listen(new)
