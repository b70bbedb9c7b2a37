"""Redis: one, a Cluster, or what Sentinels watch; and how long it may take to answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from environ import Settings, setting

SCHEME = re.compile(r"rediss?(\+cluster|\+sentinel)?")
FORM = "it must begin with redis://, redis+cluster:// or redis+sentinel://, or rediss…"
PORTS = {"cluster": 6379, "sentinel": 26379}
REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": 1,  # s
    "socket_connect_timeout": 1,
    # Once more on a connection that was closed; nobody waits twice for one that hangs.
    "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
}


@dataclass(frozen=True)
class RedisServers:
    """A Redis Cluster, or what Sentinels watch: `hosts` are its nodes, or the Sentinels (host,
    port), `service` their name for it ('' for a cluster), `options` are redis-py's for the nodes,
    `sentinel_options` those for the Sentinels."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]


def redis_servers(url: str) -> RedisServers | None:
    """Take `redis+cluster://host:port,…` or `redis+sentinel://host:port,…/service` apart.

    `rediss+…` is with TLS. None for a single Redis. Raises ValueError, TypeError for what is not
    understood.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if kind not in PORTS:
        return None
    user, at, places = parts.netloc.rpartition("@")
    found = [urlsplit(f"//{place}") for place in places.split(",")]
    hosts = tuple((place.hostname or "", place.port or PORTS[kind]) for place in found)
    service, _, number = parts.path.strip("/").partition("/")
    if not all(host for host, _ in hosts) or (kind == "sentinel") != bool(service):
        raise ValueError("a host or the service's name is missing, or too much")
    one = f"{scheme}://{user}{at}host/{int(number or 0)}?{parts.query}"
    return RedisServers(hosts, service, *_client_options(one))


def _client_options(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """redis-py's for a node and for a Sentinel: the same TLS, but a login of its own."""
    options: dict[str, Any] = redis.ConnectionPool.from_url(url).connection_kwargs
    del options["host"]
    secure = {"ssl": True} if url.startswith("rediss:") else {}
    login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    made_by = redis.SSLConnection if secure else redis.Connection
    made_by(**options)
    return options | secure, login | tls | secure


def _redis_url(url: str) -> str:
    if not SCHEME.fullmatch(urlsplit(url).scheme):
        raise ValueError(FORM)
    return url


def _options(url: str) -> dict[str, Any]:
    """redis-py's for one node. Raises ValueError, TypeError."""
    if servers := redis_servers(url):
        return servers.options
    pool = redis.ConnectionPool.from_url(url)
    pool.connection_class(**pool.connection_kwargs)
    return dict(pool.connection_kwargs)


class RedisSettings(Settings):
    REDIS_URL: str | None = setting(
        _redis_url,
        "`redis://…`, or `rediss://…` for TLS; `redis+cluster://host:port,host:port`,"
        " `redis+sentinel://host:port,host:port/service` ([which one](scaling.md#redis));"
        " one process needs none",
    )
    REDIS_CA: str | None = setting(
        str,
        "file of the authority that signed Redis's certificate, for `rediss…`",
        shown="the system's",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        if self.REDIS_URL:
            url, trusted = self.REDIS_URL, self.REDIS_CA
            if trusted:
                url += f"{'&' if '?' in url else '?'}{urlencode({'ssl_ca_certs': trusted})}"
            self.problems += _problems(url, trusted)
            self.REDIS_URL = url
        elif self.NEEDS_SERVERS:
            self.problems.append("REDIS_URL: a Redis server is needed (redis://… or rediss://…)")


def _problems(url: str, trusted: str | None) -> Iterator[str]:
    if trusted and not url.startswith("rediss"):
        yield "REDIS_CA: is for rediss:// alone"
    try:
        options = _options(url)
    except (ValueError, TypeError) as error:
        yield f"REDIS_URL: {type(error).__name__}, a part is wrong"
        return
    if options.get("decode_responses"):
        yield "REDIS_URL: decode_responses is not for this server"
    authority = options.get("ssl_ca_certs")
    if authority and not Path(authority).is_file():
        yield f"REDIS_CA or ssl_ca_certs: there is no file {authority}"
