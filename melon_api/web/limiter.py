"""Whether a call may be made: each of its limits has a window, and a call counts in all of them.

Knows no HTTP. The numbers are settings (`LimitSettings`), so many calls in so long a time for
each account and each client address.
"""

import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from limits import RateLimitItem, parse_many

from melon_api.storage.call_counts import CallCounts
from melon_api.storage.memory.leases import Leases, Window, most_held

PREFIX = "melon"  # of all counters
PORT = re.compile(r"^\[(.+)\](?::\d+)?$|^([^:]+):\d+$")  # some routers add it
NETWORK_BITS = 64  # of an IPv6 address: what one customer is given, and may roam in
ACCOUNT, ADDRESS = "account", "address"


class Key(NamedTuple):
    """Whose call it is: an account, under each of its names, and a client's address."""

    account: tuple[str, ...]
    address: tuple[str, ...]


class Limit(NamedTuple):
    """`item`: how many in how long; `who`: a field of Key; `counter`: the counters' name, as
    Flask-Limiter names them, with a place (`%s`) for that of the account or address; `held`: how
    many numbers processes may hold of it."""

    item: RateLimitItem
    who: str
    counter: str
    held: int


class Verdict(NamedTuple):
    """Whether a call may be made. `item` is the limit to speak of, `left` how many calls it still
    allows, `end` when its window ends (s since the epoch)."""

    is_allowed: bool
    item: RateLimitItem
    left: int
    end: float

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What is left of the limit, and its end in seconds from now (contract, Errors 5)."""
        seconds = max(1, math.ceil(int(self.end + 1) - time.time()))
        return [
            ("RateLimit-Limit", str(self.item.amount)),
            ("RateLimit-Remaining", str(max(0, self.left))),
            ("RateLimit-Reset", str(min(self.item.get_expiry(), seconds))),
        ]


class Limiter:
    """`settings`: as `LIMITS` of the configuration."""

    def __init__(self, counts: CallCounts, settings: Mapping[str, str]) -> None:
        self._leases = Leases(counts.count)
        calls = {name.split("_")[1] for name in settings}
        self._rules = {call: rule(call, settings) for call in calls}

    def hit(self, call: str, key: Key) -> Verdict:
        """Count a call, in at most one round trip to Redis (in a Cluster: one for each limit).

        The verdict speaks of the limit that is over last where one is reached, so that who waits
        for it gets through; else of the shortest one, of the account before the address.
        """
        limits = [(limit, name) for limit in self._rules[call] for name in getattr(key, limit.who)]
        counts = self._leases.count(
            [
                Window(limit.counter % name, limit.item.get_expiry(), limit.held)
                for limit, name in limits
            ]
        )
        verdicts = [
            Verdict(calls <= limit.item.amount, limit.item, limit.item.amount - calls, end)
            for (limit, _), (calls, _, end) in zip(limits, counts, strict=True)
        ]
        if reached := [verdict for verdict in verdicts if not verdict.is_allowed]:
            return max(reached, key=lambda verdict: verdict.end)
        shortest = [verdict for verdict in verdicts if verdict.item is verdicts[0].item]
        return min(shortest, key=lambda verdict: verdict.left)


def rule(call: str, settings: Mapping[str, str]) -> list[Limit]:
    """All limits of a kind of calls, the shortest first; some have none of an account."""
    limits = [
        Limit(item, who, item.key_for(PREFIX, "%s", scope(call, who)), most_held(item.amount))
        for who in (ACCOUNT, ADDRESS)
        if setting(call, who) in settings
        for item in parse_many(settings[setting(call, who)])
    ]
    return sorted(limits, key=lambda limit: limit.item)


def setting(call: str, who: str) -> str:
    return f"RATELIMIT_{call}_PER_{who.upper()}"


def scope(call: str, who: str) -> str:
    return f"{call} {who}"


def hashed(email: str) -> str:
    """An account that is known by its address alone; not in the clear."""
    return hashlib.sha256(email.encode()).hexdigest()


@lru_cache(maxsize=4096)
def network_of(client: str | None) -> str:
    """What counts as one address."""
    text = PORT.sub(r"\1\2", client or "127.0.0.1")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a router may put anything there
        return text
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
    return str(address)
