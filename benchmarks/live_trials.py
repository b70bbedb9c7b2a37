"""What is tried on a live process that has its streams: Redis goes and comes, readers that read
nothing, a stop; and long polls in place of streams."""

import itertools
import os
import signal
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from benchmarks import database
from benchmarks.live_listeners import Listeners, request
from benchmarks.live_load import Account, Pushes, cpu, delays, memory, spread, summary
from benchmarks.sampling import sampled
from melon_api.storage.pokes import channel

RATE = 20  # pushes a second, beside which the rest is seen
HEARING, AWAY, BACK = 10, 20, 30  # s before Redis goes, without it, and behind its return
PATIENCE = 10  # s for the last events
STRANGER = 7  # the number of a session that nobody has
DEAF, WORDS, DEAF_SECONDS = 50, 40, 60  # readers, words a second to each, and for how long
GONE = ("", "Z")


@dataclass
class Stage:
    """`web` and `live` are addresses, `pid` is the live process; `people`: those who listen, then
    `DEAF` more; `wait`: of long polls, in seconds."""

    web: str
    live: str
    pid: int
    server: str
    store: database.OwnRedis
    people: Sequence[Account]
    listeners: Listeners
    wait: float | None


def pushes(stage: Stage, rate: int, seconds: float) -> Pushes:
    return Pushes(stage.web, stage.people[:-DEAF], rate, seconds)


def idle(stage: Stage, rate: int, seconds: int) -> None:
    before = cpu(stage.pid)
    time.sleep(seconds)
    cores = (cpu(stage.pid) - before) / seconds
    print(f"idle: {cores:.3f} cores, {memory(stage.pid) // 1024} MB")
    beside, busy = pushes(stage, rate, seconds), cpu(stage.pid)
    print(f"push beside them: {spread(beside.run())}")
    cores = (cpu(stage.pid) - busy) / seconds
    time.sleep(PATIENCE)
    print(f"events: {summary(delays(beside.stamps, stage.listeners.events()))}")
    print(f"live process meanwhile: {cores:.2f} cores, {memory(stage.pid) // 1024} MB")


def away(stage: Stage, _rate: int, _seconds: int) -> None:
    """Redis is killed, and is back: what is asked of the database meanwhile, and who is told."""
    beside = pushes(stage, RATE, HEARING + AWAY + BACK)
    with sampled(lambda: asked(stage), 1.0) as samples:
        beside.start()
        time.sleep(HEARING)
        marks = [time.time()]
        stage.store.kill()
        time.sleep(AWAY)
        stage.store.start()
        marks.append(time.time())
        beside.finish()
    time.sleep(PATIENCE)
    found = delays(beside.stamps, stage.listeners.events())
    for name, begin, end in (
        ("hearing", 0.0, marks[0]),
        ("Redis away", *marks),
        ("Redis back", marks[1], time.time()),
    ):
        own = [
            late for (_, at), late in zip(beside.stamps, found, strict=True) if begin <= at < end
        ]
        print(f"{name}: {summary(own)}")
        rates = per_second([sample for sample in samples if begin <= sample[0] < end])
        for what, numbers in zip(("rows looked up", "live's CPU, s"), rates, strict=True):
            mean = statistics.mean(numbers)
            print(f"  {what} a second: {mean:.2f}, at most {max(numbers):.2f}")


Sample = tuple[float, tuple[float, float]]


def asked(stage: Stage) -> tuple[float, float]:
    """How many rows the database has looked up by a key, for whomever; CPU of the live process."""
    with database.connect(stage.server) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read_key'")
        return float(cursor.fetchone()[1]), cpu(stage.pid)


def per_second(samples: Sequence[Sample]) -> list[list[float]]:
    pairs = list(itertools.pairwise(samples))
    return [
        [(after[1][n] - before[1][n]) / (after[0] - before[0]) for before, after in pairs]
        for n in range(2)
    ]


