"""Phones that pull when they are told and at no other time, while Redis is killed and started:
after the last push all hold the same.

More of it: make chaos-live kills=20
"""

import os
import random
import statistics
import threading
import time
from pathlib import Path

import pytest
import redis
from devices import created, new_id, project
from living import Live, Person, Phone, living
from redis_servers import until
from servers import PrivateRedis, serving

from melon_api.storage.pokes import channel

KILLS = int(os.environ.get("MELON_KILLS", "2"))
LISTENERS, MOST_PUSHES = 4, 10
PROMISED = 2.0  # s from a last push, on a machine that has nothing else to do
LONG = 60  # s: it comes, however slow the machine is


class Listening:
    """A phone that pulls when it is told."""

    def __init__(self, phone: Phone, live: Live) -> None:
        self.phone, self.live, self.held = phone, live, set[str]()
        self.pulls, self.failures = 0, list[BaseException]()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._pull()
            with self.phone.listen(self.live).head() as stream:
                while not self._over:
                    if stream.news(0.2):
                        self._pull()
        except BaseException as error:
            self.failures.append(error)

    def _pull(self) -> None:
        told = self.phone.pull()["projects"]
        self.held |= {record["id"] for record in told["created"] + told["updated"]}
        self.pulls += 1


class Pushing:
    """A phone that pushes; `pushed` is all that the others are to hold, `last` when it was done."""

    def __init__(self, phone: Phone) -> None:
        self._phone, self.pushed, self.last = phone, set[str](), 0.0

    def some(self) -> None:
        for _ in range(random.randint(1, MOST_PUSHES)):
            made = project(id=new_id())
            self._phone.push(projects=created(made))
            self.last = time.monotonic()
            self.pushed.add(made["id"])
            time.sleep(random.uniform(0, 0.05))


@pytest.mark.parametrize("backend", ["sqlite", "mariadb"])
def test_after_the_last_push_all_hold_the_same(backend: str, tmp_path: Path) -> None:
    """Contract, Live 1 and 6: with no poll; behind each kill there is a last push, once Redis is
    back and listened to."""
    with (
        PrivateRedis() as store,
        serving(backend, tmp_path, workers=2, REDIS_URL=store.url) as server,
        living(server) as live,
    ):
        ada = Person(server)
        listeners = [Listening(ada.phone(), live) for _ in range(LISTENERS)]
        pushing, took = Pushing(ada.first), list[float]()
        for _ in range(KILLS):
            pushing.some()
            for act in (store.kill, store.start):
                act()
                pushing.some()
            until(lambda: is_listened_to(store, ada.id), LONG)
            pushing.some()
            took.append(seconds_until_equal(listeners, pushing))
        pulls = [one.pulls for one in listeners]
        for one in listeners:
            one.stop()
    print(f"{backend}: {KILLS} kills, {len(pushing.pushed)} pushes, {pulls} pulls")
    print(f"equal after {statistics.median(took):.2f} s, {max(took):.2f} s at most; over", end="")
    print(f" {PROMISED} s: {[f'kill {n}: {t:.2f} s' for n, t in enumerate(took) if t > PROMISED]}")


def is_listened_to(store: PrivateRedis, account: str) -> bool:
    """Whether Redis has somebody to tell of this account's pushes."""
    with redis.Redis.from_url(store.url) as client:
        return bool(client.pubsub_numsub(channel(account))[0][1])


def seconds_until_equal(listeners: list[Listening], pushing: Pushing) -> float:
    """From the last push on."""

    def is_equal() -> bool:
        for one in listeners:
            assert not one.failures, one.failures
        return all(one.held >= pushing.pushed for one in listeners)

    until(is_equal, LONG)
    return time.monotonic() - pushing.last
