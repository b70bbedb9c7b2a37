"""The promise of cache.py: nothing is served that is older than a committed change.

Each `Worker` is what another process has: a cache of its own, with its own connections to Redis.
"""

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import WITH_REDIS, environment, make_app
from devices import PASSWORD, Account, created, new_id, project
from flask import Flask
from redis.crc import key_slot
from round_trips import round_trips
from servers import PrivateRedis

from melon_api.models.base import db
from melon_api.storage import redis as redis_module
from melon_api.storage import redis_cache as cache_module
from melon_api.storage.cache import VALUE_SECONDS, Moment, NoCache, Put
from melon_api.storage.memory import near_cache
from melon_api.storage.redis_cache import RedisCache

PATIENCE_SECONDS = 60
NAME = "profile"
LONG_AGO = Moment(0, "")


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def all_flushing_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "cache flush"}


STRANGERS: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _strangers() -> None:
    """Of tests before, whose Redis never came back."""
    STRANGERS.update(all_flushing_threads())


def flushing_threads() -> set[threading.Thread]:
    return all_flushing_threads() - STRANGERS


def a_moment(*workers: "Worker") -> None:
    """What was read before a worker's newest connection is not trusted by it."""
    newest = max(worker.cache._entries._trusted_from_ms for worker in workers)
    eventually(lambda: all(worker.cache.moment().ms > newest for worker in workers))


class NoDoubts:
    """Redis may always be believed, and nobody need be warned: doubts are for test_doubts.py."""

    def none_until(self) -> float:
        return math.inf

    def stands(self) -> bool:
        return True

    def withdraw(self, owes: Any) -> None:
        pass

    close = raise_one = lambda _: None


class Worker:
    """One process's cache. With a user of its own, Redis can be taken away from it alone."""

    def __init__(self, server: PrivateRedis, user: str | None = None) -> None:
        self.user = user
        self._operator = redis.Redis.from_url(server.url)
        self.mend()
        url = server.url.replace("//", f"//{user}:secret@" if user else "//")
        self.cache = RedisCache(url, NoDoubts())  # type: ignore[arg-type]
        self.read("somebody")  # a worker has served somebody before

    def read(self, account: str, name: str = NAME) -> Any:
        (value,) = self.cache.read(account, name)
        return value

    def put(
        self,
        account: str,
        version: int,
        value: Any = None,
        name: str = NAME,
        as_of: Moment | None = None,
    ) -> None:
        """What a reader does with what the database said, just now or at `as_of`."""
        as_of = self.cache.moment() if as_of is None else as_of
        self.cache.put(account, Put(name, version, value or f"as of {version}", as_of))

    def invalidate(self, account: str, version: int, name: str = NAME) -> None:
        self.cache.invalidate(account, {name: version})

    @property
    def pending(self) -> int:
        return len(self.cache._pending)

    def cut(self) -> None:
        self._operator.acl_setuser(self.user, enabled=False)
        self._operator.client_kill_filter(user=self.user)

    def mend(self) -> None:
        if self.user:
            self._operator.acl_setuser(
                self.user, enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"]
            )

    def close(self) -> None:
        eventually(lambda: not flushing_threads())
        self.cache.close()
        self._operator.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path) as server:
        yield server
        server.thaw()


@pytest.fixture
def operator(server: PrivateRedis) -> Iterator[Any]:
    """Somebody with redis-cli."""
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def new_worker(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Worker]]:
    monkeypatch.setattr(redis_module, "AWAY_SECONDS", 0.05)
    workers: list[Worker] = []

    def new(user: str | None = None) -> Worker:
        workers.append(Worker(server, user))
        return workers[-1]

    yield new
    for worker in workers:
        worker.cache._pending.clear()
    for worker in workers:
        worker.close()


@pytest.fixture
def two(new_worker: Callable[..., Worker]) -> tuple[Worker, Worker]:
    one, other = new_worker(), new_worker()
    a_moment(one, other)
    return one, other


