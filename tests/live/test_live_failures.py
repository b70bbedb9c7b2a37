"""What docs/operations.md says of each way that the live process can fail, tried for real: what is
away, what is killed, what is short."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
import redis
from certificates import Authority
from conftest import environment
from devices import created, project
from living import Live, Person, Phone, living
from mariadb_server import PrivateMariaDB
from redis_servers import until
from servers import PrivateRedis, Server, serving, serving_by

from melon_api.live.desk import BELIEF_SECONDS
from melon_api.live.server import SPARED_FILES
from melon_api.storage.pokes import channel

pytest_plugins = ["live_fixtures"]

LONG = 60  # s: it comes, however slow the machine is
NEVER = 0.8  # s: long enough for what would come at once
ASKED_BY, PATIENCE = 3, 17  # s: by then it has been asked; less than what was to pass by itself
STRANGER = 7  # the number of a session that nobody has
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any, store: PrivateRedis) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("live")
    with serving("sqlite", folder, workers=1, REDIS_URL=store.url) as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[PrivateMariaDB]:
    Authority(tmp_path).certificate("127.0.0.1")
    with PrivateMariaDB(tmp_path, tmp_path / "127.0.0.1.pem") as database:
        database.start()
        database.await_answer()
        yield database


@pytest.fixture
def stored(database: PrivateMariaDB, store: PrivateRedis, tmp_path: Path) -> Iterator[Server]:
    """By the database that is to fail."""
    more = {"REDIS_URL": store.url, "DATABASE_TLS": "unverified"}
    with serving_by(environment("mariadb", database.url, **more), tmp_path, workers=1) as server:
        yield server


def test_the_database_is_stopped_and_comes_back(
    database: PrivateMariaDB, stored: Server, store: PrivateRedis
) -> None:
    """Contract, Live 5 and 9: streams stay, nobody is told who may have been signed out meanwhile,
    new ones are 503; when it is back they are told."""
    ada = Person(stored)
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with living(stored) as live, phone.listen(live).head() as stream:
        database.stop()
        assert refused(phone, live)
        time.sleep(BELIEF_SECONDS + 1)
        with redis.Redis.from_url(store.url) as client:
            client.publish(channel(ada.id), f"{STRANGER} {time.time_ns() // 1000}")
        assert not stream.news(NEVER)
        database.start()
        database.await_answer()
        until(lambda: tablet.call("POST", "/sync/push", pushed(tablet))[0] == 200, LONG)
        assert stream.news(LONG)
        told = live.log.read_text()
    assert "the database does not answer" in told
    assert told.count("the database answers again") == 1


def refused(phone: Phone, live: Live) -> bool:
    with phone.listen(live).head(LONG) as answer:
        assert int(answer.headers["retry-after"]) > 0
        return (answer.status, answer.body()["code"]) == (503, "unavailable")


def pushed(phone: Phone) -> Any:
    return {"lastPulledAt": phone.since, "changes": {"projects": created(project())}}


def test_a_frozen_database_keeps_no_process_from_its_end(
    database: PrivateMariaDB, stored: Server
) -> None:
    """Contract, Live 7: it holds its connections, and answers none of them, nor does it break them:
    who asks waits for 23 s. Who has just asked is told to come again, too."""
    phone = Person(stored).first
    with living(stored) as live, phone.listen(live).head() as stream:
        database.freeze()
        try:
            asking = phone.listen(live)
            time.sleep(ASKED_BY)
            live.process.terminate()
            assert stream.ends(LONG)
            assert stream.text().count("retry: ") == 2
            with asking.head() as answer:
                assert (answer.status, answer.body()["code"]) == (503, "unavailable")
            assert live.process.wait(PATIENCE) == 0
        finally:
            database.thaw()


def test_a_killed_process_is_followed_by_another(server: Server, ada: Person) -> None:
    """Contract, Live 1: connections break, with no word; who comes again is told what was pushed
    meanwhile."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with living(server) as live, phone.listen(live).head() as stream:
        assert stream._took(b"retry: ", LONG)
        os.kill(live.process.pid, signal.SIGKILL)
        assert stream.ends(LONG)
        assert "retry: " not in stream.text()
        tablet.push(projects=created(project()))
        with (
            living(server, port=urlsplit(live.url).port) as again,
            phone.listen(again).head() as other,
        ):
            assert other.news(LONG)


def test_a_process_that_stood_still_tells_what_it_missed(server: Server, ada: Person) -> None:
    """A laptop's lid, a machine that is moved: for longer than anybody is believed."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with living(server) as live, phone.listen(live).head() as stream:
        os.kill(live.process.pid, signal.SIGSTOP)
        tablet.push(projects=created(project()))
        time.sleep(BELIEF_SECONDS + 1)
        assert not stream.news(0.1)
        os.kill(live.process.pid, signal.SIGCONT)
        assert stream.news(LONG)


def test_a_limit_of_files_is_a_limit_of_connections(server: Server, ada: Person) -> None:
    """Contract, Live 9: what it needs itself is spared; who comes when one has gone finds room."""
    most = 6
    ada.first.pull()
    with (
        living(server, "tests.live.few_files", FILES=f"{SPARED_FILES + most}") as live,
        ExitStack() as opened,
    ):
        streams = [opened.enter_context(ada.first.listen(live)) for _ in range(most)]
        assert {stream.head().status for stream in streams} == {200}
        assert refused(ada.first, live)
        ada.phone().push(projects=created(project()))
        assert all(stream.news(LONG) for stream in streams)
        streams[0].line.close()
        until(lambda: status(ada.first, live) == 200, LONG)


def status(phone: Phone, live: Live) -> int:
    with phone.listen(live).head(LONG) as answer:
        return answer.status


def test_without_a_file_left_it_tells_those_it_has(server: Server, ada: Person) -> None:
    """The system's limit was lowered behind its back: who comes waits until it has files again."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with living(server) as live, phone.listen(live).head() as stream:
        pid = live.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        files = len([*Path(f"/proc/{pid}/fd").iterdir()])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, before[1]))
        with phone.listen(live) as other:
            for _ in range(3):
                tablet.push(projects=created(project()))
                assert stream.news(LONG)
            assert not other.news(NEVER)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert other.head(LONG).status == 200
            assert other.news(LONG)
        assert live.log.read_text().count("no file is left") == 1


class Hoarder:
    """A proxy that passes an answer on when it has all of it."""

    def __init__(self, live: Live) -> None:
        self._behind = urlsplit(live.url)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.live = replace(live, url=f"http://127.0.0.1:{self._door.getsockname()[1]}")
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._door.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._door.accept()
                threading.Thread(target=self._pass_on, args=[line], daemon=True).start()

    def _pass_on(self, line: socket.socket) -> None:
        place = (self._behind.hostname, self._behind.port)
        with line, socket.create_connection(place) as other, suppress(OSError):
            other.sendall(line.recv(65_536))
            whole = b""
            while not whole.endswith(b"\r\n0\r\n\r\n") and (came := other.recv(65_536)):
                whole += came
            line.sendall(whole)


def test_behind_a_proxy_that_buffers_long_polls_are_told(server: Server, ada: Person) -> None:
    """Contract, Live 3: they are whole when there is news; a stream is not."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    with (
        living(server) as live,
        Hoarder(live) as proxy,
        phone.listen(proxy.live) as stream,
        phone.listen(proxy.live, f"?since={phone.since}&wait=55", **JSON) as poll,
    ):
        time.sleep(NEVER)
        tablet.push(projects=created(project()))
        assert poll.head(PATIENCE).body() == {"news": True}
        assert not stream.news(NEVER)
