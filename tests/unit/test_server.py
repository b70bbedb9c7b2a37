"""The parts of the web server's own edge, without a network."""

import os
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from melon_api.threads import Threads
from server.answer import Outbox
from server.hub import Hub
from server.incoming.chunks import ChunkEnd
from server.limits import FOR_STRANGERS, OWED_BYTES, RATE_BYTES, Limits, Pace, Room
from server.watch import Epoll, Selector, Watch


def test_half_of_the_threads_do_nothing_for_strangers() -> None:
    """Contract, Requests 6: a crowd of them waits, and who is signed in does not."""
    threads, gate, done = Threads(4), threading.Event(), threading.Semaphore(0)
    begun: list[str] = []

    def stranger() -> None:
        begun.append("stranger")
        gate.wait(60)
        done.release()

    for _ in range(6):
        threads.run(stranger, is_stranger=True)
    for _ in range(3):
        assert threads.submit(lambda: "served").result(60) == "served"
    assert len(begun) == 2
    gate.set()
    assert all(done.acquire(timeout=60) for _ in range(6))
    threads.shutdown()


CHUNKED = b"4;a=b\r\nWiki\r\n1\r\n\n\r\n0\r\nX-A: 1\r\n\r\n"


@pytest.mark.parametrize("step", range(1, len(CHUNKED) + 4))
def test_the_end_of_chunks_is_found_however_they_come(step: int) -> None:
    end, taken = ChunkEnd(), 0
    data = CHUNKED + b"GET"
    for at in range(0, len(data), step):
        found = end.find(data[at : at + step])
        if found is not None:
            taken = at + found
            break
    assert taken == len(CHUNKED)
    assert not end.is_broken


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b"1\n",
        b"1\r\nab\r\n",
        b"0\r\nA: 1\n",
        b"9" * 9_000,
    ],
)
def test_what_is_no_chunk_is_not_waited_for(body: bytes) -> None:
    end = ChunkEnd()
    assert end.find(body) == len(body)
    assert end.is_broken


def test_a_quick_beginning_earns_no_pause() -> None:
    """Contract, Requests 6."""
    pace = Pace(20)
    assert not pace.is_lost(pace.started + 19, 0)
    assert not pace.is_lost(pace.started + 21, 1 << 20)  # 20, less what a sum of doubles loses
    assert pace.is_lost(pace.started + 42, (1 << 20) + 19 * RATE_BYTES)
    assert Pace(20).is_lost(pace.started + 21, 20)


def test_strangers_fill_their_own_room_alone() -> None:
    room = Room()
    assert room.take(FOR_STRANGERS, is_member=False)
    assert not room.take(1, is_member=False)
    assert room.take(FOR_STRANGERS, is_member=True)
    room.give_back(FOR_STRANGERS, is_member=False)
    assert room.take(1, is_member=False)


def test_what_a_slow_reader_does_not_take_becomes_a_file() -> None:
    """In order, whatever it is, with OWED_BYTES of memory at most."""
    here, there = socket.socketpair()
    here.setblocking(False)
    outbox, pieces = Outbox(here), [os.urandom(200_000) for _ in range(20)]
    for piece in pieces:
        outbox.sendall(piece)
    assert outbox.owed <= OWED_BYTES + len(pieces[0])
    assert not outbox.is_empty
    got = b""
    while not outbox.flush(1 << 16):
        got += there.recv(1 << 20)
    here.shutdown(socket.SHUT_WR)
    while part := there.recv(1 << 20):
        got += part
    assert got == b"".join(pieces)
    outbox.close()
    for end in (here, there):
        end.close()


@pytest.mark.parametrize("kind", [Epoll, Selector])
def test_a_full_worker_takes_the_next_one_when_a_place_becomes_free(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a thread, as the end of a request; not at the next sweep, which here never comes."""
    monkeypatch.setattr("server.hub.watch", kind)
    limits = Limits(silence=20, keepalive=20, body_bytes=1, connections=1)
    hub, (bell, rope) = Hub(None, limits, lambda _: None, lambda _: False), os.pipe()
    hub._swept = time.monotonic() + 3600
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        hub.listen([listener], bell, lambda: None)
        for _ in range(2):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        while not len(hub):
            hub.turn(1, takes_more=True)
        (first,) = hub._connections.values()
        first.since += 3600  # nobody to be ended
        while hub._is_open:
            hub.turn(1, takes_more=True)
        asks = threading.Timer(0.2, first.drop)
        asks.start()
        turns = 0
        while list(hub._connections.values()) in ([], [first]):
            hub.turn(5, takes_more=True)
            turns += 1
            assert turns < 5
        hub.close()
    for end in (bell, rope):
        os.close(end)


@pytest.mark.parametrize("kind", [Epoll, Selector])
def test_each_is_told_once_until_it_is_asked_again(kind: Any) -> None:
    """As systems without epoll do it, too; and from another thread."""
    watch: Watch = kind()
    here, there = socket.socketpair()
    there.send(b"x")
    watch.once(here.fileno(), writes=False, is_new=True)
    assert watch.wait(60) == [here.fileno()]
    assert watch.wait(0) == []
    asks = threading.Timer(0.1, lambda: watch.once(here.fileno(), writes=True, is_new=False))
    asks.start()
    told: list[int] = []
    while not told:
        told = watch.wait(60)
    assert told == [here.fileno()]
    watch.forget(here.fileno())
    for end in (here, there):
        end.close()