@pytest.fixture
def unequal(new_worker: Callable[..., Worker]) -> tuple[Worker, Worker]:
    """The first one can be cut off."""
    one, other = new_worker("first"), new_worker()
    a_moment(one, other)
    return one, other


@pytest.fixture
def ada() -> str:
    return new_id()


# versions


def test_what_one_worker_puts_the_other_reads(two: Any, ada: str) -> None:
    one, other = two
    value = {"name": "Ünï", "at": None, "list": [1, True]}
    one.put(ada, 1, value)
    assert one.read(ada) == other.read(ada) == value
    assert other.read(new_id()) is None
    assert other.read(ada, "clock") is None


def test_an_older_version_never_replaces_a_newer_one(two: Any, ada: str) -> None:
    one, other = two
    one.put(ada, 2)
    other.put(ada, 1)
    assert one.read(ada) == other.read(ada) == "as of 2"
    other.put(ada, 10)
    one.put(ada, 9)
    assert one.read(ada) == other.read(ada) == "as of 10"


def test_a_change_hides_the_value_on_every_worker(two: Any, ada: str) -> None:
    one, other = two
    one.put(ada, 1)
    one.put(ada, 1, name="clock")
    one.invalidate(ada, 2)
    assert one.read(ada) is None
    assert other.read(ada) is None
    assert other.cache.read(ada, NAME, "clock") == [None, "as of 1"]


def test_a_reader_in_flight_cannot_put_the_old_state_back(two: Any, ada: str) -> None:
    """It has read the database before the change was committed, and comes after it."""
    reader, writer = two
    assert reader.read(ada) is None
    as_of = reader.cache.moment()
    writer.invalidate(ada, 2)
    reader.put(ada, 1, as_of=as_of)
    assert reader.read(ada) is None
    assert writer.read(ada) is None
    reader.put(ada, 2)
    assert writer.read(ada) == "as of 2"


def test_an_older_change_does_not_hide_a_newer_value(two: Any, ada: str) -> None:
    one, other = two
    one.put(ada, 3)
    other.invalidate(ada, 2)
    other.invalidate(ada, 3)
    assert one.read(ada) == "as of 3"


def test_versions_may_be_clocks_and_the_greatest_number(two: Any, ada: str) -> None:
    one, other = two
    now = 1_790_000_000_123
    one.put(ada, now)
    other.invalidate(ada, now + 1)
    one.put(ada, now)
    assert one.read(ada) is None
    one.put(ada, now + 1)
    assert other.read(ada) == f"as of {now + 1}"
    one.invalidate(ada, 2**53 - 1)
    other.put(ada, now + 2)
    assert other.read(ada) is None


def test_several_names_are_put_and_outdated_together(two: Any, ada: str) -> None:
    one, other = two
    one.invalidate(ada, 5, "b")
    now = one.cache.moment()
    one.cache.put(ada, Put("a", 1, "A", now), Put("b", 4, "B", now), Put("c", 0, {}, now))
    assert other.cache.read(ada, "a", "b", "c") == ["A", None, {}]
    other.cache.invalidate(ada, {"a": 2, "c": 1})
    assert one.cache.read(ada, "a", "b", "c") == [None, None, None]


def test_every_entry_ends(two: Any, operator: Any, ada: str) -> None:
    one, other = two
    one.put(ada, 1)
    one.invalidate(ada, 1, "clock")
    other.invalidate(ada, 7, "session:1")
    keys = operator.keys(f"*{ada}*")
    assert len(keys) == 3
    longest_ms = cache_module.INVALIDATED_SECONDS * 1000
    assert all(0 < operator.pttl(key) <= longest_ms for key in keys)
    assert all(
        operator.pttl(key) <= VALUE_SECONDS * 1000 for key in keys if key.endswith(b"profile")
    )


