"""What Redis remembers of accounts, also through its outages: the promise of cache.py.

What cannot be sent to Redis is pending, and is flushed as soon as Redis answers again. Until then
it is not committed without a doubt (memory/doubts.py).
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from melon_api import measures
from melon_api.errors import OutcomeUnknown
from melon_api.storage.cache import Moment, NoCache, Put, Untold, cache
from melon_api.storage.engine import separate_engine
from melon_api.storage.memory.doubts import Doubts
from melon_api.storage.memory.herald import Herald
from melon_api.storage.memory.redis_entries import INVALIDATED_SECONDS, RedisEntries, has_ended
from melon_api.storage.redis import Availability
from melon_api.storage.redis_settings import redis_servers

R = TypeVar("R")
log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
LONG_SECONDS = 0.2  # no other host takes the place of one in so short a time


class RedisCache:
    """Never raises for a Redis that is away."""

    remembers = True

    def __init__(self, url: str, doubts: Doubts, herald: Herald | None = None) -> None:
        self._entries = RedisEntries(url)
        self._doubts, self._herald = doubts, herald or Herald(None)
        self._availability = Availability(_went_away, _came_back)
        self._pending: dict[str, tuple[int, float]] = {}  # key: version, until when (s, monotonic)
        self._lock = threading.Lock()
        self._thread = threading.local()  # whether the request at hand has something pending

    def close(self) -> None:
        """Give its connections back, as far as no thread uses them."""
        self._entries.close()
        self._doubts.close()
        self._herald.close()

    def moment(self) -> Moment:
        return self._entries.moment()

    def read(self, account_id: str, *names: str) -> list[Any]:
        return self.read_each(*((account_id, name) for name in names))

    def read_each(self, *keys: tuple[str, str]) -> list[Any]:
        believed_until = self._doubts.none_until()
        if believed_until:
            values: list[Any] | None = self._availability.ask(
                self._flushed(lambda: self._entries.read([_key(*key) for key in keys]))
            )
            if values and time.monotonic() < believed_until:
                return values
        return [None] * len(keys)

    def put(self, account_id: str, *puts: Put) -> None:
        if not self._doubts.none_until():
            return
        by_key = {_key(account_id, put.name): put for put in puts}
        self._availability.ask(self._flushed(lambda: self._entries.put(by_key)))

    def invalidate(self, account_id: str, versions: dict[str, int]) -> None:
        self.invalidate_each({(account_id, name): version for name, version in versions.items()})

    def invalidate_each(self, versions: dict[tuple[str, str], int]) -> None:
        by_key = {_key(*key): version for key, version in versions.items()}
        sent = self._thread.__dict__.setdefault("sent", {})
        if not sent:
            self._thread.sent_at, self._thread.life = time.monotonic(), self._entries.life()
        sent.update(by_key)
        if not self._send_or_defer(by_key):
            raise Untold(self._doubts.raise_one)

    def flush(self) -> None:
        sent, told = (self._thread.__dict__.pop(name, None) for name in ("sent", "told"))
        if sent and self._may_be_forgotten(told or []) and not self._send_or_defer(sent):
            self._raise_doubt()
        self._thread.__dict__.pop("told", None)
        if getattr(self._thread, "pending", False):
            self._thread.pending = False
            if not self._doubts.stands():
                self._availability.ask_anyway(self._flush)
        self._herald.say()

    def settle(self) -> None:
        self.flush()
        if self._pending:
            log.warning("waiting until Redis knows all changes, at most %d s", INVALIDATED_SECONDS)
        while self._pending:
            time.sleep(SETTLE_SECONDS)
        self._doubts.withdraw(self._owes)

    def _send_or_defer(self, by_key: dict[str, int]) -> bool:
        """Whether Redis knows, or nobody believes it. Tried even where Redis was away a moment ago:
        other workers may have it back already. Not while they do not believe it."""

        def send() -> bool:
            told = self._entries.invalidate(by_key)
            self._thread.__dict__.setdefault("told", []).append(told)
            return True

        is_in_vain = self._availability.is_away and self._doubts.stands()
        if not is_in_vain and self._availability.ask_anyway(self._flushed(send)):
            return True
        self._defer(by_key)
        return self._doubts.stands()

    def _raise_doubt(self) -> None:
        """Behind a commit. Raises OutcomeUnknown when the database is away as well: a 503 would
        promise that nothing was stored."""
        try:
            self._doubts.raise_one()
        except SQLAlchemyError as error:
            raise OutcomeUnknown("Redis and the database were lost; repeat.") from error

    def _may_be_forgotten(self, told: list[Any]) -> bool:
        """Whether another Redis may run by now than the one that knows what this thread sent, or
        it was emptied."""
        is_long_ago = time.monotonic() - self._thread.sent_at > LONG_SECONDS
        if is_long_ago or any(map(has_ended, told)):
            return True
        life = self._thread.life
        return life is None or life != self._entries.life()

    def _owes(self) -> bool:
        return bool(self._pending)

    def _defer(self, by_key: dict[str, int]) -> None:
        """Remember what is to be flushed, and see to it that it is, even if nobody calls."""
        self._thread.pending = True
        until = time.monotonic() + INVALIDATED_SECONDS  # no value lives longer
        with self._lock:
            is_first = not self._pending
            self._pending |= {key: (version, until) for key, version in by_key.items()}
        if is_first:
            threading.Thread(target=self._flush_soon, name="cache flush", daemon=True).start()

    def _flush_soon(self) -> None:
        """Others may still trust what they must not: no waiting for AWAY_SECONDS here."""
        while self._pending:
            time.sleep(SETTLE_SECONDS)
            self._availability.ask_in_turn(self._flush)
        self._doubts.withdraw(self._owes)

    def _flushed(self, command: Callable[[], R]) -> Callable[[], R]:
        """The command, behind what is pending."""
        if not self._pending:
            return command

        def flush_first() -> R:
            self._flush()
            return command()

        return flush_first

    def _flush(self) -> None:
        """Raises redis.RedisError."""
        with self._lock:
            pending = dict(self._pending)
        for key, (version, until) in pending.items():
            if time.monotonic() < until:
                self._entries.invalidate({key: version})
            with self._lock:
                if self._pending.get(key) == (version, until):
                    del self._pending[key]


def init_app(app: Flask) -> None:
    url = app.config["REDIS_URL"]
    is_single = url and not redis_servers(url)
    herald = Herald(url)
    app.extensions["account_cache"] = NoCache(herald.say)
    if is_single:
        app.extensions["account_cache"] = RedisCache(url, Doubts(separate_engine(app)), herald)
    app.after_request(_flush)
    app.teardown_appcontext(_flush)  # commands have no requests


def _flush(response: Any) -> Any:
    """What was pending before the commit is sent before the answer: between the two another worker
    may have put the old state into a Redis that was just back."""
    cache().flush()
    return response


def _key(account_id: str, name: str) -> str:
    """One account's keys are in one slot of a Redis Cluster, so that one script may touch them."""
    return f"melon:{{{account_id}}}:{name}"


def _went_away(error: redis.RedisError) -> None:
    measures.redis_lost()
    log.warning("Redis does not answer (%s): reading the database", type(error).__name__)


def _came_back() -> None:
    log.warning("Redis answers again")
