"""What follows a commit, here and now: jobs and webhooks, whose failures fail the test."""

from typing import Any

from flask import Flask
from sqlalchemy import select, update

from melon_api.events.turns import Turns
from melon_api.models.base import db
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.storage.transactions import snapshot, writing


class JobFailed(AssertionError):
    """A job or a webhook has not taken an event: what it raised is the message, the log has where.
    The event is told again by the next `events()`; not where it raised `GiveUp`."""


def tell(app: Flask) -> None:
    """Tell all that waits, pauses or not, and what comes of it. Raises JobFailed."""
    with app.app_context():
        given_up = _given_up().keys()
        with writing(db.engine) as connection:
            connection.execute(update(EventQueue).values(due_at=0))
        Turns(app).drain()
        new = [text for event_id, text in _given_up().items() if event_id not in given_up]
        if failed := _pausing() + new:
            raise JobFailed("; ".join(failed))


def _pausing() -> list[str]:
    query = select(EventQueue.target, EventQueue.error).where(EventQueue.attempts > 0)
    with snapshot(db.engine) as connection:
        return [f"{target}: {error}" for target, error in connection.execute(query)]


def _given_up() -> dict[Any, str]:
    columns = (OutboxEvent.id, OutboxEvent.target, OutboxEvent.error)
    query = select(*columns).where(OutboxEvent.is_set_aside)
    with snapshot(db.engine) as connection:
        return {(i, target): f"{target}: {error}" for i, target, error in connection.execute(query)}
