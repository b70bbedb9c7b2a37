"""The live process when something is wrong: Redis, its readers, its end."""

import asyncio
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from devices import created, project
from living import Live, Person, living
from servers import PrivateRedis, Server, serving

from melon_api.live import desk, watch
from melon_api.live.ear import Ear
from melon_api.live.server import GRACE_SECONDS, LAST_SECONDS
from melon_api.storage.pokes import Poke, channel

pytest_plugins = ["live_fixtures"]

LONG = 15  # s: it comes, however slow the machine is
SILENCE = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any, store: PrivateRedis) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("live")
    more = {"REDIS_URL": store.url, "SILENCE_SECONDS": str(SILENCE)}
    with serving("sqlite", folder, workers=1, **more) as server:
        yield server


def test_redis_comes_and_goes(live: Live, store: PrivateRedis, ada: Person) -> None:
    """Contract, Live 6: while Redis is away, and when it is back, with one that was emptied."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live).head() as stream:
        for _ in range(2):
            store.kill()
            tablet.push(projects=created(project()))
            assert stream.news(LONG)
            store.start()
            tablet.push(projects=created(project()))
            assert stream.news(LONG)
    assert live.log.read_text().count(": reading clocks") >= 1


def test_a_frozen_redis_holds_nothing_back(live: Live, store: PrivateRedis, ada: Person) -> None:
    """Contract, Live 6: it holds its connections and answers none of them; a revoked session's
    stream ends, too (Live 5)."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with phone.listen(live).head() as stream:
        store.freeze()
        try:
            tablet.push(projects=created(project()))
            assert stream.news(LONG)
            phone.call("POST", "/auth/logout")
            assert stream.ends(LONG)
        finally:
            store.thaw()


def test_what_no_poke_told_is_told(live: Live, store: PrivateRedis, ada: Person) -> None:
    """Contract, Live 6: a web process may be cut off from Redis alone, or die behind its commit."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    client = redis.Redis.from_url(store.url)
    client.acl_setuser("default", enabled=True, nopass=True, commands=["-publish"])
    try:
        with phone.listen(live).head() as stream:
            tablet.push(projects=created(project()))
            assert stream.news(LONG)
    finally:
        client.acl_setuser("default", enabled=True, nopass=True, commands=["+publish"])


def test_what_is_known_is_young_enough() -> None:
    """Contract, Live 5: a revoked session's stream ends within 5 s, 8 s where Redis is away; the
    database's answer takes its time."""
    slack = 1.5
    assert watch.AGE_HEARING + watch.TURN_SECONDS + slack < 5
    assert watch.AGE_AWAY + watch.TURN_SECONDS + watch.BACKOFF_SECONDS + slack < 8
    assert desk.STOP_SECONDS < GRACE_SECONDS < LAST_SECONDS < 10


def test_the_ear_hears_again_what_it_was_listening_to() -> None:
    """Whatever Redis does, and in whichever order spaces come and go."""
    heard: list[tuple[str, Poke]] = []
    spaces = [f"space{number}" for number in range(30)]

    async def story(store: PrivateRedis) -> None:
        ear = Ear(store.url, lambda space_id, poke: heard.append((space_id, poke)))
        task = asyncio.create_task(ear.run())
        await ear.listen_to(spaces[:10])
        for first in (10, 20):
            await _until(lambda: ear.is_hearing)
            await ear.listen_to(spaces[first : first + 10])
            await ear.forget(spaces[first - 10 : first])
            await asyncio.to_thread(store.kill)
            await _until(lambda: not ear.is_hearing)
            await asyncio.to_thread(store.start)
        await _until(lambda: ear.is_hearing)
        with redis.Redis.from_url(store.url) as client:
            listened = {name.decode() for name in client.pubsub_channels("melon:poke:*")}
            for number, space_id in enumerate(random.sample(spaces, 30)):
                client.publish(channel(space_id), f"7 {number}")
            client.publish(channel(spaces[20]), "no poke")
            client.publish(channel(spaces[20]), "8 9")
        assert listened == {channel(space_id) for space_id in spaces[20:]}
        await _until(lambda: (spaces[20], Poke(8, 9)) in heard)
        task.cancel()

    with PrivateRedis() as store:
        asyncio.run(story(store))
    assert {space_id for space_id, _ in heard} == set(spaces[20:])


def test_a_redis_that_takes_a_connection_and_says_nothing_is_not_waited_for() -> None:
    """The network is gone, or another server has the address; Redis is there later."""
    heard: list[str] = []

    async def story(store: PrivateRedis) -> None:
        with socket.create_server(("127.0.0.1", store.port)) as listener:
            ear = Ear(store.url, lambda space_id, _poke: heard.append(space_id))
            task = asyncio.create_task(ear.run())
            line, _ = await asyncio.wait_for(asyncio.to_thread(listener.accept), LONG)
        with line:  # which stays open
            await asyncio.to_thread(store.start)
            await _until(lambda: ear.is_hearing)
            await ear.listen_to(["space"])
            with redis.Redis.from_url(store.url) as client:
                client.publish(channel("space"), "7 8")
            await _until(lambda: heard)
        task.cancel()

    with PrivateRedis() as store:
        store.kill()
        asyncio.run(story(store))


