"""How much waits to be told, for `/metrics`: asked of the database at each scrape, so that it is
seen to grow while no worker runs."""

import logging
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from melon_api.models.base import now_ms
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.storage.engine import probe_engine

log = logging.getLogger(__name__)

_e = OutboxEvent.__table__.c


def metrics() -> bytes:
    """As Prometheus reads it; nothing while the database does not answer."""
    registry = CollectorRegistry()
    try:
        registry.register(_Counts(probe_engine()))
        return generate_latest(registry)
    except SQLAlchemyError as error:
        log.warning("nobody knows how many events wait: %s", type(error).__name__)
        return b""


class _Counts(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        oldest = func.min(_e.created_at_ms)
        grouped = select(_e.is_set_aside, func.count(), oldest).group_by(_e.is_set_aside)
        failing = select(func.count()).select_from(EventQueue).where(EventQueue.attempts > 0)
        with self._engine.connect() as connection:
            found = {bool(aside): (n, ms) for aside, n, ms in connection.execute(grouped)}
            queues = connection.scalar(failing) or 0
        waiting, since = found.get(False, (0, None))
        age = max(now_ms() - since, 0) / 1000 if since is not None else 0
        yield _gauge("melon_events_waiting", "Events that wait to be told.", waiting)
        yield _gauge("melon_events_oldest_seconds", "Since the oldest of them was committed.", age)
        aside, _ = found.get(True, (0, None))
        yield _gauge("melon_events_set_aside", "Events that nobody took.", aside)
        yield _gauge("melon_event_queues_failing", "Queues whose last try failed.", queues)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
