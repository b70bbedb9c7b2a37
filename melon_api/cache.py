"""What Redis remembers of accounts, so that most requests need no database; and what this process
remembers of Redis (near_cache.py), so that most need no Redis.

The promise: no entry is served that is older than a committed change, on any worker. It is kept by
versions, which only grow, and by asking the database whenever there is doubt:

- Whoever changes something *outdates* its entry before the commit: from then on Redis holds the new
  version's number without a value. Readers go to the database, and one that has read the old
  state cannot put it back, because a put of an older version is refused (one script, atomic).
- A reader who found nothing puts what the database said. Nobody but readers puts values, so a
  worker killed between its commit and anything else leaves nothing wrong behind.
- Redis away: everything is read from the database, one warning is logged. What could not be
  outdated meanwhile is owed, and told to Redis as soon as it is back.
- After each new connection to read by (Redis was restarted, the network was cut) values that were
  read from the database before it are not trusted, because an outdating may have been lost.
- What was outdated long before its commit is outdated again after: Redis may have forgotten it
  between the two, and somebody read and put what was not yet changed.
- In a Redis Cluster or behind Sentinels, a replica may take over that has not heard of an
  outdating, some workers hear of it before others, and nobody's connection breaks for it. There
  nothing is cached: the database is asked, with one statement for session, profile and clock.

What is left: a worker cut off from Redis while others are not tells them its news when it can, 50
ms after Redis is back; if it is killed before, a value's lifetime ends it. So it does where Redis
is read but takes no writes for long (its disk is full, it has become a replica). Word of a change
that is late on its way to one worker alone leaves that one behind for at most
near_cache.LEASE_SECONDS. Without REDIS_URL nothing is cached either: processes share no memory.
"""

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

import orjson
import redis
from flask import Flask, Response, current_app

from config import REDIS_OPTIONS, redis_servers
from melon_api import measures
from melon_api.near_cache import NearCache
from melon_api.redis_client import connect

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
AWAY_SECONDS = 1  # how long Redis is left alone after it has not answered
LONG_SECONDS = 0.2  # no Redis starts again, no replica takes its place in so short a time
OUTDATED_SECONDS = 300  # far longer than any reader takes from its read to its put

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


@dataclass(frozen=True)
class Put:
    """A value to remember: `version` grows with every change, `as_of` is the `moment()` before it
    was read from the database, `seconds` is its lifetime."""

    name: str
    version: int
    value: Any
    as_of: int
    seconds: int


class Cache(Protocol):
    """Values of an account by name; a value is anything that JSON can hold but null.

    `remembers`: False where nothing is kept.
    """

    remembers: bool

    def moment(self) -> int:
        """Now, by a clock that all processes share (ms)."""

    def read(self, account_id: str, *names: str) -> list[Any]:
        """The values that can be trusted, None for the others."""

    def put(self, account_id: str, *puts: Put) -> None:
        """Remember what was read from the database."""

    def outdate(self, account_id: str, versions: dict[str, int]) -> None:
        """Forget what is older than these versions; call it before the change is committed."""

    def pay(self) -> None:
        """After a commit, before the answer: what could not be told is told if possible, and what
        was told too long before the commit is told again."""

    def settle(self) -> None:
        """Wait until Redis has been told everything, or no value can be older than that. For a
        process that ends; at most OUTDATED_SECONDS."""


class NoCache:
    """The database is asked each time."""

    remembers = False

    def moment(self) -> int:
        return 0

    def read(self, account_id: str, *names: str) -> list[Any]:
        return [None] * len(names)

    def put(self, account_id: str, *puts: Put) -> None:
        pass

    def outdate(self, account_id: str, versions: dict[str, int]) -> None:
        pass

    def pay(self) -> None:
        pass

    def settle(self) -> None:
        pass


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
        self._owed: dict[str, tuple[int, float]] = {}  # key: version, until when (s, monotonic)
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._thread = threading.local()  # whether the request at hand owes something

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

    def outdate(self, account_id: str, versions: dict[str, int]) -> None:
        by_key = {_key(account_id, name): version for name, version in versions.items()}
        told = self._thread.__dict__.setdefault("told", {})
        if not told:
            self._thread.told_at = time.monotonic()
        told.update(by_key)
        self._tell_or_owe(by_key)

    def pay(self) -> None:
        told = self._thread.__dict__.pop("told", None)
        if told and time.monotonic() - self._thread.told_at > LONG_SECONDS:
            self._tell_or_owe(told)
        if getattr(self._thread, "owes", False):
            self._thread.owes = False
            self._try(lambda: True)

    def settle(self) -> None:
        self.pay()
        if self._owed:
            log.warning("waiting until Redis has been told, at most %d s", OUTDATED_SECONDS)
        while self._owed:
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

    def _tell_or_owe(self, by_key: dict[str, int]) -> None:
        """Tried even where Redis was away a moment ago: other workers may have it back already."""
        if self._try(lambda: self._tell(by_key)) is None:
            self._owe(by_key)

    def _tell(self, by_key: dict[str, int]) -> bool:
        """Redis may answer us before it tells the processes that hold these entries; but it does
        both before it takes our next command."""
        self._run(_outdating(by_key))
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
            if self._owed:
                self._pay()
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

    def _owe(self, by_key: dict[str, int]) -> None:
        """Remember what Redis must be told, and see to it that it is, even if nobody calls."""
        self._thread.owes = True
        until = time.monotonic() + OUTDATED_SECONDS  # no value lives longer
        with self._lock:
            is_first = not self._owed
            self._owed |= {key: (version, until) for key, version in by_key.items()}
        if is_first:
            threading.Thread(target=self._pay_soon, name="cache debts", daemon=True).start()

    def _pay_soon(self) -> None:
        """Others may still trust what they must not: no waiting for AWAY_SECONDS here."""
        while self._owed:
            time.sleep(SETTLE_SECONDS)
            with self._probing:
                self._try(lambda: True)

    def _pay(self) -> None:
        with self._lock:
            owed = dict(self._owed)
        for key, (version, until) in owed.items():
            if time.monotonic() < until:
                self._tell({key: version})
            with self._lock:
                if self._owed.get(key) == (version, until):
                    del self._owed[key]

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
    app.after_request(_pay)


def _pay(response: Response) -> Response:
    """What was owed before the commit is told before the answer: between the two another worker may
    have put the old state into a Redis that was just back."""
    cache().pay()
    return response


def cache() -> Cache:
    """The application's cache."""
    return cast(Cache, current_app.extensions["account_cache"])


def _key(account_id: str, name: str) -> str:
    """One account's keys are in one slot of a Redis Cluster, so that one script may touch them."""
    return f"melon:{{{account_id}}}:{name}"


def _outdating(by_key: dict[str, int]) -> list[tuple[str, int, bytes, int]]:
    return [(key, version, b"", OUTDATED_SECONDS) for key, version in by_key.items()]
