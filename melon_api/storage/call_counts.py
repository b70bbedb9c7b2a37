"""How often calls were made: counted in Redis, for all processes together, and in this process's
memory where there is no Redis or while it is away.

A storage of the `limits` library, of fixed windows, so that Flask-Limiter counts in it, too.
Beyond what that library asks for it counts all windows of a call in one round trip. No failure of
Redis leaves this room.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from limits.storage import MemoryStorage, Storage

from melon_api.storage.memory.leases import Taken, Window
from melon_api.storage.redis import Availability, ClusterClient, connect

R = TypeVar("R")
log = logging.getLogger(__name__)

SCHEME = "melon"  # of RATELIMIT_STORAGE_URI, by which the library finds this class
PREFIX = "LIMITS:"  # of the counters' names in Redis, as the library's own storage has it
HELD = "LEASES:"  # of those whose numbers processes hold; no plain ones

# KEYS: counters. ARGV: by how much, then of each counter the seconds that it lives, how many
# numbers all processes may hold of it (0: none, and it is a plain number as the library's), and how
# many of those that this one held it has given out.
COUNT = """
local taken = {}
for i, key in ipairs(KEYS) do
  local most, used, more, calls = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), 0, 0
  if most > 0 then
    local held = math.max(0, tonumber(redis.call('HGET', key, 'held') or 0) - used)
    more = math.max(0, math.floor((most - held) / 2))
    redis.call('HSET', key, 'held', held + more)
    calls = redis.call('HINCRBY', key, 'calls', ARGV[1] + more)
  else
    calls = redis.call('INCRBY', key, ARGV[1])
  end
  if calls == ARGV[1] + more then redis.call('EXPIRE', key, ARGV[3 * i - 1]) end
  taken[3 * i - 2], taken[3 * i - 1], taken[3 * i] = calls - more, more, redis.call('PTTL', key)
end
return taken
"""


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

    def count(self, windows: Sequence[Window], amount: int = 1) -> list[Taken]:
        """Count a call in each of them: one round trip; in a Cluster, where each key has a slot of
        its own, one for each."""
        taken = self._ask(lambda: self._count_in_redis(windows, amount))
        return self._count_in_memory(windows, amount) if taken is None else taken

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self.count([Window(key, expiry)], amount)[0].calls

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

    def _count_in_redis(self, windows: Sequence[Window], amount: int) -> list[Taken]:
        trips = [[window] for window in windows] if self._is_cluster else [windows]
        found: list[int] = []
        for trip in trips:
            arguments = [number for window in trip for number in window[1:]]
            found += self._count([_name(window) for window in trip], [amount, *arguments])
        now = time.time()
        return [
            Taken(calls, more, now + max(ms, 0) / 1000)
            for calls, more, ms in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]

    def _count_in_memory(self, windows: Sequence[Window], amount: int) -> list[Taken]:
        return [
            Taken(self._memory.incr(key, seconds, amount), 0, self._memory.get_expiry(key))
            for key, seconds, _, _ in windows
        ]


def _name(window: Window) -> str:
    return (HELD if window.most else PREFIX) + window.key


def _went_away(error: redis.RedisError) -> None:
    log.warning(
        "Redis counts no calls (%s): limits are falling back to in-memory counts, of this process",
        type(error).__name__,
    )


def _came_back() -> None:
    log.warning("Redis counts calls again")
