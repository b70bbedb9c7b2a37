"""The storage of limits: one number for Flask-Limiter and for the limiter, in Redis or not."""

import time
from collections.abc import Iterator

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter
from round_trips import round_trips
from servers import PrivateRedis

from melon_api.storage import redis as redis_module
from melon_api.storage.call_counts import CallCounts
from melon_api.storage.memory.leases import Window
from melon_api.web.limiter import Key, Limiter, rule

SETTINGS = {
    "RATELIMIT_PULL_PER_ACCOUNT": "3/minute;4/hour",
    "RATELIMIT_PULL_PER_ADDRESS": "9/minute",
}
ADA = Key(("ada",), ("192.0.2.1",))


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateRedis]:
    with PrivateRedis() as store:
        yield store


@pytest.fixture(params=["memory", "redis"])
def counts(request: pytest.FixtureRequest, store: PrivateRedis) -> CallCounts:
    return CallCounts(redis_url=store.url if request.param == "redis" else None)


def test_it_is_a_storage_as_the_library_wants_one(counts: CallCounts) -> None:
    strategy, item = FixedWindowRateLimiter(counts), parse("2/minute")
    key = item.key_for("somebody")
    counts.clear(key)
    assert [strategy.hit(item, "somebody") for _ in range(3)] == [True, True, False]
    assert counts.get(key) == 3
    assert 58 < counts.get_expiry(key) - time.time() <= 60
    assert counts.incr(key, 60, amount=5) == 8
    assert counts.count([Window(key, 60), Window("another", 60)])[0].calls == 9
    counts.clear(key)
    assert counts.get(key) == 0
    assert strategy.test(item, "somebody")
    assert counts.check()


def test_the_limiter_and_flask_limiters_strategy_see_each_other(counts: CallCounts) -> None:
    limiter, strategy = Limiter(counts, SETTINGS), FixedWindowRateLimiter(counts)
    limits = rule("PULL", SETTINGS)
    for limit in limits:
        counts.clear(limit.counter % getattr(ADA, limit.who))
    assert limiter.hit("PULL", ADA).left == 2
    assert strategy.hit(limits[0].item, "melon", "ada", "PULL account")
    assert limiter.hit("PULL", ADA).left == 0


def test_the_verdict_is_of_the_limit_that_is_over_last(counts: CallCounts) -> None:
    limiter = Limiter(counts, SETTINGS)
    bob = Key(("bob",), ("192.0.2.2",))
    for limit in rule("PULL", SETTINGS):
        counts.clear(limit.counter % getattr(bob, limit.who))
    verdicts = [limiter.hit("PULL", bob) for _ in range(5)]
    assert [v.is_allowed for v in verdicts] == [True] * 3 + [False] * 2
    assert [str(v.item) for v in verdicts] == ["3 per 1 minute"] * 4 + ["4 per 1 hour"]
    assert 3590 < verdicts[-1].end - time.time() <= 3600


def test_all_limits_of_a_call_are_one_round_trip(store: PrivateRedis) -> None:
    limiter = Limiter(CallCounts(redis_url=store.url), SETTINGS)
    limiter.hit("PULL", ADA)
    with round_trips(store.url) as commands:
        limiter.hit("PULL", ADA)
    assert commands == ["EVALSHA"]


def test_memory_and_back(
    store: PrivateRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_module, "AWAY_SECONDS", 0.05)
    counts = CallCounts(redis_url=store.url)
    key = "LIMITER/of nobody else"
    assert counts.incr(key, 60) == 1
    store.kill()
    assert [counts.incr(key, 60) for _ in range(2)] == [1, 2]
    assert counts.get(key) == 2
    assert counts.get_expiry(key) - time.time() > 50
    assert not counts.check()
    store.start()
    time.sleep(0.1)
    assert [counts.incr(key, 60) for _ in range(2)] == [1, 2]  # a new one, which has forgotten
    said = [r.getMessage() for r in caplog.records if r.name.endswith("call_counts")]
    assert ["falling back" in text for text in said] == [True, False]
    assert counts.check()
