"""The pushes to an account: who made the newest, and all of them as one device sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from melon_api.sync.rules.walk import Scope

RecordKey = tuple[str, str]  # table, id
# What was sent where the app's own code stored something else: digests by column.
Alterations = Mapping[RecordKey, Mapping[str, str]]
# Who made and changed what the app's own code did; those of devices are hashes of 63 bits.
SERVER = 1
NOBODY = 0
LAST = 1 << 62  # a clock behind all others


@dataclass(frozen=True)
class Run:
    """The newest pushes, of one session alone: whoever pushed after `since`, up to the account's
    clock, was `session`, and the server stored what it sent; nobody, where that is NOBODY.
    `until`: after that nobody pushed at all, though the clock may have moved."""

    session: int
    since: int
    until: int = LAST

    def covers(self, session: int, since: int) -> bool:
        """Whether nothing came after `since` but this session's own."""
        is_own = self.since <= since and self.session in (session, NOBODY)
        return is_own or self.until <= since

    def after(self, session: int, clock: int, tick: int, *, as_sent: bool) -> "Run":
        """With a push of this session, which moves the account from `clock` to `tick`."""
        if not as_sent:
            return Run(session, tick, tick)
        is_same = self.session in (session, NOBODY)
        return Run(session, self.since if is_same else min(self.until, clock), tick)


class Former(NamedTuple):
    """What a record that has come back to a space was there before (clocks of the space, in ms)."""

    deleted: int
    created: int
    created_by: int

    def was_left_with(self, device: int, since: int) -> bool:
        """Whether a device had it then, and has been told of no end until `since`."""
        return self.deleted > since and (self.created <= since or self.created_by == device)


@dataclass(frozen=True)
class History:
    """The pushes to an account after `since`, as seen by `device`; `session`: who pushes, by it."""

    device: int
    since: int
    adopted: frozenset[RecordKey] = frozenset()
    up_to_date: bool = True  # nobody else pushed, and all of this session's was stored as sent
    session: int = 0  # 0: of a pull
    altered: Alterations = field(default_factory=dict)  # what this device has sent since then

    def has_had(self, table: str, record_id: str, created_at: int, created_by: int) -> bool:
        """Whether this device had a record made then by that device (contract pull 3)."""
        return (
            created_at <= self.since
            or created_by == self.device
            or (table, record_id) in self.adopted
        )

    def list_of(self, scope: Scope, record_id: str, created_at: int, created_by: int) -> str:
        """Where in its pull a living record stands; of a table that is new to the device, what is
        old is new to it (contract pull 3 and 5)."""
        if scope.is_first or (scope.is_new and created_at <= self.since):
            return "created"
        had = self.has_had(scope.table, record_id, created_at, created_by)
        return "updated" if had else "created"
