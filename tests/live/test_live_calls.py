"""How long a poll waits, and what is said where the loop does not get on."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from living import Person, living
from servers import Server, serving

from config import load
from melon_api.live import calls
from melon_api.live import stream as streams


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("live")
    with serving("sqlite", folder, workers=1) as server:
        yield server


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 25), ("0", 0), ("0.4", 0.4), ("55", 55), ("55.01", 55), ("99999", 55), ("9" * 64, 55)],
)
def test_how_long_a_poll_waits(text: str | None, seconds: float) -> None:
    """Contract, Live 3: 25 s where nothing is asked for; more than 55 counts as 55."""
    query = {} if text is None else {"wait": text}
    assert calls._read(query) == (0, seconds)


def test_how_long_one_may_be_silent() -> None:
    """Contract, Live 8: 20 s, which other tests do not wait for."""
    assert load(environment("sqlite", "sqlite:///x.db")).SILENCE_SECONDS == 20


def test_comments_come_however_often_there_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract, Live 2."""
    monkeypatch.setattr(streams, "QUIET_SECONDS", (0.2, 0.3))
    monkeypatch.setattr(streams, "TOGETHER_SECONDS", 0.001)
    told: list[bytes] = []

    async def story() -> None:
        stream = streams.Stream("s" * 36, "user", 0)

        async def send(message: Any) -> None:
            told.append(message["body"])
            if told.count(streams.NEWS) < 1_000 and not any(map(is_comment, told)):
                stream.tell("user", 1)
            else:
                stream.end("enough")

        stream.tell("user", 1)
        await streams.send_events(stream, send)

    asyncio.run(story())
    assert any(map(is_comment, told))


def is_comment(body: bytes) -> bool:
    return body.startswith(streams.COMMENT)


def test_a_loop_that_stands_still_keeps_no_seat(server: Server) -> None:
    """503 for who asks meanwhile; who comes again has its seat."""
    ada = Person(server)
    ada.first.pull()
    still = {"STANDS_STILL": "1", "LIVE_STREAMS": "1"}
    with living(server, module="tests.live.standing_live", **still) as live:
        with ada.first.listen(live).head() as answer:
            assert (answer.status, answer.body()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        deadline = time.monotonic() + 10
        while True:
            with ada.first.listen(live).head() as answer:
                if answer.status == 200:
                    break
            assert time.monotonic() < deadline, "its seat was lost"
            time.sleep(0.1)