def test_a_space_that_is_forgotten_before_redis_answers_is_heard_when_it_is_wanted_again() -> None:
    heard: list[str] = []

    async def story(store: PrivateRedis) -> None:
        ear = Ear(store.url, lambda space_id, _poke: heard.append(space_id))
        task = asyncio.create_task(ear.run())
        await _until(lambda: ear.is_hearing)
        for space_id, times in (("left", 1), ("back", 2), ("away", 3)):
            asked = []
            for _ in range(times):
                asked.append(asyncio.create_task(ear.listen_to([space_id])))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await ear.forget([space_id])
            asked.append(asyncio.create_task(ear.listen_to([space_id])))
            await asyncio.gather(*asked)
        with redis.Redis.from_url(store.url) as client:
            for space_id in ("left", "back", "away"):
                assert client.publish(channel(space_id), "7 8") == 1
        await _until(lambda: set(heard) == {"left", "back", "away"})
        task.cancel()

    with PrivateRedis() as store:
        asyncio.run(story(store))


async def _until(is_so: Any) -> None:
    deadline = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def place(live: Live) -> tuple[str, int]:
    parts = urlsplit(live.url)
    return str(parts.hostname), int(parts.port or 0)


@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_who_sends_no_request_is_closed(live: Live, said: bytes) -> None:
    """Contract, Live 8: nor a part of one, byte by byte."""
    with socket.create_connection(place(live), timeout=LONG) as line:
        line.sendall(said)
        line.settimeout(0.3)
        deadline = time.monotonic() + LONG
        while not is_closed(line, b"x" if said else b""):
            assert time.monotonic() < deadline


def is_closed(line: socket.socket, more: bytes) -> bool:
    """By its other end; one that is not is sent a little more."""
    try:
        return not line.recv(1)
    except TimeoutError:
        line.sendall(more)
    except ConnectionError:
        return True
    return False


def test_a_silent_connection_behind_an_answer_is_closed(live: Live) -> None:
    """Contract, Live 8."""
    with socket.create_connection(place(live), timeout=LONG) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: melon\r\n\r\n")
        with line.makefile("rb") as answer:  # to the end of the connection
            assert answer.read().startswith(b"HTTP/1.1 200")


def test_who_reads_nothing_is_closed(live: Live, store: PrivateRedis, ada: Person) -> None:
    """Contract, Live 8: while others are told."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    tablet.pull()
    with socket.socket() as deaf, tablet.listen(live).head() as other:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.connect(place(live))
        request = f"GET /api/v1/sync/live?since={phone.since} HTTP/1.1\r\nHost: melon\r\n"
        deaf.sendall(f"{request}Authorization: Bearer {phone.token}\r\n\r\n".encode())
        deadline = time.monotonic() + 4 * LONG
        while streams(live) < 2:
            assert time.monotonic() < deadline
        with redis.Redis.from_url(store.url) as client:
            while streams(live) > 1:
                assert time.monotonic() < deadline
                client.publish(channel(ada.id), f"7 {time.time_ns() // 1000}")
                assert other.news(LONG)


def test_a_full_process_says_so(server: Server, ada: Person) -> None:
    """Contract, Live 9: 503 when full, with Retry-After."""
    with living(server, LIVE_STREAMS="2") as live, ExitStack() as opened:
        for _ in range(2):
            assert opened.enter_context(ada.first.listen(live)).head().status == 200
        with ada.first.listen(live).head() as refused:
            assert (refused.status, refused.body()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) > 0


def test_a_stop_tells_all_to_come_again(server: Server, ada: Person) -> None:
    """Contract, Live 7: streams and long polls, each at a time of its own; nothing is left."""
    ada.first.pull()
    with living(server) as live, ExitStack() as opened:
        phones = [ada.phone() for _ in range(4)]
        listeners = [
            opened.enter_context(phone.listen(live, f"?since={ada.first.since}&wait=55", **kind))
            for phone in phones
            for kind in [{"Accept": "application/json"}, *[{"Accept": "text/event-stream"}] * 5]
        ]
        for listener in listeners:
            if listener not in listeners[::6]:
                listener.head()
        time.sleep(0.5)
        live.process.terminate()
        assert live.process.wait(10) == 0
        for listener in listeners[::6]:
            assert listener.head().body() == {"news": False}
        for listener in listeners:
            assert listener.ends(LONG)
            assert "retry: " in listener.text() or listener in listeners[::6]


def test_a_port_that_is_taken_is_said(server: Server, live: Live, tmp_path: Path) -> None:
    """And not as gunicorn's own workers would, who stop their master."""
    port = urlsplit(live.url).port
    with (
        pytest.raises(RuntimeError, match="address already in use"),
        living(server, PORT=str(port)),
    ):
        pass


def test_metrics_are_told(live: Live, ada: Person) -> None:
    before = streams(live)
    with ada.first.listen(live).head():
        assert streams(live) == before + 1


def streams(live: Live) -> float:
    """How many the process says there are."""
    (found,) = re.findall(r"^melon_live_streams (.+)$", live.get("/metrics")[1].decode(), re.M)
    return float(found)


def test_a_mistake_of_ours_ends_the_process(server: Server, ada: Person) -> None:
    """docs/operations.md: one that could tell nothing any more does not stay; who listens is told
    to come again, and the log says why."""
    ada.first.pull()
    with (
        living(server, module="tests.live.crashing_live", CRASH_AFTER="1") as live,
        ExitStack() as opened,
    ):
        stream = opened.enter_context(ada.first.listen(live))
        assert stream.head().status == 200
        assert stream.ends(LONG)
        assert stream.text().count("retry: ") == 2, "with a pause of its own, and not cut off"
        assert live.process.wait(LONG) == 1
        told = live.log.read_text()
        live.log.write_text("")  # a traceback is what this process was to leave
    assert "KeyError: 'a mistake of ours'" in told
