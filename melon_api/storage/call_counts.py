"""How often calls were made: counted in Redis, for all processes together, and in this process's
memory where there is no Redis or while it is away.

A storage of the `limits` library, of fixed windows, so that Flask-Limiter counts in it, too.
Beyond what that library asks for it counts all windows of a call in one round trip. No failure of
Redis leaves this room.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import redis
from limits.storage import MemoryStorage, Storage

from melon_api.storage.redis import Availability, ClusterClient, connect

R = TypeVar("R")
log = logging.getLogger(__name__)

SCHEME = "melon"  # of RATELIMIT_STORAGE_URI, by which the library finds this class
PREFIX = "LIMITS:"  # of the counters' names in Redis, as the library's own storage has it

# KEYS: counters; ARGV: by how much, then the seconds that each one lives.
COUNT = """
local counts = {}
for i, key in ipairs(KEYS) do
  local calls = redis.call('INCRBY', key, ARGV[1])
  if calls == tonumber(ARGV[1]) then redis.call('EXPIRE', key, ARGV[i + 1]) end
  counts[2 * i - 1], counts[2 * i] = calls, redis.call('TTL', key)
end
return counts
"""


class Count(NamedTuple):
    """Calls in this window, and when it ends (s since the epoch)."""

    calls: int
    end: float


class CallCounts(Storage):
    """`redis_url` as in the setting REDIS_URL, or None."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - as in the library
    base_exceptions = redis.RedisError

    def __init__(self, uri: str | None = None, redis_url: str | None = None, **_: Any) -> None:
        super().__init__(uri)
        self._memory = MemoryStorage()
        self._redis: Any = connect(redis_url) if redis_url else None
        self._is_cluster = isinstance(self._redis, ClusterClient)
        self._count: Any = self._redis and self._redis.register_script(COUNT)
        self._availability = Availability(_went_away, _came_back)

    def count(self, counters: Sequence[tuple[str, int]], amount: int = 1) -> list[Count]:
        """Count a call on each of (key, seconds of its window): one round trip; in a Cluster, where
        each key has a slot of its own, one for each."""
        counts = self._ask(lambda: self._count_in_redis(counters, amount))
        return self._count_in_memory(counters, amount) if counts is None else counts

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self.count([(key, expiry)], amount)[0].calls

    def get(self, key: str) -> int:
        found = self._ask(lambda: int(self._redis.get(PREFIX + key) or 0))
        return self._memory.get(key) if found is None else found

    def get_expiry(self, key: str) -> float:
        seconds = self._ask(lambda: int(self._redis.ttl(PREFIX + key)))
        return self._memory.get_expiry(key) if seconds is None else time.time() + max(seconds, 0)

    def check(self) -> bool:
        return self._redis is None or self._ask(self._redis.ping) is not None

    def clear(self, key: str) -> None:
        self._memory.clear(key)
        self._ask(lambda: self._redis.delete(PREFIX + key))

    def reset(self) -> int | None:
        raise NotImplementedError  # as the library's interface says it; counters end by themselves

    def _ask(self, command: Callable[[], R]) -> R | None:
        return self._availability.ask(command) if self._redis else None

    def _count_in_redis(self, counters: Sequence[tuple[str, int]], amount: int) -> list[Count]:
        trips = [[counter] for counter in counters] if self._is_cluster else [counters]
        found: list[int] = []
        for trip in trips:
            keys = [PREFIX + key for key, _ in trip]
            found += self._count(keys, [amount, *(seconds for _, seconds in trip)])
        now = time.time()
        return [
            Count(calls, now + max(seconds, 0))
            for calls, seconds in zip(found[::2], found[1::2], strict=True)
        ]

    def _count_in_memory(self, counters: Sequence[tuple[str, int]], amount: int) -> list[Count]:
        return [
            Count(self._memory.incr(key, seconds, amount), self._memory.get_expiry(key))
            for key, seconds in counters
        ]


def _went_away(error: redis.RedisError) -> None:
    log.warning(
        "Redis counts no calls (%s): limits are falling back to in-memory counts, of this process",
        type(error).__name__,
    )


def _came_back() -> None:
    log.warning("Redis counts calls again")