def test_nobody_ever_reads_less_than_was_committed(new_worker: Any, operator: Any) -> None:
    """Many workers, one database row, connections that are cut all the time."""
    committed = {"version": 0}
    account, stop, failures, hits = new_id(), threading.Event(), [], []

    def read(worker: Worker) -> None:
        while not stop.is_set():
            known = committed["version"]
            version = worker.read(account)
            if version is not None:
                hits.append(version)
            else:
                as_of = worker.cache.moment()
                version = committed["version"]
                worker.cache.put(account, Put(NAME, version, version, as_of))
            if version < known:
                failures.append((version, known))

    def write(worker: Worker) -> None:
        for version in range(1, 301):
            worker.invalidate(account, version)
            committed["version"] = version
            time.sleep(0.001)
            if version % 20 == 0:
                operator.client_kill_filter(_type="normal", skipme=True)
        stop.set()

    jobs = [threading.Thread(target=read, args=(new_worker(),)) for _ in range(3)]
    jobs.append(threading.Thread(target=write, args=(new_worker(),)))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert not failures
    assert hits


# doubt: what may have been missed


def test_a_new_process_trusts_nothing_that_was_there_before(new_worker: Any, ada: str) -> None:
    one = new_worker()
    a_moment(one)
    one.put(ada, 1)
    now = one.cache.moment().ms
    eventually(lambda: one.cache.moment().ms > now + 1)
    later = new_worker()
    assert later.read(ada) is None
    assert one.read(ada) == "as of 1"
    a_moment(one, later)
    later.put(ada, 1)
    assert later.read(ada) == one.read(ada) == "as of 1"


