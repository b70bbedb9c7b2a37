"""`make bench-live`: idle streams in one live process, what a push costs beside them, and how long
it is from a push's answer to the event; see README.md.

Each stream is another account's; a second phone of some of them pushes. The streams are held by a
process of their own, as plain sockets.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from flask_jwt_extended import create_access_token

from benchmarks import database, servers
from config import load
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.session import Session
from melon_api.models.user import NO_PASSWORD, User

REDIS = 13
NEWS = b"event: news"
AT_ONCE, PUSHERS = 100, 8
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        url = stack.enter_context(database.fresh(options.url, "melon_bench_live"))
        store = stack.enter_context(database.redis_database(REDIS))
        environ = servers.deployed(url, store)
        web = stack.enter_context(servers.ours("live", url, store))
        tokens = _accounts(environ, options.streams)
        alone = Pushes(web.url, tokens, options.rate, options.seconds)
        print(f"push alone: {_spread(alone.run())}")
        live = stack.enter_context(servers.live(environ, options.streams))
        began = time.monotonic()
        ours, theirs = multiprocessing.Pipe()
        listeners = multiprocessing.Process(
            target=_listen, args=(live.url, [t for t, _ in tokens], theirs), daemon=True
        )
        listeners.start()
        print(f"{ours.recv()} streams after {time.monotonic() - began:.0f} s")
        time.sleep(5)
        _tell_idle(live.pid, options.seconds)
        beside = Pushes(web.url, tokens, options.rate, options.seconds)
        busy = _cpu(live.pid)
        print(f"push beside them: {_spread(beside.run())}")
        share = (_cpu(live.pid) - busy) / options.seconds
        time.sleep(2)
        ours.send("how many")
        events: dict[int, list[float]] = ours.recv()
        told = [_first(events.get(n, []), answered) for n, answered in beside.answered]
        late = [seconds for seconds in told if seconds is not None]
        print(f"events: {len(late)} of {len(told)} pushes, {_spread(late)} behind the answer")
        print(f"live process meanwhile: {share:.2f} cores, {_memory(live.pid)} MB")
        listeners.terminate()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=100, help="pushes a second")
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    options.url = database.SERVERS[options.database]
    return options


def _accounts(environ: dict[str, str], count: int) -> list[tuple[str, str]]:
    """As many accounts, each with a token of its phone and one of its tablet."""
    from melon_api import create_app  # noqa: PLC0415 - it reads the environment

    app = create_app(load(environ))
    now, found, users, sessions = utc_now(), [], [], []
    with app.app_context():
        for number in range(count):
            user, both = new_id(), (new_id(), new_id())
            users.append({"id": user, "email": f"{number}@example.com", "password": NO_PASSWORD})
            sessions += [_session(user, session, now) for session in both]
            found.append(tuple(_token(user, session) for session in both))
        with db.engine.begin() as connection:
            connection.execute(User.__table__.insert(), users)
            connection.execute(Session.__table__.insert(), sessions)
        db.engine.dispose()
    return found  # type: ignore[return-value]


def _session(user: str, session: str, now: Any) -> dict[str, Any]:
    expires = now + timedelta(days=1)
    return {
        "id": session,
        "user_id": user,
        "device": f"s.{session}",
        "refresh_hash": session,
        "expires_at": expires,
    }


def _token(user: str, session: str) -> str:
    claims = {"sid": session, "gen": 0}
    return str(
        create_access_token(user, additional_claims=claims, expires_delta=timedelta(hours=2))
    )


class Pushes:
    """So many a second, by a few threads; `answered`: whose, and when (s, monotonic)."""

    def __init__(
        self, url: str, tokens: Sequence[tuple[str, str]], rate: int, seconds: int
    ) -> None:
        self._place, self._tokens = urlsplit(url).netloc, tokens
        self._pause, self._until = PUSHERS / rate, seconds
        self._took: list[float] = []
        self.answered: list[tuple[int, float]] = []

    def run(self) -> list[float]:
        """How long each took, in seconds."""
        threads = [threading.Thread(target=self._push) for _ in range(PUSHERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._took

    def _push(self) -> None:
        line = HTTPConnection(self._place, timeout=30)
        due = time.monotonic() + random.uniform(0, self._pause)
        end = due + self._until
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            number = random.randrange(len(self._tokens))
            record = {"id": new_id(), "name": "Home"}
            lists = {"created": [record], "updated": [], "deleted": []}
            body = json.dumps({"changes": {"projects": lists}, "lastPulledAt": 0})
            headers = {
                "Authorization": f"Bearer {self._tokens[number][1]}",
                "Content-Type": "application/json",
            }
            started = time.monotonic()
            line.request("POST", "/api/v1/sync/push", body, headers)
            answer = line.getresponse()
            answer.read()
            assert answer.status == 200
            now = time.monotonic()
            self._took.append(now - started)
            self.answered.append((number, now))
            due += self._pause


def _listen(url: str, tokens: list[str], pipe: Connection) -> None:
    """Open all streams; then tell when which of them had events."""
    asyncio.run(_listen_to_all(url, tokens, pipe))


async def _listen_to_all(url: str, tokens: list[str], pipe: Connection) -> None:
    events: dict[int, list[float]] = {}
    room, place = asyncio.Semaphore(AT_ONCE), urlsplit(url)
    since = int(time.time() * 1000)  # each waits for what comes

    async def listen(number: int, token: str, opened: asyncio.Event) -> None:
        async with room:
            reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2048)
            head = f"GET /api/v1/sync/live?since={since} HTTP/1.1\r\nHost: melon\r\n"
            writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
            assert b"200" in await reader.readline()
        opened.set()
        while line := await reader.readline():
            if line.startswith(NEWS):
                events.setdefault(number, []).append(time.monotonic())

    opened = [asyncio.Event() for _ in tokens]
    tasks = [
        asyncio.create_task(listen(number, token, opened[number]))
        for number, token in enumerate(tokens)
    ]
    for event in opened:
        await event.wait()
    pipe.send(len(tasks))
    while not pipe.poll():
        await asyncio.sleep(0.2)
    pipe.recv()
    pipe.send(events)
    await asyncio.sleep(60)


def _first(events: list[float], answered: float) -> float | None:
    """The event of a push: nobody pushes twice to an account within half a second, or seldom."""
    near = [moment - answered for moment in events if -0.5 < moment - answered < 10]
    return max(0.0, min(near, key=abs)) if near else None


def _tell_idle(pid: int, seconds: int) -> None:
    before = _cpu(pid)
    time.sleep(seconds)
    print(f"idle: {(_cpu(pid) - before) / seconds:.3f} cores, {_memory(pid)} MB")


def _cpu(pid: int) -> float:
    """Seconds that it has worked."""
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as rollup:  # noqa: PTH123
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) // 1024
    return 0


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return f"{len(seconds)} measured"
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f}, p99 {cuts[98] * 1000:.1f}"


if __name__ == "__main__":
    servers.leave_tidily(main)
