"""A client for the Redis that `REDIS_URL` names: a single one, a Cluster, or one behind Sentinels.

None is asked before its first use, so that a server starts, and serves, while Redis is away.

Where a replica may take over, others may know of it before we are told: they would read what we
could not tell it. So when a master does not answer, its replicas are asked whether they are the
master by now.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.commands import RedisClusterCommands
from redis.connection import Encoder  # type: ignore[attr-defined]
from redis.exceptions import ClusterDownError, RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from config import REDIS_OPTIONS, RedisServers, redis_servers

ONCE = {"retry": Retry(NoBackoff(), 0)}
AWAY = (redis.ConnectionError, redis.TimeoutError, ClusterDownError)

Asked = Callable[..., Any]  # a node's `execute_command`


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
            cluster = self._cluster()
            try:
                return cluster.execute_command(*command, **options)
            except AWAY as error:
                return _ask_who_took_over(error, self._nodes(cluster, command), command)
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

    def _nodes(self, cluster: Any, command: tuple[Any, ...]) -> Iterable[Asked]:
        """Those of the command's slot, by what the cluster has told since it failed."""
        slot = cluster.determine_slot(*command)
        for node in cluster.nodes_manager.slots_cache.get(slot, ()):
            yield lambda *asked, node=node: cluster.execute_command(*asked, target_nodes=node)


class SentinelClient(redis.Redis):
    """Of the master; `replicas` is to find the others, (host, port) each."""

    replicas: Callable[[], list[tuple[str, int]]]
    options: dict[str, Any]

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Raises redis.RedisError."""
        try:
            return super().execute_command(*command, **options)  # type: ignore[no-untyped-call]
        except AWAY as error:
            return _ask_who_took_over(error, self._nodes(), command)

    def _nodes(self) -> Iterable[Asked]:
        for host, port in self.replicas():
            with redis.Redis(host=host, port=port, **self.options) as node:
                yield node.execute_command


def _ask_who_took_over(
    error: redis.RedisError, nodes: Iterable[Asked], command: tuple[Any, ...]
) -> Any:
    for ask in nodes:
        with suppress(redis.RedisError):
            if ask("ROLE")[0] == b"master":
                return ask(*command)
    raise error


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
    client = sentinel.master_for(servers.service, redis_class=SentinelClient, **options)
    client.replicas = lambda: sentinel.discover_slaves(servers.service)
    client.options = options | ONCE
    return client
