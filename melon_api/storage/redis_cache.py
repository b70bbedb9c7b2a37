"""What Redis remembers of accounts (see cache.py for the promise), shared by all processes."""

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import orjson
import redis
from flask import Flask

from config import REDIS_OPTIONS, redis_servers
from melon_api import measures
from melon_api.storage.cache import NoCache, Put, cache
from melon_api.storage.near_cache import NearCache
from melon_api.storage.redis import connect

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
AWAY_SECONDS = 1  # how long Redis is left alone after it has not answered
LONG_SECONDS = 0.2  # no Redis starts again, no replica takes its place in so short a time
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


class RedisCache:
    """One round trip a call; never raises for a Redis that is away."""

    remembers = True

    def __init__(self, url: str) -> None:
        self._redis = connect(url, redis_connect_func=self._connected)
        self._near: NearCache | None = NearCache(
            url, REDIS_OPTIONS, self._connected_to_read, self._trusted
        )
        self._put = self._redis.register_script(PUT)
        self._trusted_from_ms = 0  # by the clock of Redis
        self._ahead_ms = 0  # how far that clock is ahead of our monotonic one
        self._away_until = 0.0  # s, monotonic; 0 while Redis answers
        self._pending: dict[str, tuple[int, float]] = {}  # key: version, until when (s, monotonic)
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._thread = threading.local()  # whether the request at hand has something pending

    def close(self) -> None:
        """Give its connections back, as far as no thread uses them."""
        self._redis.close()
        if self._near:
            self._near.close()

    def moment(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms

    def read(self, account_id: str, *names: str) -> list[Any]:
        keys = [_key(account_id, name) for name in names]
        return self._ask(lambda: self._values(keys)) or [None] * len(names)

    def put(self, account_id: str, *puts: Put) -> None:
        entries = [
            (
                _key(account_id, p.name),
                p.version,
                b"%d %b" % (p.as_of, orjson.dumps(p.value)),
                p.seconds,
            )
            for p in puts
        ]
        self._ask(lambda: self._run_where_there_is_room(entries))

    def invalidate(self, account_id: str, versions: dict[str, int]) -> None:
        by_key = {_key(account_id, name): version for name, version in versions.items()}
        sent = self._thread.__dict__.setdefault("sent", {})
        if not sent:
            self._thread.sent_at = time.monotonic()
        sent.update(by_key)
        self._send_or_defer(by_key)

    def flush(self) -> None:
        sent = self._thread.__dict__.pop("sent", None)
        if sent and time.monotonic() - self._thread.sent_at > LONG_SECONDS:
            self._send_or_defer(sent)
        if getattr(self._thread, "pending", False):
            self._thread.pending = False
            self._try(lambda: True)

    def settle(self) -> None:
        self.flush()
        if self._pending:
            log.warning("waiting until Redis has been told, at most %d s", INVALIDATED_SECONDS)
        while self._pending:
            time.sleep(SETTLE_SECONDS)

    def _values(self, keys: list[str]) -> list[Any]:
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

    def _trusted(self, entry: bytes) -> Any:
        _version, rest = entry.split(b" ", 1)
        as_of, _, value = rest.partition(b" ")
        if not value or int(as_of) < self._trusted_from_ms:
            return None
        return orjson.loads(value)

    def _send_or_defer(self, by_key: dict[str, int]) -> None:
        """Tried even where Redis was away a moment ago: other workers may have it back already."""
        if self._try(lambda: self._send(by_key)) is None:
            self._defer(by_key)

    def _send(self, by_key: dict[str, int]) -> bool:
        """Redis may answer us before it tells the processes that hold these entries; but it does
        both before it takes our next command."""
        self._run(_invalidations(by_key))
        return self._near is None or bool(self._redis.ping())

    def _run(self, entries: Iterable[tuple[str, int, bytes, int]]) -> bool:
        keys: list[str] = []
        arguments: list[int | str | bytes] = []
        for key, version, rest, seconds in entries:
            keys.append(key)
            arguments += [version, rest, seconds * 1000]
        self._put(keys, arguments)
        return True

    def _run_where_there_is_room(self, entries: Iterable[tuple[str, int, bytes, int]]) -> None:
        with suppress(redis.exceptions.OutOfMemoryError):  # that is no outage
            self._run(entries)

    def _ask(self, command: Any) -> Any:
        """What Redis answers, None when it does not; while it is away, one thread asks."""
        if not self._away_until:
            return self._try(command)
        if time.monotonic() < self._away_until or not self._probing.acquire(blocking=False):
            return None
        try:
            return self._try(command)
        finally:
            self._probing.release()

    def _try(self, command: Any) -> Any:
        try:
            if self._pending:
                self._flush()
            answer = command()
        except redis.RedisError as error:
            self._went_away(error)
            return None
        if self._away_until:
            self._away_until = 0.0
            log.warning("Redis answers again")
        return answer

    def _went_away(self, error: redis.RedisError) -> None:
        if not self._away_until:
            measures.redis_lost()
            log.warning("Redis does not answer (%s): reading the database", type(error).__name__)
        self._away_until = time.monotonic() + AWAY_SECONDS

    def _defer(self, by_key: dict[str, int]) -> None:
        """Remember what Redis must be told, and see to it that it is, even if nobody calls."""
        self._thread.pending = True
        until = time.monotonic() + INVALIDATED_SECONDS  # no value lives longer
        with self._lock:
            is_first = not self._pending
            self._pending |= {key: (version, until) for key, version in by_key.items()}
        if is_first:
            threading.Thread(target=self._flush_soon, name="cache flush", daemon=True).start()

    def _flush_soon(self) -> None:
        """Others may still trust what they must not: no waiting for AWAY_SECONDS here."""
        while self._pending:
            time.sleep(SETTLE_SECONDS)
            with self._probing:
                self._try(lambda: True)

    def _flush(self) -> None:
        with self._lock:
            pending = dict(self._pending)
        for key, (version, until) in pending.items():
            if time.monotonic() < until:
                self._send({key: version})
            with self._lock:
                if self._pending.get(key) == (version, until):
                    del self._pending[key]

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


def init_app(app: Flask) -> None:
    url = app.config["REDIS_URL"]
    is_single = url and not redis_servers(url)
    app.extensions["account_cache"] = RedisCache(url) if is_single else NoCache()
    app.after_request(_flush)


def _flush(response: Any) -> Any:
    """What was pending before the commit is sent before the answer: between the two another worker
    may have put the old state into a Redis that was just back."""
    cache().flush()
    return response


def _key(account_id: str, name: str) -> str:
    """One account's keys are in one slot of a Redis Cluster, so that one script may touch them."""
    return f"melon:{{{account_id}}}:{name}"


def _invalidations(by_key: dict[str, int]) -> list[tuple[str, int, bytes, int]]:
    return [(key, version, b"", INVALIDATED_SECONDS) for key, version in by_key.items()]
