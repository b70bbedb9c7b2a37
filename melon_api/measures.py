"""What is measured while the service runs.

It has two readers: Prometheus (ops/metrics.py), and the line that each request leaves in the log
(ops/logs.py), which tells the facts that were noted on its way. Names and units are Prometheus's
own conventions: seconds, and `_total` behind a counter.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_requests = Histogram(
    "melon_request_seconds",
    "Requests, by what they were and what came of them.",
    ["method", "route", "status"],
    buckets=QUICK,
)
_pulls = Counter("melon_pulls_total", "Pulls: idle, incremental, first or replacement.", ["kind"])
_pulled = Counter("melon_records_pulled_total", "Records and deletions told to devices.")
_pushed = Counter("melon_records_pushed_total", "Records and deletions that devices sent.")
_push_size = Histogram(
    "melon_push_records",
    "Records and deletions of one push.",
    buckets=(0, 1, 2, 5, 10, 100, 1_000, 10_000, 50_000),
)
_conflicts = Counter("melon_conflicts_total", "Records that another device had changed meanwhile.")
_rejected = Counter("melon_records_rejected_total", "Records that a push could not store.")
_repaired = Counter(
    "melon_values_repaired_total",
    "Values that a push stored otherwise than they were sent, by why.",
    ["table", "column", "why"],
)
_clock_wait = Histogram(
    "melon_clock_wait_seconds",
    "Waiting for an account's lock, which its pushes share.",
    buckets=QUICK,
)
_retries = Counter(
    "melon_transaction_retries_total",
    "Transactions tried again, by the database's number.",
    ["error"],
)
_pool = Gauge(
    "melon_database_connections",
    "Connections to the database that work at the moment.",
    multiprocess_mode="livesum",
)
_pool_limit = Gauge(
    "melon_database_connections_limit",
    "Connections to the database that may work at once.",
    multiprocess_mode="livesum",
)
_statements = Counter("melon_statements_total", "SQL statements of requests.")
_statement_seconds = Counter("melon_statement_seconds_total", "The time that they took.")
_cache = Counter("melon_cache_reads_total", "Questions to Redis, by what it knew.", ["result"])
_redis_lost = Counter("melon_redis_losses_total", "Times that Redis stopped answering.")
_doubts = Counter("melon_redis_doubts_total", "Times that Redis was said not to be believed.")
_pokes = Counter(
    "melon_pokes_total", "Words to the live process that a clock has moved.", ["result"]
)
_streams = Gauge(
    "melon_live_streams",
    "Streams and long polls that wait for news at the moment.",
    multiprocess_mode="livesum",
)
_told = Counter("melon_live_events_total", "Times that a phone was told that there is news.")
_told_after = Histogram(
    "melon_live_event_seconds",
    "From a push's stamp to the event of which it is the cause.",
    buckets=QUICK,
)
_hashing = Histogram(
    "melon_password_hash_seconds", "Hashing a password, its turn included.", buckets=QUICK
)
_events = Counter(
    "melon_account_events_total", "What happened to accounts and sessions.", ["event"]
)

_poked, _not_poked = _pokes.labels("said"), _pokes.labels("lost")
_hit, _miss = _cache.labels("hit"), _cache.labels("miss")
Counts = dict[str, dict[str, int]]  # by table: created, updated, deleted; without zeros
FACTS = "melon.facts"  # in the WSGI environment: what was noted of the request in front of Flask
_facts: ContextVar[dict[str, Any] | None] = ContextVar("facts", default=None)


@contextmanager
def timed(observe: Callable[[float], None]) -> Iterator[None]:
    """Give `observe` the seconds that it took, whatever came of it."""
    started = time.perf_counter()
    try:
        yield
    finally:
        observe(time.perf_counter() - started)


def begin_request(facts: dict[str, Any] | None = None) -> None:
    """Forget what was noted before in this thread; `facts`: what is known of the request."""
    _facts.set(facts or {})


def request_facts() -> dict[str, Any]:
    """What was noted of the request at hand; empty outside of one."""
    return _facts.get() or {}


def _note(**facts: Any) -> None:
    noted = _facts.get()
    if noted is not None:
        noted.update(facts)


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """A request, with the statements that were noted of it; `route` is a rule, not a path."""
    _request(method, route, status).observe(seconds)
    facts = request_facts()
    if "sql" in facts:
        _statements.inc(facts["sql"])
        _statement_seconds.inc(facts["sql_ms"] / 1000)


# To find a label's series takes the library longer than to count.
@functools.cache
def _request(method: str, route: str, status: int) -> Histogram:
    return _requests.labels(method, route, status)


@functools.cache
def _pull(kind: str) -> Counter:
    return _pulls.labels(kind)


def pulled(kind: str, records: int, tables: Counts | None = None) -> None:
    """A pull that is about to be answered: idle, incremental, first or replacement."""
    _pull(kind).inc()
    if records:
        _pulled.inc(records)
    _note(pull=kind, records_pulled=records, tables=tables or None)


def pushed(records: int, tables: Counts) -> None:
    """A push that has been read."""
    _pushed.inc(records)
    _push_size.observe(records)
    _note(records_pushed=records, tables=tables or None)


def verified(tables: dict[str, tuple[int, int, bool]]) -> None:
    """By table: how many records a device holds, how many the server, whether all is the same."""
    _note(verified=tables)


def merged(conflicts: int, rejected: dict[str, int]) -> None:
    """What became of a push's records, before they are stored; `rejected`: how many, by code."""
    if conflicts:
        _conflicts.inc(conflicts)
        _note(conflicts=conflicts)
    if rejected:
        count = sum(rejected.values())
        _rejected.inc(count)
        _note(records_rejected=count, rejected=rejected)


def repaired(table: str, column: str, why: str, count: int) -> None:
    """Values of a push that is stored; `column` is one of few (sync/repairs.py)."""
    _repaired.labels(table, column, why).inc(count)
    _note(values_repaired=request_facts().get("values_repaired", 0) + count)


def clock_waited(seconds: float) -> None:
    _clock_wait.observe(seconds)


def tried_again(error: object) -> None:
    """A transaction that another one was in the way of."""
    _retries.labels(error).inc()


def connections(step: int) -> None:
    """One more works (+1), or one less (-1)."""
    _pool.inc(step)


def most_connections(count: int) -> None:
    """How many may work at once in this process."""
    _pool_limit.set(count)


def statement(seconds: float) -> None:
    """Of the request at hand; others are not counted."""
    noted = _facts.get()
    if noted is not None:
        noted["sql"] = noted.get("sql", 0) + 1
        noted["sql_ms"] = noted.get("sql_ms", 0.0) + seconds * 1000


def cache_read(is_hit: bool) -> None:
    (_hit if is_hit else _miss).inc()


def redis_lost() -> None:
    _redis_lost.inc()


def doubted() -> None:
    """By this process, for all (storage/memory/doubts.py)."""
    _doubts.inc()


def poked(count: int, *, is_lost: bool) -> None:
    (_not_poked if is_lost else _poked).inc(count)


def live_streams(step: int) -> None:
    _streams.inc(step)


def live_told(seconds: float | None) -> None:
    """An event; None where no push of this moment is its cause. Hosts' clocks may differ."""
    _told.inc()
    if seconds is not None:
        _told_after.observe(max(seconds, 0.0))


def hashed(seconds: float) -> None:
    _hashing.observe(seconds)


def count_event(event: str) -> None:
    """See audit.py."""
    _events.labels(event).inc()
