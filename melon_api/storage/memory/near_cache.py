"""Entries of Redis kept in this process, for as long as Redis stands by them.

Redis remembers what a connection has read, and says on it when a key changes or goes (client-side
caching, `CLIENT TRACKING`, Redis 6 or newer). Before an entry is used, that connection is listened
to: no round trip. redis-py has such a cache for Redis 7.4 or newer only, and it trusts a
connection that has gone silent.

Here entries count only while Redis has answered within the last `LEASE_SECONDS`. That is less than
a writer waits for a Redis that does not answer: it commits when these entries count no more.
"""

import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from melon_api import measures

LEASE_SECONDS = 0.5
HELD_SECONDS = 60  # that an entry's lifetime is over in Redis may be said late
MOST_ENTRIES = 10_000


def check_fresh(asked: float) -> None:
    """Raises redis.TimeoutError for an answer that comes too long after the question (s,
    monotonic): Redis may have stopped after it looked, and a writer may have gone on without."""
    if time.monotonic() - asked > LEASE_SECONDS:
        raise redis.TimeoutError("Redis answered too late to be believed.")


class NearCache:
    """Thread-safe. `options` are redis-py's, `prepare` is called with each new connection (its
    `redis_connect_func`). `decode` makes a value of what Redis holds, once; None for what is worth
    nothing, which is asked for again the next time."""

    def __init__(
        self,
        url: str,
        options: dict[str, Any],
        prepare: Callable[[Any], None],
        decode: Callable[[bytes], Any],
    ) -> None:
        def connected(connection: Any) -> None:
            prepare(connection)
            connection.send_command("CLIENT", "TRACKING", "ON")
            connection.read_response()

        own = {"protocol": 3, "redis_connect_func": connected}
        self._pool = redis.ConnectionPool.from_url(url, **options | own)
        self._connection: Any = None
        self._incoming = selectors.DefaultSelector()
        self._is_listening = False
        self._decode = decode
        self._held: dict[str, tuple[Any, float]] = {}  # until when (s, monotonic)
        self._confirmed = 0.0  # s, monotonic: when Redis was asked what it has answered last
        self._failed = 0.0
        self._is_emptied = False
        self._life = 0  # which connection this is
        self._lock = threading.Lock()

    def read(self, *keys: str) -> list[Any]:
        """The values of these keys, None where there is none. They are shared: leave them as they
        are.

        Raises redis.RedisError; ResponseError when this Redis does not send what changes.
        """
        asked = time.monotonic()
        if found := self._known(keys, asked):
            return found
        with self._lock, self._listening():
            if self._failed >= asked:  # another thread has waited in vain meanwhile
                raise redis.ConnectionError("Redis did not answer.")
            try:
                return self._read_again_if_closed(keys)
            except redis.RedisError:
                self._failed = time.monotonic()
                self._disconnect()
                raise

    def life(self) -> int | None:
        """Another number when Redis may have forgotten something since: it was emptied, or our
        connection broke. None while there is none. No round trip."""
        incoming, life = self._incoming, self._life
        is_quiet = self._connection is not None and not incoming.select(0)
        if is_quiet and not self._is_listening and incoming is self._incoming:
            return life
        with self._lock, self._listening():
            try:
                if self._connection is not None:
                    self._listen()
            except redis.RedisError:
                self._disconnect()
            return None if self._connection is None else self._life

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _known(self, keys: tuple[str, ...], now: float) -> list[Any] | None:
        """The values, when they are all held and nothing was heard of them. Takes no lock: the
        threads of a worker would queue for it. Who listens says so before, so that what has left
        the socket and is not yet forgotten is not taken for true here."""
        incoming = self._incoming
        if incoming.select(0) or self._is_listening:
            return None
        values = self._values(keys, now)
        return values if incoming is self._incoming else None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self._is_listening = True
        try:
            yield
        finally:
            self._is_listening = False

    def _values(self, keys: tuple[str, ...], now: float) -> list[Any] | None:
        """What is held of all these keys, None if that is not all."""
        held = [entry for key in keys if (entry := self._held.get(key)) and entry[1] > now]
        is_whole = len(held) == len(keys) and now < self._confirmed + LEASE_SECONDS
        return [value for value, _ in held] if is_whole else None

    def _read_again_if_closed(self, keys: tuple[str, ...]) -> list[Any]:
        try:
            return self._read(keys)
        except redis.ConnectionError:
            self._disconnect()
            return self._read(keys)

    def _read(self, keys: tuple[str, ...]) -> list[Any]:
        if self._connection is None:
            self._connect()
        else:
            self._listen()
        return self._values(keys, time.monotonic()) or self._ask(keys)

    def _connect(self) -> None:
        connection: Any = self._pool.make_connection()
        connection.connect()
        connection._parser.set_invalidation_push_handler(self._forget)
        self._incoming.register(connection._sock, selectors.EVENT_READ)
        self._connection = connection

    def _disconnect(self) -> None:
        self._held.clear()
        self._is_emptied = False
        self._life += 1
        if self._connection is not None:
            self._incoming = selectors.DefaultSelector()
            self._connection.disconnect()
            self._connection = None

    def _listen(self) -> None:
        while self._connection.can_read(0):
            self._connection.read_response(push_request=True)
        if self._is_emptied:
            raise redis.ConnectionError("Redis was emptied.")

    def _forget(self, message: list[Any]) -> None:
        """`[b"invalidate", keys]`; no keys: all of them, Redis was emptied. What it was filled with
        since then may be an old snapshot: that is for a new connection to judge."""
        self._is_emptied = self._is_emptied or message[1] is None
        for key in message[1] or ():
            self._held.pop(key.decode(), None)

    def _ask(self, keys: Iterable[str]) -> list[Any]:
        """Ask for all of them, also those that were held: an answer renews the lease."""
        asked = time.monotonic()
        self._connection.send_command("MGET", *keys)
        entries = self._connection.read_response()
        check_fresh(asked)
        self._confirmed = asked
        values = [None if entry is None else self._decode(entry) for entry in entries]
        measures.cache_read(None not in values)
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                self._held[key] = (value, asked + HELD_SECONDS)
        while len(self._held) > MOST_ENTRIES:
            del self._held[next(iter(self._held))]
        self._listen()  # what came with the answer waits in the parser, where no poll sees it
        return values
