"""A call that was tried in front of Flask, for Flask to tell: it failed, or is to be packed."""

from dataclasses import dataclass
from typing import Any

from melon_api.auth.accounts import Caller

ATTEMPT = "melon.attempt"  # in the WSGI environment


@dataclass(frozen=True)
class Attempt:
    """What came of it; `started` by perf_counter, `facts`: what was noted of the request."""

    outcome: bytes | Exception
    caller: Caller
    started: float
    facts: dict[str, Any]
