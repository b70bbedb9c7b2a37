"""Pokes: behind a commit that has moved a space's clock, a word to the process that streams
(melon_api/live/), on the space's own channel: whose push it was, and to where the clock moved.

A poke is said behind the commit, never before it or instead of it (memory/herald.py), and one that
is lost costs the push nothing: who streams reads the clocks now and then, too.
"""

import threading
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

PREFIX = "melon:poke:"  # and the space's id: the channel
EVERYBODY = 0  # no session's number: whoever listens has something to be told


class Poke(NamedTuple):
    """`session`: the number of the session that had all its push stored as sent, and so has
    nothing to be told of it, else EVERYBODY; `clock`: the space's, as of the commit, `since`:
    before it, where the database does not know whose it was (a shared space's)."""

    session: int
    clock: int
    since: int | None = None


# By the transaction's connection: of two that one thread has open, each says its own.
_noted: WeakKeyDictionary[Connection, dict[str, Poke]] = WeakKeyDictionary()
_thread = threading.local()  # what is committed and not yet said


def note(connection: Connection, space_id: str, poke: Poke) -> None:
    """In the transaction that moves the space's clock; goes with the connection where that is
    rolled back."""
    noted = _noted.get(connection)
    if noted is None:
        _noted[connection] = {space_id: poke}
    else:
        noted[space_id] = poke


def committed(connection: Connection, *, is_certain: bool = True) -> None:
    """What was noted may be said. Who hears a poke for EVERYBODY reads the clock before it tells
    anybody, so that is what is said where the outcome is unknown."""
    noted = _noted.pop(connection, None)
    if noted and not is_certain:
        noted = {space_id: Poke(EVERYBODY, poke.clock) for space_id, poke in noted.items()}
    if noted:
        _thread.__dict__.setdefault("due", {}).update(noted)


def due() -> dict[str, Poke] | None:
    """What this thread has committed and not yet said, by space; once."""
    found: dict[str, Poke] | None = _thread.__dict__.pop("due", None)
    return found


def channel(space_id: str) -> str:
    return PREFIX + space_id
