"""A client for the Redis that `REDIS_URL` names: a single one, a Cluster, or one behind Sentinels;
and whether it answers.

None is asked before its first use, so that a server starts, and serves, while Redis is away.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.commands import RedisClusterCommands
from redis.connection import Encoder  # type: ignore[attr-defined]
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from melon_api.storage.redis_settings import REDIS_OPTIONS, RedisServers, redis_servers

R = TypeVar("R")

AWAY_SECONDS = 1  # how long Redis is left alone after it has not answered
ONCE = {"retry": Retry(NoBackoff(), 0)}


class ClusterClient(RedisClusterCommands):
    """redis-py's own asks the nodes when it is made, and some of its errors are no RedisError."""

    _event_dispatcher: Any = None  # of redis-py's own

    def __init__(self, servers: RedisServers) -> None:
        self._servers = servers
        self._made: Any = None
        self._making = threading.Lock()

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Raises redis.RedisError."""
        try:
            return self._cluster().execute_command(*command, **options)
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error

    def get_encoder(self) -> Any:
        """For redis-py's scripts."""
        return Encoder("utf-8", "strict", False)

    def close(self) -> None:
        if self._made:
            self._made.close()

    def _cluster(self) -> Any:
        with self._making:
            if self._made is None:
                nodes = [ClusterNode(*host) for host in self._servers.hosts]
                options = REDIS_OPTIONS | self._servers.options | ONCE
                options.pop("db", None)  # a cluster has but one
                self._made = RedisCluster(startup_nodes=nodes, **options)
            return self._made


def connect(url: str, **more: Any) -> Any:
    """A client, as redis.Redis: raises redis.RedisError, and waits no longer for an answer than
    REDIS_OPTIONS say. `more`: options of redis-py, for a single Redis."""
    servers = redis_servers(url)
    if servers is None:
        return redis.Redis.from_url(url, **REDIS_OPTIONS | more)
    if not servers.service:
        return ClusterClient(servers)
    sentinel = Sentinel(servers.hosts, sentinel_kwargs=REDIS_OPTIONS | servers.sentinel_options)
    options = REDIS_OPTIONS | servers.options
    return sentinel.master_for(servers.service, **options)


class Availability:
    """Whether Redis answers. One that did not is left alone for AWAY_SECONDS; then one thread asks.

    `lost` is called when it goes, `found` when it answers again.
    """

    def __init__(self, lost: Callable[[redis.RedisError], None], found: Callable[[], None]) -> None:
        self._lost, self._found = lost, found
        self._away_until = 0.0  # s, monotonic; 0 while Redis answers
        self._changing, self._probing = threading.Lock(), threading.Lock()

    @property
    def is_away(self) -> bool:
        return bool(self._away_until)

    def ask(self, command: Callable[[], R]) -> R | None:
        """What Redis answers to a command; None when it does not. Raises no redis.RedisError."""
        if not self._away_until:
            return self.ask_anyway(command)
        if time.monotonic() < self._away_until or not self._probing.acquire(blocking=False):
            return None
        try:
            return self.ask_anyway(command)
        finally:
            self._probing.release()

    def ask_in_turn(self, command: Callable[[], R]) -> R | None:
        """The same, even where it was away a moment ago; the other threads leave it alone."""
        with self._probing:
            return self.ask_anyway(command)

    def ask_anyway(self, command: Callable[[], R]) -> R | None:
        """The same, whatever other threads do."""
        try:
            answer = command()
        except redis.RedisError as error:
            if not self._set(time.monotonic() + AWAY_SECONDS):
                self._lost(error)
            return None
        if self._away_until and self._set(0.0):
            self._found()
        return answer

    def _set(self, away_until: float) -> float:
        """Returns what it was: of threads that meet a change at once, one says so."""
        with self._changing:
            before, self._away_until = self._away_until, away_until
        return before
