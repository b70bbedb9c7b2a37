"""The promise of cache.py where a replica may take its master's place: nothing that it has not
heard of is trusted. On a real pair of Redis servers; a promotion here is one by hand, at the
moment that would hurt most.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import environment, make_app, statements
from devices import Account
from redis_servers import Cluster, Pair, asked, until
from round_trips import round_trips
from servers import PrivateRedis

from melon_api import cache as cache_module
from melon_api.cache import Put, RedisCache
from melon_api.redis_client import connect
from melon_api.replicated import LAG_SECONDS, Eras

KEYS = ["melon:{ada}:clock"]
LIFETIME_MS = 60_000


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as servers:
        yield servers


def reader(node: PrivateRedis) -> Eras:
    return Eras(connect(node.url))


def trusted(eras: Eras) -> list[bytes | None]:
    """As cache.py judges."""
    entries = eras.read(KEYS)
    now = str(eras.moment()).encode()
    return [e if e and e.split()[1:2] == [now] else None for e in entries]


def put(eras: Eras, version: int, era: int) -> None:
    eras.put(KEYS, [version, f'{era} "as of {version}"', LIFETIME_MS])


def outdate(eras: Eras, version: int) -> None:
    eras.put(KEYS, [version, "", LIFETIME_MS])


def held(node: PrivateRedis) -> Any:
    return asked(node, "GET", KEYS[0])


def test_what_the_master_holds_is_trusted_and_versions_only_grow(pair: Pair) -> None:
    eras = reader(pair.master)
    assert trusted(eras) == [None]
    put(eras, 7, eras.moment())
    assert trusted(eras) == [f'7 {eras.moment()} "as of 7"'.encode()]
    outdate(eras, 8)
    assert trusted(eras) == [None]
    put(eras, 7, eras.moment())
    assert trusted(eras) == [None]
    put(eras, 8, eras.moment())
    assert trusted(eras) != [None]


def test_a_replica_that_missed_an_outdating_is_not_believed(pair: Pair) -> None:
    """Nor is the old master, which nobody has told; nor who read the database before."""
    writer, follower = reader(pair.master), reader(pair.replica)
    writer.read(KEYS)
    before = writer.moment()
    put(writer, 7, before)
    until(lambda: held(pair.replica) is not None)
    asked(pair.replica, "REPLICAOF", "NO", "ONE")
    outdate(writer, 8)
    assert held(pair.replica).startswith("7 ")  # it does hold the old value, and lives
    asked(pair.master, "REPLICAOF", "127.0.0.1", str(pair.replica.port))
    until(lambda: bool(asked(pair.replica, "ROLE")[2]))
    assert trusted(follower) == [None]
    put(follower, 7, before)  # by one who asked the database before the promotion
    assert trusted(follower) == [None]
    put(follower, 8, follower.moment())
    assert trusted(follower) != [None]
    with pytest.raises(redis.ReadOnlyError):
        writer.read(KEYS)
    assert writer.moment() == 0


def test_a_restart_with_old_data_is_a_new_era(pair: Pair) -> None:
    eras = reader(pair.master)
    eras.read(KEYS)
    before = eras.moment()
    pair.master.kill()
    pair.master.start()
    eras.read(KEYS)
    assert eras.moment() not in (0, before)


def test_a_master_whose_replica_is_silent_is_not_believed(pair: Pair) -> None:
    """It may have been replaced."""
    eras = reader(pair.master)
    eras.read(KEYS)
    put(eras, 7, eras.moment())
    assert trusted(eras) != [None]
    pair.replica.freeze()
    until(lambda: trusted(eras) == [None], LAG_SECONDS + 5)
    pair.replica.thaw()
    until(lambda: trusted(eras) != [None])
    pair.replica.kill()
    until(lambda: trusted(eras) == [None])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def holder(cluster: Cluster, key: str) -> PrivateRedis:
    """The master of this key."""
    for node in cluster.masters():
        try:
            asked(node, "GET", key)
        except redis.ResponseError:  # MOVED
            continue
        return node
    raise AssertionError(f"nobody holds {key}")


def test_what_was_outdated_long_before_its_commit_is_outdated_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master died between the two, with the news; then somebody read what was not yet changed."""
    writer, other = RedisCache(cluster.url), RedisCache(cluster.url)
    node = holder(cluster, "melon:{ada}:clock")
    for is_long in (True, False):
        monkeypatch.setattr(cache_module, "LONG_SECONDS", 0 if is_long else 3600)
        asked(node, "FLUSHALL")
        writer.outdate("ada", {"clock": 8})
        asked(node, "FLUSHALL")
        other.read("ada", "clock")
        other.put("ada", Put("clock", 7, 7, other.moment(), 60))
        assert other.read("ada", "clock") == [7]
        time.sleep(0.001)
        writer.pay()
        assert other.read("ada", "clock") == [None if is_long else 7]
        with round_trips(node.url) as seen:
            writer.pay()
        assert seen == []


def test_a_signed_in_call_asks_the_database_whether_its_session_lives(
    cluster: Cluster, tmp_path: Path
) -> None:
    """And no more: a cluster that loses a master once let a dead session live."""
    url = f"sqlite:///{tmp_path}/cluster.db"
    app = make_app(environment("sqlite", url, REDIS_URL=cluster.url), tmp_path)
    account = Account(app)
    phone, node = account.first, holder(cluster, f"melon:{{{account.user['id']}}}:clock")
    for _ in range(2):
        phone.pull()
        phone.call("GET", "/users/me")
    for ask in (lambda: phone.call("GET", "/users/me"), phone.pull):
        with statements(app) as sql, round_trips(node.url) as seen:
            ask()
        assert ["sessions" in line for line in sql if line.startswith("SELECT")] == [True]
        assert set(seen) == {"EVAL"}
    assert app.test_client().get("/readyz").json["redis"] == "ok"