def deaf(stage: Stage, _rate: int, _seconds: int) -> None:
    """Readers that are told all the time: first they read, then others do not."""
    for name, reads in (("readers", True), ("deaf readers", False)):
        before, files = memory(stage.pid, "Rss"), open_files(stage.pid)
        with ExitStack() as opened:
            lines = [opened.enter_context(reader(stage, who)) for who in stage.people[-DEAF:]]
            beside = pushes(stage, RATE, DEAF_SECONDS)
            beside.start()
            with sampled(lambda: (memory(stage.pid, "Rss"), open_files(stage.pid)), 0.5) as samples:
                began = time.time()
                words = tell_all_the_time(stage, lines if reads else [], began + DEAF_SECONDS)
            beside.finish()
            time.sleep(PATIENCE)
        most = max(sample[1][0] for sample in samples) - before
        closed = [at - began for at, (_, now) in samples if now < files + DEAF / 2]
        print(f"{DEAF} {name}, {words} words to each: {most / DEAF:.0f} kB each at most", end="")
        print(f", closed after {closed[0]:.0f} s" if closed else ", not closed")
        late = delays(beside.stamps, stage.listeners.events())
        print(f"  others meanwhile: {summary(late)}")


def tell_all_the_time(stage: Stage, readers: list[socket.socket], until: float) -> int:
    """How many words to each of them; what the readers were sent is read."""
    with redis.Redis.from_url(stage.store.url) as client:
        for count in itertools.count():
            now = time.time()
            if now > until:
                return count
            for person in stage.people[-DEAF:]:
                client.publish(channel(person.id), f"{STRANGER} {time.time_ns() // 1000}")
            for line in readers:
                with suppress(BlockingIOError):
                    line.recv(65_536)
            time.sleep(max(0.0, now + 1 / WORDS - time.time()))
    raise AssertionError


@contextmanager
def reader(stage: Stage, person: Account) -> Iterator[socket.socket]:
    place = urlsplit(stage.live)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # its own system keeps little
        line.settimeout(30)
        line.connect((place.hostname, place.port))
        line.sendall(request(person.phone, int(time.time() * 1000)))
        assert b"200" in line.recv(20)
        line.setblocking(False)
        yield line


def open_files(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


def stop(stage: Stage, _rate: int, _seconds: int) -> None:
    """SIGTERM: when each stream ends, and when it is to come again."""
    began, busy = time.time(), cpu(stage.pid)
    os.kill(stage.pid, signal.SIGTERM)
    while state(stage.pid) not in GONE:
        worked = cpu(stage.pid) - busy
        time.sleep(0.05)
    print(
        f"stopped: the process has ended after {time.time() - began:.1f} s, of {worked:.1f} s CPU"
    )
    heard = stage.listeners.heard()
    ends = [(one.ended - began, one.again_ms / 1000) for one in heard if one.ended and one.again_ms]
    print(f"  {len(ends)} of {len(heard)} streams were told, the last after {max(ends)[0]:.1f} s")
    print(f"  ended, by second: {by_second(end for end, _ in ends)}")
    print(f"  to come again, by second: {by_second(end + again for end, again in ends)}")


def by_second(moments: Iterable[float]) -> list[int]:
    found = Counter(int(moment) for moment in moments)
    return [found[second] for second in range(max(found) + 1)]


def state(pid: int) -> str:
    """As ps says it; '' of one that is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def polls(stage: Stage, rate: int, seconds: int) -> None:
    """All listen by long polls."""
    time.sleep(stage.wait or 0)
    stage.listeners.heard()
    busy, beside = cpu(stage.pid), pushes(stage, rate, seconds)
    print(f"push beside long polls of {stage.wait} s: {spread(beside.run())}")
    cores = (cpu(stage.pid) - busy) / seconds
    heard = stage.listeners.heard()
    late = [behind for one in heard for behind in one.late]
    told = {number: one.events for number, one in enumerate(heard) if one.events}
    refused = sum(one.refused for one in heard)
    print(f"live process: {cores:.2f} cores, {memory(stage.pid) // 1024} MB")
    print(
        f"  {len(late) / seconds:.0f} a second without news, {spread(late)} late; {refused} refused"
    )
    print(f"  events: {summary(delays(beside.stamps, told))}")
