"""What a Redis is asked, seen from its own side."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

END = "that was all"


@contextmanager
def round_trips(url: str) -> Iterator[list[str]]:
    """The commands that Redis is sent meanwhile, in the order they come; not what its scripts do
    by themselves. Filled at the end. For a Redis that nobody else uses."""
    seen: list[str] = []
    with redis.Redis.from_url(url) as client, client.monitor() as monitor:
        yield seen
        client.echo(END)
        while (command := monitor.next_command())["command"] != f"ECHO {END}":
            if command["client_type"] != "lua":
                seen.append(command["command"].partition(" ")[0])
