"""What lasts is looked at once; what streams leave behind is found all the same."""

import gc
import weakref
from collections.abc import Iterator
from itertools import count

import pytest

from melon_api.live import heap
from melon_api.live.heap import Heap


@pytest.fixture
def kept() -> Iterator[Heap]:
    made = Heap()
    with made.watched():
        yield made
    assert not gc.get_freeze_count()


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
    ended = next(number for number in count(1) if kept.stream_ended(left) or gone() is None)
    assert ended == ends


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
