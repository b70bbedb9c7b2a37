"""What Redis remembers of accounts, so that most requests need no database; and what this process
remembers of Redis (near_cache.py), so that most need no Redis.

The promise: no entry is served that is older than a committed change, on any worker. It is kept by
versions, which only grow, and by asking the database whenever there is doubt:

- Whoever changes something *invalidates* its entry before the commit: from then on Redis holds the
  new version's number without a value. Readers go to the database, and one that has read the old
  state cannot put it back, because a put of an older version is refused (one script, atomic).
- A reader who found nothing puts what the database said. Nobody but readers puts values, so a
  worker killed between its commit and anything else leaves nothing wrong behind.
- Redis away: everything is read from the database, one warning is logged. What could not be
  invalidated meanwhile is pending, and sent to Redis as soon as it is back.
- After each new connection to read by (Redis was restarted, the network was cut), and after Redis
  was emptied, values that were read from the database before it are not trusted, because an
  invalidation may have been lost. Nor are those that were put into a Redis that ran before (its
  `run_id`): a snapshot may come back on a host whose clock is behind.
- An answer that took longer than near_cache.LEASE_SECONDS counts as none: what it says may be as
  old as the question.
- What was invalidated long before its commit, or by a connection that Redis has closed since, or
  in a Redis that was emptied since, is invalidated again after: Redis may have forgotten it between
  the two (it starts again in 30 ms), and somebody read and put what was not yet changed.
- In a Redis Cluster or behind Sentinels, a replica may take over that has not heard of an
  invalidation, some workers hear of it before others, and nobody's connection breaks for it. There
  nothing is cached: the database is asked, with one statement for session, profile and clock.

- A process that cannot tell Redis commits nothing before all processes have stopped to believe
  Redis (memory/doubts.py): it may be the only one that cannot reach it.

What is left: word of a change that is late on its way to one worker alone leaves that one behind
for at most near_cache.LEASE_SECONDS. Without REDIS_URL nothing is cached either: processes share no
memory.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from flask import current_app

log = logging.getLogger(__name__)

VALUE_SECONDS = 60  # that a value lives


class Moment(NamedTuple):
    """When something was read: `ms` by a clock that all processes share, `run` is which life of
    Redis that was (the beginning of its `run_id`)."""

    ms: int
    run: str


@dataclass(frozen=True)
class Put:
    """A value to remember for VALUE_SECONDS: `version` grows with every change, `as_of` is the
    `moment()` before it was read from the database."""

    name: str
    version: int
    value: Any
    as_of: Moment


class Untold(Exception):
    """Redis could not be told of a change that is about to be committed. The transaction is to be
    rolled back, and tried again after `warn`, which returns when nobody believes Redis any more."""

    def __init__(self, warn: Callable[[], None]) -> None:
        super().__init__("Redis could not be told.")
        self.warn = warn


class Cache(Protocol):
    """Values of an account by name; a value is anything that JSON can hold but null.

    `remembers`: False where nothing is kept.
    """

    remembers: bool

    def moment(self) -> Moment:
        """Now."""

    def read(self, account_id: str, *names: str) -> list[Any]:
        """The values that can be trusted, None for the others."""

    def read_each(self, *keys: tuple[str, str]) -> list[Any]:
        """The same of several accounts, or spaces: (id, name)."""

    def put(self, account_id: str, *puts: Put) -> None:
        """Remember what was read from the database."""

    def invalidate(self, account_id: str, versions: dict[str, int]) -> None:
        """Forget what is older than these versions; call it before the change is committed, in a
        transaction that is `retrying`. Raises Untold."""

    def invalidate_each(self, versions: dict[tuple[str, str], int]) -> None:
        """The same of several accounts, or spaces, at once: by (id, name)."""

    def flush(self) -> None:
        """After a commit, before the answer: what could not be sent is sent if possible, and what
        was sent too long before the commit is sent again; then pokes are said (pokes.py). Raises
        OutcomeUnknown where nobody can be told of it."""

    def settle(self) -> None:
        """Wait until nothing is pending, or no value can be older than that. For a process that
        ends; at most INVALIDATED_SECONDS."""


class NoCache:
    """The database is asked each time."""

    remembers = False

    def __init__(self, say_pokes: Callable[[], None] = lambda: None) -> None:
        self._say_pokes = say_pokes

    def moment(self) -> Moment:
        return Moment(0, "")

    def read(self, account_id: str, *names: str) -> list[Any]:
        return [None] * len(names)

    def read_each(self, *keys: tuple[str, str]) -> list[Any]:
        return [None] * len(keys)

    def put(self, account_id: str, *puts: Put) -> None:
        pass

    def invalidate(self, account_id: str, versions: dict[str, int]) -> None:
        pass

    def invalidate_each(self, versions: dict[tuple[str, str], int]) -> None:
        pass

    def flush(self) -> None:
        self._say_pokes()

    def settle(self) -> None:
        pass


def cache() -> Cache:
    """The application's cache."""
    return cast(Cache, current_app.extensions["account_cache"])
