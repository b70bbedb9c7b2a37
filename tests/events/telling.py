"""Jobs that a test writes, and what they were told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import delete, select, update

from melon_api.events import Event, after, registry
from melon_api.events.turns import Turns
from melon_api.models.base import db
from melon_api.models.outbox import EventQueue, OutboxEvent
from tests.example.models import Task


@contextmanager
def listening(app: Flask) -> Iterator[Callable[[], None]]:
    """With jobs of a test's own; what tells them all that is due."""
    with app.app_context():
        yield Turns(app).drain
        registry.jobs.clear()
        with db.engine.begin() as connection:
            for model in (EventQueue, OutboxEvent):
                connection.execute(delete(model))


def told(model: type[Any] = Task, name: str = "told") -> list[Event]:
    """What a job that does nothing is told from now on."""
    seen: list[Event] = []
    after(model, name)(seen.append)
    return seen


def waiting() -> list[Any]:
    with db.engine.connect() as connection:
        query = select(OutboxEvent.__table__).order_by(OutboxEvent.clock, OutboxEvent.part)
        return list(connection.execute(query).all())


def queues() -> list[Any]:
    with db.engine.connect() as connection:
        return list(connection.execute(select(EventQueue.__table__)).all())


def make_due(**values: Any) -> None:
    """All pauses are over."""
    with db.engine.begin() as connection:
        connection.execute(update(EventQueue).values(due_at=0, **values))
