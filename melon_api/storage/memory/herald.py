"""Says pokes on Redis, and waits for nothing: they are written to a connection whose answers are
read when it is used again."""

import logging
from collections import deque
from typing import Any

import redis

from melon_api import measures
from melon_api.storage.pokes import Poke, channel, due
from melon_api.storage.redis import Availability, connect
from melon_api.storage.redis_settings import redis_servers

log = logging.getLogger(__name__)

MOST_OWED = 1_000  # answers of a Redis that has gone silent
PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"


class Herald:
    """Says what is due. Never raises for a Redis that is away, and waits for none that is slow."""

    def __init__(self, url: str | None) -> None:
        self._is_single = url is not None and not redis_servers(url)
        self._client: Any = connect(url) if url else None
        self._lines: deque[_Line] = deque()
        self._availability = Availability(_lost, _found)

    def say(self) -> None:
        """To be called when the pulls that a poke brings about find what was committed."""
        pokes = due()
        if not pokes or self._client is None:
            return
        told = self._availability.ask(lambda: self._send(pokes))
        measures.poked(len(pokes), is_lost=told is None)

    def close(self) -> None:
        while self._lines:
            self._lines.pop().close()
        if self._client is not None:
            self._client.close()

    def _send(self, pokes: dict[str, Poke]) -> bool:
        """Raises redis.RedisError."""
        messages = {channel(space_id): _said(poke) for space_id, poke in pokes.items()}
        if not self._is_single:  # a Cluster's own client knows which node to ask
            for name, message in messages.items():
                self._client.execute_command("PUBLISH", name, message)
            return True
        try:
            line = self._lines.pop()
        except IndexError:
            line = _Line(self._client.connection_pool.make_connection())
        line.write([(name.encode(), message) for name, message in messages.items()])
        self._lines.append(line)
        return True


def _said(poke: Poke) -> bytes:
    return b" ".join(b"%d" % number for number in poke if number is not None)


class _Line:
    """A connection on which `owed` answers are still to come."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._owed, self._is_refused = connection, 0, False

    def write(self, messages: list[tuple[bytes, bytes]]) -> None:
        """Raises redis.RedisError where Redis cannot be reached; what it has answered by now is
        read, and where it has closed the connection, another one is made, once."""
        packed = b"".join(PUBLISH % (len(n), n, len(m), m) for n, m in messages)
        try:
            self._read()
        except redis.ConnectionError:
            self.close()
        self._connection.connect()
        try:
            self._connection.send_packed_command([packed], check_health=False)
        except redis.RedisError:
            self.close()
            raise
        self._owed += len(messages)

    def close(self) -> None:
        self._owed = 0
        self._connection.disconnect()

    def _refuse(self, error: redis.ResponseError) -> None:
        measures.poked(1, is_lost=True)
        if not self._is_refused:
            log.warning("Redis refuses to tell phones of changes: %s", error)
        self._is_refused = True

    def _read(self) -> None:
        while self._owed and self._connection.can_read(0):
            try:
                self._connection.read_response()
                self._is_refused = False
            except redis.ResponseError as error:  # an access list that names no channels
                self._refuse(error)
            self._owed -= 1
        if self._owed > MOST_OWED:
            raise redis.ConnectionError("Redis does not answer.")


def _lost(error: redis.RedisError) -> None:
    log.warning("phones are not told at once: Redis does not answer (%s)", type(error).__name__)


def _found() -> None:
    log.warning("phones are told at once again")
