"""What lasts is looked at once; what streams leave behind is found all the same."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from conftest import environment

from config import load
from melon_api.live import heap
from melon_api.live.app import Live
from melon_api.live.calls import Asked
from melon_api.live.heap import Heap
from melon_api.live.stream import Stream


@pytest.fixture
def kept() -> Iterator[Heap]:
    made = Heap()
    with made.watched():
        yield made
    assert not gc.get_freeze_count()
    assert gc.isenabled()


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_what_has_lasted_is_not_looked_at_again(kept: Heap) -> None:
    lasting = [[] for _ in range(10_000)]
    gc.collect()
    assert gc.get_freeze_count() > len(lasting)
    assert len(gc.get_objects(generation=2)) < 1_000
    gc.collect(1)  # a young look keeps nothing
    before = gc.get_freeze_count()
    more = [[] for _ in range(10_000)]
    gc.collect(1)
    assert gc.get_freeze_count() <= before
    assert len(more) == len(lasting)


@pytest.mark.parametrize(("left", "ends"), [(0, heap.LEAST_ENDED), (1_500, 1_500)])
def test_what_as_many_streams_leave_as_there_are_is_found(kept: Heap, left: int, ends: int) -> None:
    circle = Circle()
    gone = weakref.ref(circle)
    gc.collect()
    del circle
    gc.collect()
    assert gone() is not None  # it lasted
    ended = next(number for number in count(1) if kept.stream_ended(0, left) or gone() is None)
    assert ended == ends


@pytest.mark.parametrize("looks", [0, 1])
@pytest.mark.parametrize("wait", [None, 60.0])
def test_a_stream_or_a_long_poll_counts_where_a_look_has_met_it(
    wait: float | None, looks: int, tmp_path: Path
) -> None:
    """What no look has met was never kept: long polls, most of the time."""
    live = Live(load(environment("sqlite", f"sqlite:///{tmp_path}/a.db")))
    stream = Stream("session", "ada", 10)

    async def story() -> int:
        live._seats.take(stream.session_id)
        with live._heap.watched():
            going = asyncio.create_task(live._go_on(Asked(stream, wait), _never, _nobody_reads))
            await asyncio.sleep(0)
            for _ in range(looks):
                gc.collect()
            stream.end("it was enough")
            await going
        return live._heap._ended

    gc.disable()
    try:
        assert asyncio.run(story()) == looks
    finally:
        gc.enable()


async def _never() -> Any:
    await asyncio.Event().wait()


async def _nobody_reads(_message: Any) -> None: ...


def test_what_is_left_when_no_stream_ends_is_found_in_the_end(
    kept: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "MOST_KEPT", 3)
    circle = Circle()
    gone = weakref.ref(circle)
    gc.collect()
    del circle
    gc.collect()
    assert gone() is not None
    gc.collect()  # the third look keeps nothing
    gc.collect()
    assert gone() is None


def test_nothing_is_looked_for_in_a_process_that_stops(kept: Heap) -> None:
    """Ten thousand streams are to be told in seconds."""
    circle = Circle()
    gone = weakref.ref(circle)
    gc.collect()
    del circle
    gc.collect()
    kept.rest()
    for _ in range(2 * heap.LEAST_ENDED):
        kept.stream_ended(0, 0)
    assert gone() is not None