def test_a_value_is_not_trusted_for_longer_than_it_lives(two: Any, ada: str) -> None:
    """Redis was paused when it was put, and has counted its life since it went on."""
    one, _ = two
    for worker in two:
        worker.cache._entries._trusted_from_ms = 0
    now = one.cache.moment()
    for age_s, wanted in ((VALUE_SECONDS + 1, None), (VALUE_SECONDS // 2, "as of 1")):
        one.put(ada, 1, as_of=now._replace(ms=now.ms - age_s * 1000))
        assert [worker.read(ada) for worker in two] == [wanted, wanted]


def test_a_cut_connection_makes_a_worker_ask_the_database(
    two: Any, operator: Any, ada: str
) -> None:
    one, other = two
    one.put(ada, 1)
    operator.client_kill_filter(_type="normal", skipme=True)
    assert one.read(ada) is None
    assert other.read(ada) is None
    a_moment(one, other)
    one.put(ada, 1)
    assert one.read(ada) == other.read(ada) == "as of 1"


def test_what_redis_kept_through_a_restart_is_not_trusted(
    two: Any, server: PrivateRedis, operator: Any, monkeypatch: pytest.MonkeyPatch, ada: str
) -> None:
    """It was saved before a change that Redis was not there to be told of."""
    one, other = two
    monkeypatch.setattr(one.cache, "_flush_soon", lambda: None)
    one.put(ada, 1)
    server.stop()
    one.invalidate(ada, 2)
    server.start()
    (key,) = operator.keys(f"*{ada}*")
    assert operator.get(key).endswith(b'"as of 1"')
    assert other.read(ada) is None
    a_moment(one, other)
    other.put(ada, 2)
    assert other.read(ada) == "as of 2"


def test_an_old_read_is_not_put_into_a_redis_that_has_forgotten(
    two: Any, server: PrivateRedis, ada: str
) -> None:
    """The change was told before Redis was killed, the old read comes after it is back."""
    reader, writer = two
    assert reader.read(ada) is None
    as_of = reader.cache.moment()
    writer.invalidate(ada, 2)
    server.kill()
    server.start()
    assert writer.read(ada) is None
    reader.put(ada, 1, as_of=as_of)
    assert writer.read(ada) is None
    assert reader.read(ada) is None
    a_moment(reader, writer)
    reader.put(ada, 2)
    assert writer.read(ada) == "as of 2"


def test_a_snapshot_on_a_host_whose_clock_is_behind_is_not_trusted(
    two: Any, server: PrivateRedis, operator: Any, ada: str
) -> None:
    """Saved, changed, killed and restored: what it held seems to be of the minute to come."""
    one, other = two
    now = one.cache.moment()
    one.put(ada, 1, as_of=now._replace(ms=now.ms + 59_000))
    assert other.read(ada) == "as of 1"
    operator.save()
    one.invalidate(ada, 2)
    server.kill()
    server.start()
    assert [one.read(ada), other.read(ada)] == [None, None]
    a_moment(one, other)
    one.put(ada, 2)
    assert other.read(ada) == "as of 2"


def test_a_redis_of_another_run_may_have_a_clock_that_is_behind(
    two: Any, server: PrivateRedis, ada: str
) -> None:
    """What is read from now on is trusted, not only after hours."""
    one, _ = two
    one.cache._entries._trusted_from_ms += 3_600_000
    server.kill()
    server.start()
    assert one.read(ada) is None
    a_moment(one)
    one.put(ada, 1)
    assert one.read(ada) == "as of 1"


def test_what_an_emptied_redis_was_filled_with_again_is_not_trusted(
    two: Any, operator: Any, ada: str
) -> None:
    """By a full resynchronisation, or by hand; no connection breaks for it."""
    one, other = two
    one.put(ada, 1)
    assert other.read(ada) == "as of 1"
    (key,) = operator.keys(f"*{ada}*")
    saved = operator.get(key)
    one.invalidate(ada, 2)
    operator.flushall()
    operator.set(key, saved)
    assert [one.read(ada), other.read(ada)] == [None, None]


@pytest.mark.parametrize("is_near", [True, False])
def test_an_answer_older_than_the_lease_counts_as_none(
    two: Any, server: PrivateRedis, monkeypatch: Any, ada: str, is_near: bool
) -> None:
    """It was asked for, Redis stopped, a writer went on without it; then it came."""
    one, _ = two
    one.put(ada, 1)
    assert one.read(ada) == "as of 1"
    if not is_near:
        one.cache._entries._near = None
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 0.2)
    time.sleep(0.2)
    server.freeze()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(one.read, ada)
        time.sleep(0.5)
        server.thaw()
        assert answer.result(PATIENCE_SECONDS) is None


# held by the process itself


def test_a_change_is_seen_by_the_next_read_of_another_worker(two: Any, ada: str) -> None:
    one, other = two
    for version in range(1, 1000):
        one.put(ada, version)
        eventually(lambda v=version: other.read(ada) == f"as of {v}")  # type: ignore[misc]
        one.invalidate(ada, version + 1)
        assert other.read(ada) is None


def test_nothing_is_held_longer_than_a_writer_waits(
    two: Any, server: PrivateRedis, ada: str
) -> None:
    """Redis stops before it has told anybody; the writer commits without it."""
    one, other = two
    one.put(ada, 1)
    assert other.read(ada) == other.read(ada) == "as of 1"
    server.freeze()
    one.invalidate(ada, 2)
    assert other.read(ada) is None


def test_a_lease_is_renewed_by_asking(
    two: Any, server: PrivateRedis, monkeypatch: Any, ada: str
) -> None:
    one, _ = two
    one.put(ada, 1)
    assert one.read(ada) == "as of 1"
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 0.3)
    time.sleep(0.3)
    with round_trips(server.url) as commands:
        assert one.read(ada) == "as of 1"
    assert commands == ["MGET"]


@pytest.mark.parametrize("forget", ["flushall", "expire"])
def test_what_redis_forgets_is_forgotten(two: Any, operator: Any, ada: str, forget: str) -> None:
    one, _ = two
    one.put(ada, 1)
    assert one.read(ada) == "as of 1"
    if forget == "flushall":
        operator.flushall()
    else:
        operator.pexpire(operator.keys(f"*{ada}*")[0], 1)
    eventually(lambda: one.read(ada) is None)


def test_a_connection_that_was_closed_is_replaced_at_once(
    two: Any, operator: Any, caplog: Any, ada: str
) -> None:
    one, _ = two
    one.put(ada, 1)
    assert one.read(ada) == "as of 1"
    operator.client_kill_filter(_type="normal", skipme=True)
    a_moment(one)
    assert one.read(ada) is None  # what was told meanwhile, nobody knows
    a_moment(one)
    one.put(ada, 2)
    assert one.read(ada) == "as of 2"
    assert not caplog.records


