"""A client for the Redis that `REDIS_URL` names: a single one, a Cluster, or one behind Sentinels.

None is asked before its first use, so that a server starts, and serves, while Redis is away.
"""

import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.commands import RedisClusterCommands
from redis.connection import Encoder  # type: ignore[attr-defined]
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from config import REDIS_OPTIONS, RedisServers, redis_servers

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
