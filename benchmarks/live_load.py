"""Who is measured beside a live process: accounts, the pushes of their tablets; and what it takes
of the machine."""

import json
import os
import random
import statistics
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from flask_jwt_extended import create_access_token

from config import load
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.session import Session
from melon_api.models.user import NO_PASSWORD, User

PUSHERS = 8
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST = 60.0  # s that an event may take and still be of its push


@dataclass(frozen=True)
class Account:
    """`phone`, which listens, and `tablet`, which pushes, are their tokens."""

    id: str
    phone: str
    tablet: str


def accounts(environ: dict[str, str], count: int) -> list[Account]:
    """So many new ones."""
    from melon_api import create_app  # noqa: PLC0415 - it reads the environment

    app = create_app(load(environ))
    now, found, users, sessions = utc_now(), [], [], []
    with app.app_context():
        for number in range(count):
            user, both = new_id(), (new_id(), new_id())
            users.append({"id": user, "email": f"{number}@example.com", "password": NO_PASSWORD})
            sessions += [_session(user, session, now) for session in both]
            found.append(Account(user, *(_token(user, session) for session in both)))
        with db.engine.begin() as connection:
            connection.execute(User.__table__.insert(), users)
            connection.execute(Session.__table__.insert(), sessions)
        db.engine.dispose()
    return found


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
    """So many a second, by a few threads; `stamps`: whose, and the clock of each, which is taken
    before its commit (s since the epoch)."""

    def __init__(self, url: str, people: Sequence[Account], rate: int, seconds: float) -> None:
        self._place, self._people = urlsplit(url).netloc, people
        self._pause, self._until = PUSHERS / rate, seconds
        self._took: list[float] = []
        self.stamps: list[tuple[int, float]] = []
        self._threads = [threading.Thread(target=self._push) for _ in range(PUSHERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def run(self) -> list[float]:
        """How long each took, in seconds."""
        self.start()
        return self.finish()

    def finish(self) -> list[float]:
        for thread in self._threads:
            thread.join()
        return self._took

    def _push(self) -> None:
        line = HTTPConnection(self._place, timeout=30)
        due = time.monotonic() + random.uniform(0, self._pause)
        end = due + self._until
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            number = random.randrange(len(self._people))
            record = {"id": new_id(), "name": "Home"}
            lists = {"created": [record], "updated": [], "deleted": []}
            body = json.dumps({"changes": {"projects": lists}, "lastPulledAt": 0})
            headers = {
                "Authorization": f"Bearer {self._people[number].tablet}",
                "Content-Type": "application/json",
            }
            started, sent = time.monotonic(), time.time()
            line.request("POST", "/api/v1/sync/push", body, headers)
            answer = line.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 200, told
            self._took.append(time.monotonic() - started)
            self.stamps.append((number, told["timestamp"] / 1000 if told["timestamp"] else sent))
            due += self._pause


def delays(
    stamps: Iterable[tuple[int, float]], events: Mapping[int, Sequence[float]]
) -> list[float | None]:
    """From the stamp of each push to the first event behind it, as the phone got it; None where
    there was none."""
    found: list[float | None] = []
    for number, stamp in stamps:
        own = events.get(number, ())
        at = bisect_left(own, stamp)
        late = own[at] - stamp if at < len(own) else LONGEST
        found.append(late if late < LONGEST else None)
    return found


def summary(late: Sequence[float | None]) -> str:
    told = [seconds for seconds in late if seconds is not None]
    most = f", at most {max(told) * 1000:.0f}" if told else ""
    return f"{len(told)} of {len(late)} pushes, {spread(told)}{most} from stamp to event"


def cpu(pid: int) -> float:
    """Seconds that it has worked."""
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int, kind: str = "Pss") -> int:
    """In kB; `Pss` or `Rss`."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as rollup:  # noqa: PTH123
        for line in rollup:
            if line.startswith(f"{kind}:"):
                return int(line.split()[1])
    return 0


def spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return f"{len(seconds)} measured"
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f}, p99 {cuts[98] * 1000:.1f}"