def test_a_process_holds_so_much_and_no_more(two: Any, monkeypatch: Any, ada: str) -> None:
    monkeypatch.setattr(near_cache, "MOST_ENTRIES", 3)
    one, _ = two
    for number in range(10):
        one.put(ada, 1, name=str(number))
        assert one.read(ada, str(number)) == "as of 1"
    assert len(one.cache._entries._near._held) == 3


def test_a_redis_that_does_not_tell_of_changes_is_asked_each_time(
    new_worker: Any, server: PrivateRedis, operator: Any, caplog: Any, ada: str
) -> None:
    """As an operator's access list may forbid it."""
    one = new_worker("first")
    operator.acl_setuser("first", enabled=True, categories=["+@all"], commands=["-client|tracking"])
    operator.client_kill_filter(user="first")
    assert one.read(ada) is None
    a_moment(one)
    one.put(ada, 1)
    with round_trips(server.url) as commands:
        assert [one.read(ada) for _ in range(3)] == ["as of 1"] * 3
    assert commands == ["MGET"] * 3
    (warning,) = [r for r in caplog.records if "does not tell of changes" in r.getMessage()]
    assert warning.levelno == logging.WARNING


# Redis away


def test_without_redis_everything_goes_on(
    two: Any, server: PrivateRedis, caplog: Any, ada: str
) -> None:
    """One warning, not one for each call; and one when it is back."""
    one, _ = two
    one.put(ada, 1)
    server.kill()
    for version in range(2, 6):
        assert one.read(ada) is None
        one.put(ada, version)
        one.invalidate(ada, version)
        time.sleep(2 * redis_module.AWAY_SECONDS)  # it is asked again, and still away
    assert [r.getMessage().partition(" (")[0] for r in caplog.records] == ["Redis does not answer"]
    server.start()
    eventually(lambda: not one.pending and len(caplog.records) > 1)
    assert [r.getMessage() for r in caplog.records][1:] == ["Redis answers again"]
    assert {r.levelno for r in caplog.records} == {logging.WARNING}


def test_a_redis_that_hangs_is_left_alone(
    two: Any, server: PrivateRedis, monkeypatch: Any, ada: str
) -> None:
    """It is waited for once, not at every call."""
    one, _ = two
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(redis_module, "AWAY_SECONDS", 3600)
    server.freeze()
    assert one.read(ada) is None
    monkeypatch.setattr(one.cache._entries._near, "read", lambda *keys: asked.append(keys))
    assert [one.read(ada) for _ in range(100)] == [None] * 100
    assert not asked


def test_what_could_not_be_told_is_told_when_redis_is_back(unequal: Any, ada: str) -> None:
    """The other worker kept its connection, and with it the trust in what Redis says."""
    one, other = unequal
    one.put(ada, 1)
    one.put(ada, 1, name="clock")
    one.cut()
    one.invalidate(ada, 2)
    one.cache.invalidate(ada, {NAME: 3, "clock": 2})
    assert one.pending == 2
    assert other.cache.read(ada, NAME, "clock") == ["as of 1", "as of 1"]  # doubts are for that
    one.mend()
    eventually(lambda: not one.pending)  # nobody calls meanwhile
    assert other.cache.read(ada, NAME, "clock") == [None, None]
    other.put(ada, 2)
    assert other.read(ada) is None
    other.put(ada, 3)
    assert other.read(ada) == "as of 3"


def test_a_change_waits_for_no_redis_that_is_doubted(unequal: Any, ada: str) -> None:
    """Nobody believes it, and there is a thread that tells it later: a frozen one would take
    seconds of each change."""
    one, other = unequal
    one.put(ada, 1)
    one.cut()
    one.invalidate(ada, 2)
    tried = []
    told = one.cache._entries.invalidate

    def invalidate(versions: dict[str, int]) -> None:
        tried.append(threading.current_thread())
        told(versions)

    one.cache._entries.invalidate = invalidate
    for version in range(3, 9):
        one.invalidate(ada, version)
        one.cache.flush()
    assert threading.current_thread() not in tried
    one.mend()
    eventually(lambda: not one.pending)
    other.put(ada, 7)
    assert other.read(ada) is None


