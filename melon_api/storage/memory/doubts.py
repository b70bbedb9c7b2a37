"""Doubts: a process that cannot tell Redis of a change says in the database that Redis is not to
be believed, and changes nothing before all processes must have heard of it.

Every process believes Redis only while it has read, within the last BELIEF_SECONDS, that no doubt
stands. A thread reads that every LOOK_SECONDS, as long as somebody wants to know; the first one
after a rest reads it himself. Where it cannot be read, Redis is not believed.

Who raises a doubt commits it, alone, and waits for BELIEF_SECONDS: by then whoever read before it
believes no more. Other doubts that stand beside it shorten the wait: who has seen one stand for so
long knows that nobody believes by now. A doubt ends when its process has told Redis all, and by
itself STANDS_SECONDS after it was raised, if that process is dead.

Spans are measured by monotonic clocks, ends by the database's own: hosts' clocks may differ.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from melon_api import measures
from melon_api.models.base import DATABASE_NOW, new_id
from melon_api.models.doubt import Doubt

log = logging.getLogger(__name__)

BELIEF_SECONDS = 1.5  # three looks: one may be slow
LOOK_SECONDS = 0.5
REST_SECONDS = 5  # without anybody who wants to know
MARGIN_SECONDS = 0.25
# An older value lives so long after a change: in Redis, then in a near cache; and half a minute.
NEEDED_SECONDS = 150
STANDS_SECONDS = NEEDED_SECONDS + 30  # who goes on to change things says it again after 30 s

TABLE = Doubt.__table__
NEWS = {
    True: "Redis is not believed: a process cannot tell it of changes",
    False: "Redis is believed again",
}


class Doubts:
    """Those that stand, and this process's own. Thread-safe.

    `engine`: apart from that of the requests, whose statements these are not.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._now = DATABASE_NOW[engine.dialect.name]
        # All times in s, monotonic.
        self._none_until = 0.0
        self._looked = 0.0  # when the last look ended
        self._wanted = 0.0
        self._seen: dict[str, float] = {}  # since when each is known to stand
        self._own: set[str] = set()
        self._stands_until = 0.0
        self._looking, self._raising = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def none_until(self) -> float:
        """Until when Redis may be believed (s, monotonic); 0 for not at all."""
        self._wanted = now = time.monotonic()
        if now >= self._none_until and now >= self._looked + LOOK_SECONDS:
            self._look_once(now)
        return self._none_until if now < self._none_until else 0.0

    def stands(self) -> bool:
        """Whether one of ours does, and will for as long as a value lives: to be asked after it was
        noted what Redis was not told, and before that is committed."""
        return time.monotonic() < self._stands_until

    def raise_one(self) -> None:
        """Returns when all processes know of it, after up to BELIEF_SECONDS: not for inside of a
        transaction. Raises SQLAlchemyError."""
        with self._raising:
            if self.stands():  # another thread was faster
                return
            began = time.monotonic()
            self._insert(new_id())
            known_since = time.monotonic()
            if self._look():
                known_since = min([known_since, *self._seen.values()])
            known = known_since + BELIEF_SECONDS + MARGIN_SECONDS
            time.sleep(max(0.0, known - time.monotonic()))
            self._stands_until = began + STANDS_SECONDS - NEEDED_SECONDS

    def withdraw(self, owes: Callable[[], bool]) -> None:
        """End ours, unless this process `owes` Redis something. What cannot be ended now ends by
        itself."""
        with self._raising:
            until, self._stands_until = self._stands_until, 0.0
            if owes():  # since before it was set to 0, by one who believes that it stands
                self._stands_until = until
            elif self._own:
                self._delete()

    def close(self) -> None:
        self._closed.set()
        if thread := self._thread:  # it would connect again
            thread.join()
        self._engine.dispose()

    def _insert(self, doubt: str) -> None:
        self._own.add(doubt)
        values = {TABLE.c.id: doubt, TABLE.c.ends_at: self._now + STANDS_SECONDS}
        with self._engine.begin() as connection:
            connection.execute(insert(TABLE).values(values))
        measures.doubted()

    def _delete(self) -> None:
        """Also what others have left that are dead. By their keys: a range would lock what is about
        to be inserted."""
        try:
            with self._engine.begin() as connection:
                over = select(TABLE.c.id).where(TABLE.c.ends_at < self._now)
                ids = self._own.union(connection.scalars(over))
                connection.execute(delete(TABLE).where(TABLE.c.id.in_(sorted(ids))))
        except SQLAlchemyError as error:
            log.warning("a doubt about Redis stays until its end (%s)", type(error).__name__)
        else:
            self._own.clear()

    def _look_once(self, asked: float) -> None:
        """For all who ask at the same time; a thread goes on with it."""
        with self._looking:
            if self._looked >= asked:
                return
            self._look_now()
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, name="doubts", daemon=True)
                self._thread.start()

    def _go_on(self) -> None:
        while time.monotonic() < self._wanted + REST_SECONDS:
            if self._closed.wait(LOOK_SECONDS):
                break
            self._look()
        self._thread = None
        self._engine.dispose()  # its connection has nothing to do for a while

    def _look(self) -> bool:
        """Whether it could be read."""
        with self._looking:
            return self._look_now()

    def _look_now(self) -> bool:
        asked = time.monotonic()
        try:
            with self._engine.connect() as connection:
                query = select(TABLE.c.id).where(TABLE.c.ends_at >= self._now)
                found = list(connection.scalars(query))
        except SQLAlchemyError:  # who asked goes to the database, and says so
            self._looked = time.monotonic()
            return False
        self._looked = now = time.monotonic()
        if bool(found) != bool(self._seen):
            log.warning(NEWS[bool(found)])
        self._none_until = 0.0 if found else asked + BELIEF_SECONDS
        self._seen = {doubt: self._seen.get(doubt, now) for doubt in found}
        return True
