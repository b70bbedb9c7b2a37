"""What one number on the phone stands for, where many clocks are behind it (contract, Spaces).

Each space has a clock of its own, as an account has (sql/clock.py): who pushes into it locks it,
ticks it and stamps the rows, however many members there are. A phone stores one number T, a
`timestamp` of its account. *Points* remember what T stood for: `(account, T, space, clock)`.

The promise is that of one account: a pull since T tells every change of all spaces that T did not
stand for. Why none is missed:

- A pull reads all clocks and all rows in one snapshot. Where the clocks are not those of the newest
  point, it ticks the account, in a short transaction of its own, and stores what differs under the
  new tick, which is its answer's timestamp. Another pull with a newer snapshot may have ticked
  first; then what differs is lower, and is stored all the same: what a point says is true of its
  own timestamp, whatever others know. So each timestamp means the snapshot that it was given for,
  no more and no less, and a pull since T, with each space's newest entry up to T, begins where that
  snapshot ended.
- No entry for a space that the account is in: the phone has never pulled it. It is told all living
  records, and all tombstones, too, for it may have pushed there. A tombstone that was purged since
  the account first joined (since it last did, where the phone was told of an end) could be one of
  those: then the pull is a replacement.
- An entry, or a membership that ended after T, for a space that the account is not in: all of its
  ids are deleted. So joining and leaving tick the account's clock, and a membership keeps its end.
- An id is never deleted that lives in another of the account's spaces: a record that moved has a
  tombstone in the space it left.
- Ends of memberships, and what is told again, are compared with the clock of the own space that T
  stands for: the snapshot's, where a tick came between.
- The own space needs no entry: T is its clock. But a push into it may come between a pull's
  snapshot and its tick, which is then a later number than the snapshot knew of: that one timestamp
  has an entry for the own space, too.
- A push gives a new timestamp only where T stood for the present clock of every space; it stores
  what its own stamps changed under that timestamp.
- What a purge forgets of a space (its tombstones) or of points is told by a clock below which a
  timestamp is worth a replacement only.

tests/spaces holds a model of these rules to random histories, with each of them left out in turn.
"""

from collections.abc import Iterable
from dataclasses import dataclass

OWNER, EDITOR = "owner", "editor"
LAST = 1 << 62  # a clock behind all others


@dataclass(frozen=True)
class Reach:
    """A space as seen by an account: a member of it, or one that was, then `left_tick` says when.
    Clocks are in ms; `…_tick` and T are the account's, the others the space's.

    `since`: what T stood for, `newest`: what the newest point says, None for nothing, or no member;
    `was_told_end`: at T it was no member any more, and has joined but once since: of what is older
    the phone has nothing.
    """

    id: str
    role: str
    joined_tick: int
    first_clock: int
    joined_clock: int
    left_tick: int | None
    clock: int
    purged: int
    since: int | None = None
    newest: int | None = None
    was_told_end: bool = False

    @property
    def is_member(self) -> bool:
        return self.left_tick is None

    @property
    def may_write(self) -> bool:
        return self.is_member and self.role in (OWNER, EDITOR)

    @property
    def has_news(self) -> bool:
        return self.since != self.clock

    @property
    def is_stale(self) -> bool:
        """Whether a deletion that the phone must be told of may have been forgotten."""
        return self.purged > (self._from if self.since is None else self.since)

    @property
    def _from(self) -> int:
        """Of what is older the phone has nothing that it has not been told the end of."""
        return self.joined_clock if self.was_told_end else self.first_clock

    def has_ended(self, own_since: int) -> bool:
        """Whether a phone that has had its own space up to this clock is to be told that the space
        is gone: by that clock, for a pull may have ticked after the end, and read before it."""
        if self.left_tick is None:
            return False
        return self.since is not None or self.left_tick > own_since

    def told_until(self, own_since: int) -> int | None:
        """The clock of the space up to which what was born there is no more on a phone that has had
        its own space up to `own_since`: it was told that all of that is gone. None for nothing."""
        if not self.is_member and not self.has_ended(own_since):
            return LAST
        return self.joined_clock if self.was_told_end else None


def differences(spaces: Iterable[Reach], clocks: dict[str, int]) -> dict[str, int | None]:
    """What a new point must say, so that it and those before it stand for these clocks; None for a
    space that the account is not in any more."""
    newest = {space.id: space.newest for space in spaces if space.newest is not None}
    names = newest.keys() | clocks.keys()
    return {name: clocks.get(name) for name in names if newest.get(name) != clocks.get(name)}