def test_what_is_pending_is_sent_before_anything_else(
    unequal: Any, monkeypatch: pytest.MonkeyPatch, ada: str
) -> None:
    one, other = unequal
    one.put(ada, 1)
    one.cut()
    one.invalidate(ada, 2)
    one.mend()
    monkeypatch.setattr(one.cache._availability, "_away_until", 0)
    assert one.read(ada) is None
    assert not one.pending
    assert other.read(ada) is None


def test_a_frozen_redis_learns_it_when_it_goes_on(two: Any, server: PrivateRedis, ada: str) -> None:
    one, other = two
    one.put(ada, 1)
    server.freeze()
    one.invalidate(ada, 2)
    assert one.pending == 1
    server.thaw()
    eventually(lambda: not one.pending)
    assert other.read(ada) is None
    other.put(ada, 2)
    assert other.read(ada) == "as of 2"


def test_what_is_pending_is_sent_by_one_thread(unequal: Any, ada: str) -> None:
    one, _ = unequal
    one.cut()
    for version in range(20):
        one.invalidate(ada, version, f"name {version}")
    assert len(flushing_threads()) == 1
    one.mend()
    eventually(lambda: not one.pending)
    eventually(lambda: not flushing_threads())
    one.cut()
    one.invalidate(ada, 99)
    one.mend()
    eventually(lambda: not one.pending)


def test_a_process_that_ends_flushes_before(unequal: Any, caplog: Any, ada: str) -> None:
    """The command line: it is not there any more when Redis is back."""
    one, other = unequal
    one.put(ada, 1)
    one.cache.settle()
    assert not caplog.records
    one.cut()
    one.invalidate(ada, 2)
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(one.cache.settle)
        eventually(lambda: any("waiting" in r.getMessage() for r in caplog.records))
        assert not ending.done()
        assert other.read(ada) == "as of 1"
        one.mend()
        ending.result(PATIENCE_SECONDS)
    assert other.read(ada) is None


def test_debts_that_no_value_outlives_are_forgiven(
    unequal: Any, monkeypatch: pytest.MonkeyPatch, operator: Any, ada: str
) -> None:
    one, _ = unequal
    monkeypatch.setattr(cache_module, "INVALIDATED_SECONDS", 0)
    one.cut()
    one.invalidate(ada, 2)
    one.mend()
    eventually(lambda: not one.pending)
    assert not operator.keys(f"*{ada}*")


def test_a_redis_whose_memory_is_full_still_takes_news(two: Any, operator: Any, ada: str) -> None:
    """The default of many hosts: nothing is evicted, reads go on, writes are refused."""
    one, other = two
    one.put(ada, 1)
    operator.config_set("maxmemory-policy", "noeviction")
    operator.config_set("maxmemory", 1)
    one.invalidate(ada, 2)
    assert other.read(ada) is None


def test_news_outlast_a_redis_whose_memory_was_full(
    two: Any, operator: Any, caplog: Any, ada: str
) -> None:
    """Somebody has read the old state before, and puts it when there is room again."""
    reader, writer = two
    as_of = reader.cache.moment()
    operator.config_set("maxmemory", 1)
    writer.invalidate(ada, 2)
    reader.put(new_id(), 1)  # there is no room for values
    operator.config_set("maxmemory", 0)
    reader.put(ada, 1, as_of=as_of)
    assert writer.read(ada) is None
    assert not writer.pending
    assert not caplog.records  # Redis has answered all the time


