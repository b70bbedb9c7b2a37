"""Numbers of calls that processes hold: nobody is let through beyond the limit, and nobody is
refused long before it, however many processes there are."""

import random
import time
from collections.abc import Iterator

import pytest
from devices import new_id
from round_trips import round_trips
from servers import PrivateRedis

from melon_api.storage.call_counts import CallCounts
from melon_api.storage.memory.leases import MOST_WINDOWS, Leases, most_held
from melon_api.web.limiter import Key, Limiter

AMOUNT = 300
SETTINGS = {
    "RATELIMIT_PULL_PER_ACCOUNT": f"{AMOUNT}/hour",
    "RATELIMIT_PULL_PER_ADDRESS": "6000/hour",
}


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateRedis]:
    with PrivateRedis() as store:
        yield store


def processes(store: PrivateRedis, count: int) -> list[Limiter]:
    return [Limiter(CallCounts(redis_url=store.url), SETTINGS) for _ in range(count)]


def somebody() -> Key:
    return Key((new_id(),), (new_id(),))


@pytest.mark.parametrize("count", [1, 2, 5, 40])
@pytest.mark.parametrize("is_skewed", [False, True])
def test_the_limit_holds_for_all_processes_together(
    store: PrivateRedis, count: int, is_skewed: bool
) -> None:
    limiters, key, dice = processes(store, count), somebody(), random.Random(count)
    limiters[0].hit("PULL", key)
    allowed = 1
    for limiter in limiters:  # every one has a share, and some will not use it
        allowed += limiter.hit("PULL", key).is_allowed
    assert allowed == count + 1
    first_refused = None
    for call in range(count + 1, 3 * AMOUNT):
        limiter = limiters[-1] if is_skewed else dice.choice(limiters)
        if limiter.hit("PULL", key).is_allowed:
            allowed += 1
        elif first_refused is None:
            first_refused = call
    assert first_refused is not None
    assert first_refused >= AMOUNT - most_held(AMOUNT)
    assert AMOUNT - most_held(AMOUNT) <= allowed <= AMOUNT


def test_a_busy_account_costs_few_round_trips(store: PrivateRedis) -> None:
    (one, two), key = processes(store, 2), somebody()
    one.hit("PULL", key)
    two.hit("PULL", key)
    with round_trips(store.url) as commands:
        left = [one.hit("PULL", key).left for _ in range(AMOUNT // 2)]
    assert len(commands) <= AMOUNT // 2 // 5
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == len(left)


def test_a_limit_that_is_low_counts_each_call_in_redis(store: PrivateRedis) -> None:
    settings = {
        "RATELIMIT_LOGIN_PER_ACCOUNT": "10/minute;99/hour",
        "RATELIMIT_LOGIN_PER_ADDRESS": "30/minute",
    }
    one, two = (Limiter(CallCounts(redis_url=store.url), settings) for _ in range(2))
    key = somebody()
    answers = [limiter.hit("LOGIN", key).is_allowed for _ in range(6) for limiter in (one, two)]
    assert answers == [True] * 10 + [False] * 2


def test_what_a_process_held_goes_with_its_window(store: PrivateRedis) -> None:
    """Its numbers, and what it has to tell Redis."""
    settings = {**SETTINGS, "RATELIMIT_PULL_PER_ACCOUNT": "100/second"}
    limiter, key = Limiter(CallCounts(redis_url=store.url), settings), somebody()
    first = limiter.hit("PULL", key)
    time.sleep(first.end - time.time() + 0.05)
    assert first.left == limiter.hit("PULL", key).left == 99


def test_without_redis_a_process_counts_alone(store: PrivateRedis) -> None:
    limiter, key = Limiter(CallCounts(redis_url=None), SETTINGS), somebody()
    answers = [limiter.hit("PULL", key).is_allowed for _ in range(AMOUNT + 3)]
    assert answers == [True] * AMOUNT + [False] * 3


def test_memory_is_bounded(store: PrivateRedis) -> None:
    leases = Leases(CallCounts(redis_url=store.url).count)
    limiter = Limiter(CallCounts(redis_url=store.url), SETTINGS)
    limiter._leases = leases
    for _ in range(MOST_WINDOWS + 10):
        limiter.hit("PULL", Key((new_id(),), ("192.0.2.7",)))
    assert len(leases._held) == MOST_WINDOWS
