"""Whom the live process tells of what it hears, poke by poke."""

import asyncio
import time
from pathlib import Path

import pytest
from conftest import environment

from config import load
from melon_api.live.app import Live
from melon_api.live.desk import BELIEF_SECONDS, Desk
from melon_api.live.stream import Stream
from melon_api.storage.pokes import EVERYBODY, Poke
from melon_api.sync.sql.clock import AccountClock

OTHER = 7


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def stream(desk: Desk) -> Stream:
    """Of an account that is in a shared space, up to date with both."""
    stream = Stream("session", "ada", 10)
    desk.open(stream)
    clocks = {"ada": AccountClock(10, 0, 1, ""), "shared": AccountClock(20, 0, 0, "")}
    stream.known["shared"] = 20
    desk.compare(stream, clocks)
    assert not stream.take_news()
    return stream


@pytest.mark.parametrize(("spaces", "doubted"), [(("bob",), 0), (("bob", "shared"), 1)])
def test_who_begins_where_others_listen_already_is_looked_after_at_once(
    spaces: tuple[str, ...], doubted: int, tmp_path: Path
) -> None:
    """What was pushed there since its clocks were read was told to those others alone."""
    settings = environment("sqlite", f"sqlite:///{tmp_path}/a.db", REDIS_URL="redis://127.0.0.1:1")
    live = Live(load(settings))
    clocks = {name: AccountClock(10, 0, 1, "") for name in spaces}

    async def begin(name: str) -> None:
        stream = Stream(name, "bob", 10)
        await live._open(stream)
        await live._begin(stream, clocks, dict.fromkeys(clocks, 10))

    asyncio.run(begin("first"))
    live._desk.take_doubtful()
    asyncio.run(begin("second"))
    assert len(live._desk.take_doubtful()) == doubted


def test_another_ones_push_is_told_once(desk: Desk, stream: Stream) -> None:
    """Contract, Live 1."""
    for _ in range(2):
        desk.hear("shared", Poke(OTHER, 21, 20))
    assert stream.take_news()
    assert not stream.take_news()


def test_an_own_push_into_a_shared_space_is_no_news(desk: Desk, stream: Stream) -> None:
    """Contract, Live 1: nor when the database is read, which does not know whose it was."""
    desk.hear("shared", Poke(stream.session, 25, 20))
    clocks = {"ada": AccountClock(10, 0, 1, ""), "shared": AccountClock(25, 0, 0, "")}
    desk.compare(stream, clocks)
    assert not stream.take_news()


def test_an_own_push_hides_no_other_ones(desk: Desk, stream: Stream) -> None:
    """Contract, Live 1: words may come in another order than the commits."""
    desk.hear("shared", Poke(stream.session, 30, 25))
    desk.hear("shared", Poke(OTHER, 25, 20))
    assert stream.take_news()


def test_a_word_for_everybody_is_looked_at_first(desk: Desk, stream: Stream) -> None:
    desk.hear("ada", Poke(EVERYBODY, 11))
    assert not stream.take_news()
    assert desk.take_doubtful() == [stream]


def test_a_session_that_may_have_ended_is_told_nothing(desk: Desk, stream: Stream) -> None:
    """Contract, Live 5: the database cannot be read."""
    stream.checked = time.monotonic() - BELIEF_SECONDS - 1
    desk.hear("ada", Poke(OTHER, 11))
    assert not stream.take_news()
    assert desk.take_doubtful() == [stream]


def test_a_space_that_was_left_is_listened_to_no_more(desk: Desk, stream: Stream) -> None:
    desk.compare(stream, {"ada": AccountClock(10, 0, 1, "")})
    desk.hear("shared", Poke(OTHER, 21, 20))
    assert not stream.take_news()
    assert desk.close(stream) == ["ada", "shared"]  # Redis need not tell of either


def test_a_space_that_was_joined_is_news(desk: Desk, stream: Stream) -> None:
    names = ("ada", "shared", "new")
    clocks = {name: AccountClock(20 if name == "shared" else 10, 0, 1, "") for name in names}
    assert desk.compare(stream, clocks) == {"new"}
    assert stream.take_news()
