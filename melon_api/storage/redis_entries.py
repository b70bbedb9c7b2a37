"""What Redis holds of accounts: `<version> <as of> <value>` by key, written by one script, which
refuses what is older than it has; read, most of the time, from this process (near_cache.py).

A Redis that is away is an error here: redis_cache.py knows what to do then.
"""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import orjson
import redis

from melon_api import measures
from melon_api.storage.cache import Put
from melon_api.storage.near_cache import NearCache
from melon_api.storage.redis import connect
from melon_api.storage.redis_settings import REDIS_OPTIONS

log = logging.getLogger(__name__)

INVALIDATED_SECONDS = 300  # far longer than any reader takes from its read to its put

# KEYS: of one account. ARGV: for each key its version, the rest of its entry ('' for no value), its
# lifetime in ms. When Redis has no memory left, it refuses a script's first write unless that
# deletes: so news come through, and values do not.
PUT = """
for i, key in ipairs(KEYS) do
  local version, rest, lifetime = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local held = redis.call('GET', key)
  local known = held and tonumber(string.match(held, '^%d+')) or -1
  if tonumber(version) > known or (tonumber(version) == known and rest ~= '') then
    if rest == '' then redis.call('DEL', key) end
    redis.call('SET', key, version .. ' ' .. rest, 'PX', lifetime)
  end
end
"""


class RedisEntries:
    """One round trip a call, or none. Each raises redis.RedisError."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url, redis_connect_func=self._connected)
        self._near: NearCache | None = NearCache(
            url, REDIS_OPTIONS, self._connected_to_read, self._trusted
        )
        self._put = self._redis.register_script(PUT)
        self._trusted_from_ms = 0  # by the clock of Redis
        self._ahead_ms = 0  # how far that clock is ahead of our monotonic one

    def close(self) -> None:
        """Give its connections back, as far as no thread uses them."""
        self._redis.close()
        if self._near:
            self._near.close()

    def moment(self) -> int:
        """Now, by the clock of Redis (ms)."""
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms

    def read(self, keys: list[str]) -> list[Any]:
        """The values that can be trusted, None for the others."""
        if near := self._near:  # another thread may give it up now
            try:
                return near.read(*keys)
            except redis.ResponseError as error:
                log.warning("Redis is asked each time, as it does not tell of changes: %s", error)
                self._near = None
        entries = cast(list[bytes | None], self._redis.mget(keys))
        values = [None if entry is None else self._trusted(entry) for entry in entries]
        measures.cache_read(None not in values)
        return values

    def put(self, puts: dict[str, Put]) -> None:
        """Remember values by key; where Redis has no room for them, not."""
        entries = [
            (key, put.version, b"%d %b" % (put.as_of, orjson.dumps(put.value)), put.seconds)
            for key, put in puts.items()
        ]
        with suppress(redis.exceptions.OutOfMemoryError):  # that is no outage
            self._write(entries)

    def invalidate(self, versions: dict[str, int]) -> None:
        """Redis may answer us before it tells the processes that hold these entries; but it does
        both before it takes our next command."""
        self._write((key, version, b"", INVALIDATED_SECONDS) for key, version in versions.items())
        if self._near is not None:
            self._redis.ping()

    def _write(self, entries: Iterable[tuple[str, int, bytes, int]]) -> None:
        keys: list[str] = []
        arguments: list[int | str | bytes] = []
        for key, version, rest, seconds in entries:
            keys.append(key)
            arguments += [version, rest, seconds * 1000]
        self._put(keys, arguments)

    def _trusted(self, entry: bytes) -> Any:
        _version, rest = entry.split(b" ", 1)
        as_of, _, value = rest.partition(b" ")
        if not value or int(as_of) < self._trusted_from_ms:
            return None
        return orjson.loads(value)

    def _connected(self, connection: Any) -> None:
        now_ms = self._set_clock(connection)
        if self._near is None:
            self._trusted_from_ms = max(self._trusted_from_ms, now_ms)

    def _connected_to_read(self, connection: Any) -> None:
        self._trusted_from_ms = max(self._trusted_from_ms, self._set_clock(connection))

    def _set_clock(self, connection: Any) -> int:
        connection.on_connect()
        connection.send_command("TIME")
        seconds, microseconds = connection.read_response()
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        self._ahead_ms = now_ms - time.monotonic_ns() // 1_000_000
        return now_ms