def test_a_redis_that_only_reads_delays_the_news_and_no_more(
    two: Any, operator: Any, ada: str
) -> None:
    """It cannot write its disk, or has become a replica."""
    one, other = two
    one.put(ada, 1)
    operator.config_set("min-replicas-to-write", 1)
    one.invalidate(ada, 2)
    assert one.pending == 1
    operator.config_set("min-replicas-to-write", 0)
    eventually(lambda: not one.pending)
    assert other.read(ada) is None


def remember_the_older(other: Any, ada: str) -> None:
    """Another worker reads, and puts, what is not yet changed."""
    other.read(ada)
    a_moment(other)
    other.put(ada, 1)
    assert other.read(ada) == "as of 1"


def test_what_was_outdated_long_before_its_commit_is_outdated_again(
    two: Any, operator: Any, monkeypatch: pytest.MonkeyPatch, ada: str
) -> None:
    """Redis lost it between the two; then somebody read what was not yet changed. What was told
    first is what counts."""
    writer, other = two
    monkeypatch.setattr(cache_module, "LONG_SECONDS", 0.05)
    writer.invalidate(ada, 2)
    time.sleep(0.05)
    writer.invalidate(ada, 5, "another")
    operator.flushall()
    remember_the_older(other, ada)
    writer.cache.flush()
    assert other.read(ada) is None


@pytest.mark.parametrize("before", ["PING", "COMMIT"])
def test_a_redis_that_starts_again_before_the_commit_is_told_again(
    two: Any, server: PrivateRedis, monkeypatch: pytest.MonkeyPatch, ada: str, before: str
) -> None:
    """However quickly; somebody has read meanwhile what was not yet changed."""
    writer, other = two
    monkeypatch.setattr(cache_module, "LONG_SECONDS", 3600)
    send = redis.Connection.send_command

    def restart() -> None:
        server.kill()
        server.start()
        remember_the_older(other, ada)

    sent = []

    def late(self: Any, *command: Any, **options: Any) -> None:
        sent.append(command[0])
        if sent.count("PING") == 1 and command[0] == "PING":
            restart()
        send(self, *command, **options)

    if before == "PING":
        monkeypatch.setattr(redis.Connection, "send_command", late)
    writer.invalidate(ada, 2)
    assert before == "COMMIT" or "PING" in sent
    if before == "COMMIT":
        restart()
        writer.cache.flush()
    assert other.read(ada) is None


def test_what_was_told_by_a_connection_that_has_ended_is_told_again(
    two: Any, operator: Any, monkeypatch: pytest.MonkeyPatch, ada: str
) -> None:
    """It may have been another Redis behind the same name."""
    writer, other = two
    monkeypatch.setattr(cache_module, "LONG_SECONDS", 3600)
    writer.invalidate(ada, 2)
    (used,) = writer.cache._entries._writers
    used.send_command("CLIENT", "ID")
    assert operator.client_kill_filter(_id=used.read_response()) == 1
    operator.delete(*operator.keys())
    remember_the_older(other, ada)
    writer.cache.flush()
    assert other.read(ada) is None


def test_what_an_emptied_redis_forgot_before_the_commit_is_told_again(
    two: Any, operator: Any, monkeypatch: pytest.MonkeyPatch, ada: str
) -> None:
    """However quickly, and though no connection broke."""
    writer, other = two
    monkeypatch.setattr(cache_module, "LONG_SECONDS", 3600)
    writer.invalidate(ada, 2)
    operator.flushall()
    remember_the_older(other, ada)
    writer.cache.flush()
    assert other.read(ada) is None


def test_a_redis_that_has_forgotten_the_script_is_told_all_the_same(
    two: Any, operator: Any, caplog: Any, ada: str
) -> None:
    writer, other = two
    writer.invalidate(ada, 1)
    other.put(ada, 1)
    operator.script_flush()
    writer.invalidate(ada, 2)
    assert other.read(ada) is None
    assert not caplog.records  # Redis has answered all the time


def test_what_redis_has_kept_is_told_once(two: Any, server: PrivateRedis, ada: str) -> None:
    writer, _ = two
    writer.put(ada, 0)  # the script is there from the first time on
    with round_trips(server.url) as commands:
        writer.invalidate(ada, 2)
        writer.cache.flush()
    assert commands == ["EVALSHA", "PING"]


