"""What is kept of a call: when, by which session, how many of what, and why not; nothing that
anybody wrote, and no id of a record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

PUSH, PULL, VERIFY = "push", "pull", "verify"
MOST_PLACES, LONGEST_NAME = 5, 64
MORE = "…"  # in place of the sixth
# Of what was noted of a request (measures.py).
KEPT = ("pull", "tables", "conflicts", "rejected", "values_repaired", "verified")


@dataclass(slots=True)
class Entry:
    """`kind`: which call. `first_ms`, `at_ms`: of the oldest and the newest of `times` calls alike.
    `code`: of the problem that was the answer. `facts`: `KEPT`, and `places`, those in the body of
    what was refused."""

    user_id: str
    session_id: str
    kind: str
    status: int
    code: str | None
    facts: dict[str, Any]
    request_id: str
    first_ms: int
    at_ms: int
    times: int = 1

    @property
    def likeness(self) -> str | None:
        """What is the same of refusals that are kept as one, as a phone repeats them; None for
        what is kept by itself."""
        if self.code is None:
            return None
        return f"{self.session_id} {self.kind} {self.status} {self.code} {self.facts}"


def facts_of(noted: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Of a request; `told`: what the phone was, where something was refused."""
    facts = {name: noted[name] for name in KEPT if noted.get(name)}
    if not told:
        return facts
    if found := list(islice(_places(told.get("errors")), MOST_PLACES + 1)):
        facts["places"] = [*found[:MOST_PLACES], *([MORE] if len(found) > MOST_PLACES else [])]
    return facts


def _places(errors: Any, within: str = "") -> Iterator[str]:
    """`changes.tasks.created["3"].title`, without what is said of it: that may quote a value, or an
    id."""
    if not isinstance(errors, Mapping) or not errors:
        if within:
            yield within
        return
    for name, found in errors.items():
        yield from _places(found, _joined(within, str(name)))


def _joined(within: str, name: str) -> str:
    """An app may name a table as it likes: as ASCII, in one line."""
    if name.isdecimal():
        return f'{within}["{name}"]'
    shown = ascii(name[:LONGEST_NAME])[1:-1]
    return f"{within}.{shown}" if within and shown else within or shown
