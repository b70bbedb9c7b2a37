"""Who streams: by space, to be told, and by session, to be ended. All but `Seats` belongs to the
loop's thread."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from melon_api import measures
from melon_api.errors import RateLimited, Unavailable
from melon_api.live import spaces
from melon_api.live.spaces import Clocks, Known
from melon_api.live.stream import Stream
from melon_api.storage.pokes import EVERYBODY, Poke

OF_A_SESSION = 10
BELIEF_SECONDS = 5.0  # a session that was not seen to live for so long is told nothing
JITTER_SECONDS = 0.5  # many that came at once are not looked after at once for ever
STOP_SECONDS = 7.0  # within which a stopping process ends its streams, each at a time of its own


class Seats:
    """How many there may be: of a session, and in all. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, Counter[str]()
        self._count, self._lock = 0, threading.Lock()
        self.is_closed = False

    def take(self, session_id: str) -> None:
        """Raises RateLimited, Unavailable."""
        with self._lock:
            if self.is_closed:
                raise Unavailable("This process stops; come again.")
            if self._taken[session_id] >= OF_A_SESSION:
                raise RateLimited(f"{OF_A_SESSION} streams and long polls of a session at once")
            if self._count >= self._most:
                raise Unavailable("This process has as many streams as it can take; come again.")
            self._taken[session_id] += 1
            self._count += 1
        measures.live_streams(+1)

    def give_back(self, session_id: str) -> None:
        with self._lock:
            self._taken[session_id] -= 1
            self._count -= 1
            if not self._taken[session_id]:
                del self._taken[session_id]
        measures.live_streams(-1)


class Desk:
    def __init__(self) -> None:
        self._by_space: dict[str, set[Stream]] = {}
        self._streams: dict[Stream, None] = {}  # in the order they came
        self._doubtful: dict[Stream, None] = {}
        self._abandoned: set[str] = set()

    def open(self, stream: Stream) -> bool:
        """Have it told of its account's own space; whether nobody listened to that before."""
        self._streams[stream] = None
        return self._join(stream, stream.user_id)

    def close(self, stream: Stream) -> list[str]:
        """The spaces that nobody listens to any more."""
        self._streams.pop(stream, None)
        self._doubtful.pop(stream, None)
        left = {space_id for space_id in stream.known if self._leave(stream, space_id)}
        left |= {space_id for space_id in self._abandoned if space_id not in self._by_space}
        self._abandoned.clear()
        return sorted(left)

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._streams))

    def hear(self, space_id: str, poke: Poke) -> None:
        """A push was committed in this space. Who must not believe a word looks itself."""
        now = time.monotonic()
        for stream in self._by_space.get(space_id, ()):
            known = stream.known.get(space_id, 0)
            if poke.clock <= known:
                continue
            if poke.session == stream.session:
                if poke.since is not None and poke.since <= known:  # nobody else pushed between
                    stream.known[space_id] = poke.clock
                continue
            if poke.session == EVERYBODY or now > stream.checked + BELIEF_SECONDS:
                self._doubtful[stream] = None
            else:
                stream.tell(space_id, poke.clock, is_now=True)

    def take_doubtful(self) -> list[Stream]:
        """Those of whom the database is to be asked now."""
        doubtful, self._doubtful = list(self._doubtful), {}
        return doubtful

    def doubt(self, stream: Stream) -> None:
        """Have the database be asked of it now."""
        self._doubtful[stream] = None

    @property
    def is_doubtful(self) -> bool:
        return bool(self._doubtful)

    def begin(self, stream: Stream, clocks: Clocks, known: Known) -> set[str]:
        """`known`: what its `since` stood for. Whether there is news by now; the spaces that nobody
        listened to before."""
        poked = {
            space_id: at
            for space_id, at in stream.known.items()
            if space_id != stream.user_id or at > stream.since
        }
        stream.known = known | poked
        return self.compare(stream, clocks)

    def see(self, streams: Iterable[Stream], found: Mapping[str, Clocks], asked: float) -> set[str]:
        """What the database said, asked then, of these streams: end those whose session is over;
        the spaces that nobody listened to before."""
        new: set[str] = set()
        for stream in streams:
            if stream not in self._streams:
                continue
            clocks = found.get(stream.session_id)
            if clocks is None:
                stream.end("its session has ended")
                continue
            stream.checked = asked - random.uniform(0, JITTER_SECONDS)  # noqa: S311
            new |= self.compare(stream, clocks)
        return new

    def compare(self, stream: Stream, clocks: Clocks) -> set[str]:
        """Tell it what has come; the spaces that nobody listened to before."""
        joined = {space for space in clocks if self._join(stream, space)}
        for space_id in stream.known.keys() - clocks.keys():
            if self._leave(stream, space_id):
                self._abandoned.add(space_id)
            del stream.known[space_id]
        for space_id, held in clocks.items():
            if spaces.has_news(held, stream.session, stream.known.setdefault(space_id, 0)):
                stream.tell(space_id, held.value)
        return joined

    def _join(self, stream: Stream, space_id: str) -> bool:
        others = self._by_space.setdefault(space_id, set())
        is_first = not others
        others.add(stream)
        return is_first

    def _leave(self, stream: Stream, space_id: str) -> bool:
        others = self._by_space.get(space_id, set())
        others.discard(stream)
        if not others:
            self._by_space.pop(space_id, None)
        return not others


def stop_pause() -> float:
    """After how many seconds one of many streams ends, where all are to: they come again."""
    return random.uniform(0, STOP_SECONDS)  # noqa: S311 - jitter