# what it costs, what it holds


def test_what_each_call_asks_of_redis(
    two: Any, server: PrivateRedis, monkeypatch: Any, ada: str
) -> None:
    monkeypatch.setattr(near_cache, "LEASE_SECONDS", 3600)
    one, _ = two
    one.put(ada, 0)  # the script is there from the first time on
    for call, wanted in (
        (lambda: one.read(ada), ["MGET"]),
        (lambda: one.read(ada), []),
        (lambda: one.cache.read(ada, "a", "b", "c", "d"), ["MGET"]),
        (lambda: one.put(ada, 1), ["EVALSHA"]),
        (lambda: one.cache.put(ada, *(Put(n, 1, 1, LONG_AGO) for n in "ab")), ["EVALSHA"]),
        (lambda: one.invalidate(ada, 2), ["EVALSHA", "PING"]),
        (lambda: one.cache.invalidate(ada, {"a": 2, "b": 2, "c": 2}), ["EVALSHA", "PING"]),
    ):
        with round_trips(server.url) as commands:
            call()
        assert commands == wanted


def test_without_a_redis_nothing_is_remembered() -> None:
    cache = NoCache()
    cache.put("ada", Put("a", 1, "x", cache.moment()))
    cache.invalidate("ada", {"a": 1})
    assert cache.read("ada", "a", "b") == [None, None]


def test_redis_holds_no_secret(server: PrivateRedis, operator: Any, tmp_path: Path) -> None:
    """No password, hash or token; the address in the profile alone; and one account is one slot."""
    environ = environment("sqlite", f"sqlite:///{tmp_path}/x.db", REDIS_URL=server.url)
    app = make_app(environ, tmp_path)
    account = Account(app)
    phone, tablet = account.first, account.device(device_id="tablet", device_name="Tablet")
    secrets = [account.email, PASSWORD, "$argon2"]
    for device in (phone, tablet):
        device.push(projects=created(project(name="a private project")))
        device.pull()
        device.pull()
        answer = device.call("POST", "/auth/refresh", device.refresh_token).json
        tokens = [device.access_token, device.refresh_token, *answer.values()]
        secrets += [str(t) for t in tokens if "." in str(t)]
        secrets += [hashlib.sha256(s.encode()).hexdigest() for s in secrets if "." in s]
    phone.call("PATCH", "/users/me", json={"name": "Grace"})
    body = {"current_password": PASSWORD, "new_password": "another-horse-battery"}
    phone.call("POST", "/users/me/password", json=body)
    phone.call("GET", "/users/me")
    with app.app_context():
        db.engine.dispose()
    held = {key.decode(): operator.get(key).decode() for key in operator.scan_iter()}
    assert {key.split(":")[2] for key in held} == {"profile", "session", "clock"}
    assert len({key_slot(key.encode()) for key in held}) == 1
    for secret in [*secrets, "another-horse", "a private project"]:
        assert not [key for key in held if secret in key]
        allowed = {key for key in held if key.endswith(":profile") and secret == account.email}
        assert {key for key, value in held.items() if secret in value} == allowed


@WITH_REDIS
@pytest.mark.parametrize("odd", [{"id": "x"}, {"a_new_column": 1}, [], "text", 7])
def test_an_entry_of_another_release_is_read_from_the_database(app: Flask, odd: Any) -> None:
    """A release that adds a column to the profile, or its rollback."""
    account = Account(app)
    assert account.first.call("GET", "/users/me").status_code == 200
    with app.app_context():
        held = cache_module.cache()
        put = cache_module.Put("profile", 0, odd, held.moment())
        held.put(account.user["id"], put)
        (session_id,) = (s["id"] for s in account.first.call("GET", "/auth/sessions").json)
        name = f"session:{session_id}"
        held.put(account.user["id"], cache_module.Put(name, 0, odd, held.moment()))
    assert account.first.call("GET", "/users/me").json == account.user
