"""Whether the other end of a connection is still there, without a word to it."""

import select
from typing import Any

HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR  # Linux has all three


def has_hung_up(connection: Any) -> bool | None:
    """Whether the peer of a socket has closed it, or its sending side; None where we have, and it
    cannot be seen."""
    if connection.fileno() < 0:
        return None
    poll = select.poll()
    poll.register(connection, HUNG_UP)
    return any(events & HUNG_UP for _, events in poll.poll(0))
