"""What Redis tells: one connection, subscribed to the channels of the spaces that somebody here
waits for."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from melon_api import measures
from melon_api.storage.pokes import PREFIX, Poke, channel
from melon_api.storage.redis_settings import redis_servers

log = logging.getLogger(__name__)

ALWAYS = "melon:poked"  # no poke's: a channel that keeps the connection what it is
CONFIRM_SECONDS = 1.0
PING_SECONDS, SILENT_SECONDS = 1.0, 3.0
AGAIN_SECONDS = (0.2, 0.8)
SURE_SECONDS = 3.0
CHANNELS_AT_ONCE = 1_000
OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "retry": Retry(NoBackoff(), 0),
    "health_check_interval": 0,
}


class Ear:
    """`hear` is called with each poke, in the loop. `is_hearing`: whether nothing is missed."""

    def __init__(self, url: str, hear: Callable[[str, Poke], None]) -> None:
        self._url, self._hear = url, hear
        self._pubsub: Any = None
        self._wanted: set[str] = set()
        self._confirmed: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._unanswered = Counter[str]()  # commands of a name: the last one's answer counts
        self.is_hearing = False
        self._found = 0.0  # when (s, monotonic)
        self._was_lost = False

    @property
    def is_sure(self) -> bool:
        """Whether it has been hearing for so long that nothing from before is left to be found."""
        return self.is_hearing and time.monotonic() > self._found + SURE_SECONDS

    async def run(self) -> None:
        """Listen, and again when Redis was away."""
        while True:
            try:
                await self._listen()
            except (redis.RedisError, OSError, TimeoutError) as error:
                self._lose(error)
            await asyncio.sleep(random.uniform(*AGAIN_SECONDS))  # noqa: S311 - jitter

    async def listen_to(self, space_ids: Iterable[str]) -> None:
        """Returns when Redis tells of these spaces, too; soon where it is away."""
        names = {channel(space_id) for space_id in space_ids}
        self._wanted |= names
        new = [name for name in names - self._confirmed if name not in self._waiting]
        if self._pubsub is None:
            return
        loop = asyncio.get_running_loop()
        self._waiting |= {name: loop.create_future() for name in new}
        waiting = [self._waiting[name] for name in names if name in self._waiting]
        if new:
            self._unanswered.update(new)
            await self._send(self._pubsub.subscribe, new)
        if waiting:
            await asyncio.wait(waiting, timeout=CONFIRM_SECONDS)

    async def forget(self, space_ids: Iterable[str]) -> None:
        """Nobody waits for these spaces any more."""
        names = {channel(space_id) for space_id in space_ids} & self._wanted
        self._wanted -= names
        self._confirmed -= names
        for name in names & self._waiting.keys():
            self._waiting.pop(name).set_result(None)
        if names and self._pubsub is not None:
            self._unanswered.update(names)
            await self._send(self._pubsub.unsubscribe, names)

    async def _send(self, command: Any, names: Iterable[str]) -> None:
        """What fails here, the one who listens meets as well."""
        try:
            await command(*names)
        except (redis.RedisError, OSError, TimeoutError) as error:
            log.debug("Redis was not told which spaces: %s", type(error).__name__)

    async def _listen(self) -> None:
        """Until Redis is lost. Raises redis.RedisError, OSError, TimeoutError."""
        client = _client(self._url)
        pubsub = client.pubsub()
        try:
            async with asyncio.timeout(SILENT_SECONDS):  # one may take connections and say nothing
                await pubsub.subscribe(ALWAYS)
                self._pubsub = pubsub
                await self._subscribe_again()
            await self._read(pubsub)
        finally:
            self._pubsub, self.is_hearing = None, False
            self._confirmed.clear()
            self._unanswered.clear()
            self._release()
            await pubsub.aclose()
            await client.aclose()

    async def _subscribe_again(self) -> None:
        names = sorted(self._wanted)
        loop = asyncio.get_running_loop()
        self._waiting = {name: loop.create_future() for name in names}
        self._unanswered.update(names)
        for first in range(0, len(names), CHANNELS_AT_ONCE):
            await self._pubsub.subscribe(*names[first : first + CHANNELS_AT_ONCE])

    async def _read(self, pubsub: Any) -> None:
        heard = asked = time.monotonic()
        while True:
            message = await pubsub.get_message(timeout=PING_SECONDS)
            now = time.monotonic()
            if message is not None:
                heard = now
                self._take(message)
            if not self.is_hearing and self._confirmed >= self._wanted and message is not None:
                self._find()
            if now > heard + SILENT_SECONDS:
                raise redis.ConnectionError("Redis says nothing.")
            if now > asked + PING_SECONDS:
                asked = now
                await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        kind, name, data = message["type"], message["channel"], message["data"]
        name = name.decode() if isinstance(name, bytes) else name
        if kind in ("subscribe", "unsubscribe"):
            self._unanswered[name] -= 1
            if self._unanswered[name] > 0:
                return
            del self._unanswered[name]
        if kind == "subscribe" and name in self._wanted:
            self._confirmed.add(name)
            if future := self._waiting.pop(name, None):
                future.set_result(None)
        elif kind == "message" and name.startswith(PREFIX):
            try:
                poke = Poke(*map(int, data.split()))
            except (ValueError, TypeError):
                log.warning("a word on %s is no poke", PREFIX)
                return
            self._hear(name.removeprefix(PREFIX), poke)

    def _release(self) -> None:
        for future in self._waiting.values():
            future.set_result(None)
        self._waiting.clear()

    def _find(self) -> None:
        self.is_hearing, self._found = True, time.monotonic()
        if self._was_lost:
            log.warning("Redis answers again: phones are told at once")
        self._was_lost = False

    def _lose(self, error: Exception) -> None:
        if not self._was_lost:
            measures.redis_lost()
            log.warning("Redis does not answer (%s): reading clocks", type(error).__name__)
        self._was_lost = True


def _client(url: str) -> Any:
    """Of a Cluster any node tells what all are told."""
    servers = redis_servers(url)
    if servers is None:
        return redis.asyncio.Redis.from_url(url, **OPTIONS)
    options = servers.options | OPTIONS
    if servers.service:
        sentinel = Sentinel(list(servers.hosts), sentinel_kwargs=OPTIONS | servers.sentinel_options)
        return sentinel.master_for(servers.service, **options)
    host, port = random.choice(servers.hosts)  # noqa: S311 - the next time another one
    return redis.asyncio.Redis(host=host, port=port, **options)
