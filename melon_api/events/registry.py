"""Who is told what was committed: the app's jobs in this process, and webhooks by setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flask import current_app
from sqlalchemy import Table

from melon_api.models.outbox import TARGET_LENGTH
from melon_api.models.synced import is_synced

if TYPE_CHECKING:
    from melon_api.events.event import Event
    from melon_api.sync.rules.tables import SyncedTable

F = TypeVar("F", bound="Callable[[Event], None]")
WEBHOOKS = "melon_webhooks"  # in the application's extensions


class GiveUp(Exception):
    """Raised by a job: to try again is of no use. The event is set aside at once."""


class NotTaken(Exception):
    """It is not taken now, which is no fault of ours."""


class Target(Protocol):
    """Who is told; by `name` it is known in the database, over releases and restarts."""

    @property
    def name(self) -> str: ...

    def listens(self, table: SyncedTable) -> bool: ...

    def deliver(self, event: Event) -> None:
        """Raises GiveUp for what will never be taken, anything else for what may be."""


@dataclass(frozen=True)
class Job:
    """A function of the app's."""

    name: str
    table: Table
    run: Callable[[Event], None]

    def listens(self, table: SyncedTable) -> bool:
        return table.table is self.table

    def deliver(self, event: Event) -> None:
        self.run(event)


jobs: dict[str, Job] = {}


def after(model: type[Any], name: str | None = None) -> Callable[[F], F]:
    """Have a function run after each commit that did something to records of `model`, whoever made
    it: at least once, in the order of the account's clock (docs/your-code.md).

    `name`: what the database knows it by, its module and name if not given; keep it when the
    function moves. Raises TypeError for what does not sync, ValueError for a name that is taken, or
    not ASCII of 1 to 120 characters.
    """
    if not is_synced(model):
        raise TypeError(f"after(…) wants a model that syncs, not {model!r}")

    def register(run: F) -> F:
        known = name or f"{run.__module__}.{run.__qualname__}"
        if not (known.isascii() and known.isprintable() and len(known) <= TARGET_LENGTH):
            raise ValueError(f"{known!r}: a job's name is ASCII, of {TARGET_LENGTH} at most")
        if known in jobs:
            raise ValueError(f"there is a job {known!r} already; give one of them a name")
        jobs[known] = Job(known, model.__table__, run)
        return run

    return register


def targets() -> list[Target]:
    """All that there are in this application."""
    return [*jobs.values(), *current_app.extensions[WEBHOOKS]]
