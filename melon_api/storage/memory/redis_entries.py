"""What Redis holds of accounts: `<version>.<run> <as of> <value>` by key, written by one script,
which refuses what is older than it has; read, most of the time, from this process (near_cache.py).
The release before wrote no run, and reads past ours.

A Redis that is away is an error here: redis_cache.py knows what to do then.
"""

import logging
import re
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import orjson
import redis

from melon_api import measures
from melon_api.sockets import has_hung_up
from melon_api.storage.cache import VALUE_SECONDS, Moment, Put
from melon_api.storage.memory.near_cache import NearCache, check_fresh
from melon_api.storage.redis import connect
from melon_api.storage.redis_settings import REDIS_OPTIONS

log = logging.getLogger(__name__)

INVALIDATED_SECONDS = 300  # far longer than any reader takes from its read to its put
RUN_LENGTH = 16  # of a run_id's 40 hexadecimal digits; two lives of one Redis do not share them

RUN = re.compile(rb"run_id:([0-9a-f]{%d})" % RUN_LENGTH)

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
    redis.call('SET', key, version .. (rest == '' and ' ' or rest), 'PX', lifetime)
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
        # Each for one call at a time: to take one from redis-py's pool and to give it back, and all
        # that its client does around a command, take longer than the command.
        self._writers: deque[Any] = deque()
        self._trusted_from_ms = 0  # by the clock of Redis
        self._run = ""  # which Redis answers what we read, see Moment
        self._ahead_ms = 0  # how far that clock is ahead of our monotonic one

    def close(self) -> None:
        """Give its connections back, as far as no thread uses them."""
        while self._writers:
            self._writers.pop().disconnect()
        self._redis.close()
        if self._near:
            self._near.close()

    def moment(self) -> Moment:
        """Now, by the clock of Redis."""
        return Moment(time.monotonic_ns() // 1_000_000 + self._ahead_ms, self._run)

    def life(self) -> int | None:
        """Another number when Redis may have forgotten something since; None where it cannot be
        known."""
        return self._near.life() if self._near else None

    def read(self, keys: list[str]) -> list[Any]:
        """The values that can be trusted, None for the others."""
        if near := self._near:  # another thread may give it up now
            try:
                return near.read(*keys)
            except redis.ResponseError as error:
                log.warning("Redis is asked each time, as it does not tell of changes: %s", error)
                self._near = None
        asked = time.monotonic()
        entries = cast(list[bytes | None], self._redis.mget(keys))
        check_fresh(asked)
        values = [None if entry is None else self._trusted(entry) for entry in entries]
        measures.cache_read(None not in values)
        return values

    def put(self, puts: dict[str, Put]) -> None:
        """Remember values by key; where Redis has no room for them, not."""
        entries = [(key, put.version, _written(put), VALUE_SECONDS) for key, put in puts.items()]
        with suppress(redis.exceptions.OutOfMemoryError):  # that is no outage
            self._write(entries)

    def invalidate(self, versions: dict[str, int]) -> Any:
        """Redis may answer us before it tells the processes that hold these entries; but it does
        both before it takes our next command. Returns the socket that it came by, for `has_ended`;
        None where entries are held by nobody."""
        news = [(key, version, b"", INVALIDATED_SECONDS) for key, version in versions.items()]
        if self._near is None:
            self._write(news)
            return None
        try:
            writer = self._writers.pop()
        except IndexError:
            writer = self._redis.connection_pool.make_connection()
        try:
            try:
                told = self._tell(writer, *_arguments(news))
            except redis.ConnectionError:
                writer.disconnect()
                told = self._tell(writer, *_arguments(news))
        except BaseException:
            writer.disconnect()  # an answer may be on its way
            raise
        self._writers.append(writer)
        return told

    def _tell(self, writer: Any, keys: list[str], arguments: list[int | str | bytes]) -> Any:
        """Raises redis.ConnectionError, also where Redis has ended between the two: one that has
        just started knows nothing of the first."""
        _run(writer, self._put, keys, arguments)
        told = writer._sock
        _ask(writer, "PING")
        return told

    def _write(self, entries: Iterable[tuple[str, int, bytes, int]]) -> None:
        self._put(*_arguments(entries))

    def _trusted(self, entry: bytes) -> Any:
        head, _, rest = entry.partition(b" ")
        as_of, _, value = rest.partition(b" ")
        run = head.partition(b".")[2].decode()
        # A put that Redis took late, as it was paused, lives longer than it should.
        oldest_ms = max(self._trusted_from_ms, self.moment().ms - VALUE_SECONDS * 1000)
        if not value or run != self._run or int(as_of) < oldest_ms:
            return None
        return orjson.loads(value)

    def _connected(self, connection: Any) -> None:
        connection.on_connect()
        if self._near is None:
            self._meet(connection)

    def _connected_to_read(self, connection: Any) -> None:
        connection.on_connect()
        self._meet(connection)

    def _meet(self, connection: Any) -> None:
        """Which Redis this is, and its clock: what it was told before, others may have missed."""
        connection.send_command("INFO", "server")
        found = RUN.search(connection.read_response())
        if found is None:
            raise redis.ResponseError("Redis does not say its run_id.")
        connection.send_command("TIME")
        seconds, microseconds = connection.read_response()
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        self._ahead_ms = now_ms - time.monotonic_ns() // 1_000_000
        run = found[1].decode()
        same = run == self._run  # the clock of another one may be far behind
        self._trusted_from_ms = max(self._trusted_from_ms, now_ms) if same else now_ms
        self._run = run


def has_ended(told: Any) -> bool:
    """Whether Redis has closed the socket that `invalidate` returned, or redis-py has, to connect
    again: one that runs again does not know what it was told."""
    return told is not None and has_hung_up(told) is not False


def _arguments(
    entries: Iterable[tuple[str, int, bytes, int]],
) -> tuple[list[str], list[int | str | bytes]]:
    """KEYS and ARGV of the script."""
    keys: list[str] = []
    arguments: list[int | str | bytes] = []
    for key, version, rest, seconds in entries:
        keys.append(key)
        arguments += [version, rest, seconds * 1000]
    return keys, arguments


def _run(connection: Any, script: Any, keys: list[str], arguments: list[Any]) -> None:
    command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
    try:
        _ask(connection, *command)
    except redis.exceptions.NoScriptError:  # Redis has started again, or was told to forget it
        _ask(connection, "SCRIPT", "LOAD", script.script)
        _ask(connection, *command)


def _ask(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _written(put: Put) -> bytes:
    """All behind the version."""
    return b".%b %d %b" % (put.as_of.run.encode(), put.as_of.ms, orjson.dumps(put.value))
