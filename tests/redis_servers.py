"""Redis as an operator may run it: behind TLS, with a replica, under Sentinels, as a Cluster."""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis
from certificates import Authority
from servers import START_SECONDS, PrivateRedis, free_port

TIMEOUT_MS = 3_000  # after which a silent master is replaced
AT_ONCE = ("--repl-diskless-sync-delay", "0")  # a replica need not wait for others


def until(is_so: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def asked(node: PrivateRedis, *command: str) -> Any:
    """What this node answers."""
    with redis.Redis.from_url(node.url, decode_responses=True) as client:
        return client.execute_command(*command)


def role(node: PrivateRedis) -> str:
    """`master` or `slave`; '' when it does not answer."""
    try:
        return str(asked(node, "ROLE")[0])
    except redis.RedisError:
        return ""


class SecureRedis(PrivateRedis):
    """Takes TLS alone; `authority` signs its certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        authority.certificate("127.0.0.1")
        own = str(folder / "127.0.0.1.pem")
        files = ["--tls-cert-file", own, "--tls-key-file", own]
        files += ["--tls-ca-cert-file", str(authority.pem), "--tls-auth-clients", "no"]
        super().__init__(None, *files)
        self._command += ["--port", "0", "--tls-port", str(self.port)]
        self.bare_url = f"rediss://127.0.0.1:{self.port}/0"
        self.url = f"{self.bare_url}?ssl_ca_certs={authority.pem}"


class Several:
    """Servers that start and end together."""

    nodes: list[PrivateRedis]

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        with self._stack as failing:
            for node in self.nodes:
                self.start(node)
            self.join()
            self._stack = failing.pop_all()
        return self

    def start(self, node: PrivateRedis) -> None:
        self._stack.enter_context(node)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def join(self) -> None:
        """Make them one, once all are up."""
        raise NotImplementedError


class Watched(Several):
    """A master and its replica, which three Sentinels watch."""

    def __init__(self, folder: Path) -> None:
        options = (*AT_ONCE, "--dir", str(folder))
        self.master, self.replica = PrivateRedis(None, *options), PrivateRedis(None, *options)
        self.nodes = [self.master, self.replica]
        self.sentinels = [self._sentinel(folder / f"sentinel{n}.conf") for n in range(3)]
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{hosts}/melon"

    def _sentinel(self, file: Path) -> PrivateRedis:
        lines = [f"monitor melon 127.0.0.1 {self.master.port} 2"]
        lines += [f"down-after-milliseconds melon {TIMEOUT_MS}", "failover-timeout melon 10000"]
        lines = [f"sentinel {line}" for line in lines]
        sentinel = PrivateRedis()
        lines += ["bind 127.0.0.1", f"port {sentinel.port}", f"dir {file.parent}"]
        file.write_text("\n".join(lines) + "\n")
        sentinel._command = ["redis-server", str(file), "--sentinel"]
        return sentinel

    def join(self) -> None:
        asked(self.replica, "REPLICAOF", "127.0.0.1", str(self.master.port))
        until(lambda: bool(asked(self.master, "ROLE")[2]))
        for sentinel in self.sentinels:
            self.start(sentinel)
        until(lambda: all(self._sees_all(sentinel) for sentinel in self.sentinels))

    def _sees_all(self, sentinel: PrivateRedis) -> bool:
        told = asked(sentinel, "SENTINEL", "MASTER", "melon")
        facts = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        return (int(facts["num-slaves"]), int(facts["num-other-sentinels"])) == (1, 2)


class Cluster(Several):
    """A Redis Cluster: three masters, each with a replica."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [self._node(folder / f"node{n}") for n in range(6)]
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}"

    def _node(self, folder: Path) -> PrivateRedis:
        folder.mkdir()
        options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        options += ["--cluster-node-timeout", str(TIMEOUT_MS), "--dir", str(folder)]
        return PrivateRedis(None, *AT_ONCE, *options)

    def join(self) -> None:
        places = [f"127.0.0.1:{node.port}" for node in self.nodes]
        command = ["redis-cli", "--cluster", "create", *places]
        command += ["--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        until(self.is_whole)

    def masters(self) -> list[PrivateRedis]:
        """Those that answer and are one."""
        return [node for node in self.nodes if role(node) == "master"]

    def is_whole(self) -> bool:
        """All slots are served, and each master has its replica."""
        masters = self.masters()
        return self.serves() and len(masters) == 3 and all(asked(n, "ROLE")[2] for n in masters)

    def serves(self) -> bool:
        """All nodes that answer say that all slots are served."""
        nodes = [node for node in self.nodes if node.answers()]
        return all("cluster_state:ok" in str(asked(n, "CLUSTER", "INFO")) for n in nodes)
