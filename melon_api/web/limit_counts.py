"""Counting calls in Redis, all of a request's limits in one round trip.

Flask-Limiter asks about each limit by itself, and again for each header. Whoever knows beforehand
what it will ask has it counted here; Flask-Limiter then finds the answers, and judges.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from limits.storage import RedisStorage

from melon_api.storage.redis import ClusterClient, connect

KINDS = ("+cluster", "+sentinel")
SCHEME = "counted+"  # before that of Redis, in RATELIMIT_STORAGE_URI

# KEYS: counters; ARGV: the seconds that each one lives. As the library's own script counts.
COUNT = """
local told = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('EXPIRE', key, ARGV[i]) end
  told[2 * i - 1], told[2 * i] = count, redis.call('TTL', key)
end
return told
"""


class Count(NamedTuple):
    """Calls in this window, and when it ends (s since the epoch)."""

    calls: int
    end: float


class CountedStorage(RedisStorage):
    """The library's storage in Redis, which knows what was counted beforehand in this thread.

    By our client: the library's own for a Cluster asks Redis at the start, that for Sentinels
    reads from replicas. In a Cluster each counter is in a slot, and so a round trip, of its own.
    """

    STORAGE_SCHEME = [  # noqa: RUF012 - as in the library
        f"{SCHEME}{tls}{kind}" for tls in ("redis", "rediss") for kind in ("", *KINDS)
    ]

    def __init__(self, uri: str, key_prefix: str = RedisStorage.PREFIX, **_: Any) -> None:
        self.key_prefix, self.target_server = key_prefix, "redis"
        super(RedisStorage, self).__init__(uri)
        self.dependency = self.dependencies["redis"].module
        self.storage = connect(uri.removeprefix(SCHEME))
        self.initialize_storage(uri)
        self._is_cluster = isinstance(self.storage, ClusterClient)
        self._count = self.storage.register_script(COUNT)
        self._thread = threading.local()

    def count(self, counters: Sequence[tuple[str, int]]) -> list[Count]:
        """Count a call on each of (key, seconds of its window). Raises redis.RedisError."""
        self._thread.asked, self._thread.unasked = {}, set()
        keys = [self.prefixed_key(key) for key, _ in counters]
        lives = [seconds for _, seconds in counters]
        if self._is_cluster:
            told = [
                n for key, life in zip(keys, lives, strict=True) for n in self._count([key], [life])
            ]
        else:
            told = self._count(keys, lives)
        now = time.time()
        counts = [Count(told[i], now + max(told[i + 1], 0)) for i in range(0, len(told), 2)]
        self._thread.asked = {key: n for (key, _), n in zip(counters, counts, strict=True)}
        self._thread.unasked = set(self._thread.asked)
        return counts

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        if known := self._known(key):
            if key in self._thread.unasked:
                self._thread.unasked.remove(key)
                return known.calls
            del self._thread.asked[key]
        return super().incr(key, expiry, amount)

    def get(self, key: str) -> int:
        known = self._known(key)
        return known.calls if known else super().get(key)

    def get_expiry(self, key: str) -> float:
        known = self._known(key)
        return known.end if known else super().get_expiry(key)

    def _known(self, key: str) -> Count | None:
        found: Count | None = getattr(self._thread, "asked", {}).get(key)
        return found
