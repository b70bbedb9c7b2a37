"""What is to be kept waits in memory: how long, how much of it, and while nobody writes it."""

import logging
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from melon_api.history import keeper as keepers
from melon_api.history.entry import PUSH, Entry
from melon_api.history.keeper import Keeper

AWAY = OperationalError("INSERT", {}, Exception(2003, "away"))


@pytest.fixture(autouse=True)
def written_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 3600)


def entry(number: int, code: str | None = None) -> Entry:
    status = 422 if code else 200
    return Entry("user", "session", PUSH, status, code, {}, f"r{number}", number, number)


class Disk:
    """Where entries go, unless it is `broken`."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.broken: Exception | None = None

    def write(self, entries: Sequence[Entry]) -> None:
        if self.broken:
            raise self.broken
        self.written += [entry.request_id for entry in entries]


def test_what_cannot_be_written_waits_in_its_order() -> None:
    disk = Disk()
    keeper, disk.broken = Keeper(disk.write), AWAY
    for number in range(2):
        keeper.add(entry(number))
        keeper.flush()
    assert disk.written == []
    disk.broken = None
    keeper.add(entry(2))
    keeper.flush()
    assert disk.written == ["r0", "r1", "r2"]


def test_what_comes_while_a_write_fails_is_behind_it() -> None:
    disk = Disk()

    def write(entries: Sequence[Entry]) -> None:
        if disk.broken:
            keeper.add(entry(1))
        disk.write(entries)

    keeper, disk.broken = Keeper(write), AWAY
    keeper.add(entry(0))
    keeper.flush()
    disk.broken = None
    keeper.flush()
    assert disk.written == ["r0", "r1"]


def test_what_no_database_takes_is_given_up_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """Without what is in it."""
    disk = Disk()
    keeper, disk.broken = Keeper(disk.write), ValueError("r0 of a person")
    keeper.add(entry(0))
    keeper.flush()
    assert caplog.messages == ["1 calls are not in the history: ValueError"]
    disk.broken = None
    keeper.flush()
    assert disk.written == []


def test_memory_has_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also while the database is away."""
    monkeypatch.setattr(keepers, "MOST_WAITING", 3)
    disk = Disk()
    keeper, disk.broken = Keeper(disk.write), AWAY
    for number in range(10):
        keeper.add(entry(number))
        keeper.flush()
    disk.broken = None
    with caplog.at_level(logging.WARNING):
        keeper.flush()
    assert disk.written == ["r0", "r1", "r2"]
    assert "7 calls" in str(caplog.messages) or len(caplog.messages) == 7


def test_refusals_alike_are_one() -> None:
    """With the newest time, and no other's."""
    kept: list[Entry] = []
    keeper = Keeper(kept.extend)
    for number in range(3):
        keeper.add(entry(number, "validation_failed"))
    keeper.add(entry(3, "refused"))
    keeper.add(entry(4))
    keeper.add(entry(5))
    keeper.flush()
    times = [(e.code, e.times, e.first_ms, e.at_ms) for e in kept]
    assert times == [
        ("validation_failed", 3, 0, 2),
        ("refused", 1, 3, 3),
        (None, 1, 4, 4),
        (None, 1, 5, 5),
    ]


def test_many_threads_lose_nothing() -> None:
    """Nor does anything come twice."""
    disk = Disk()
    keeper = Keeper(disk.write)

    def work(first: int) -> None:
        for number in range(first, first + 200):
            keeper.add(entry(number))
            if number % 50 == 0:
                keeper.flush()

    threads = [threading.Thread(target=work, args=(n * 200,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.close()
    assert sorted(disk.written) == sorted(f"r{number}" for number in range(800))


def test_the_end_writes_what_waits() -> None:
    disk = Disk()
    keeper = Keeper(disk.write)
    keeper.add(entry(0))
    keeper.close()
    assert disk.written == ["r0"]
