"""Phones that pull when they are told and at no other time, while Redis is killed and started:
after the last push all hold the same. `MELON_KILLS=20` for long."""

import os
import random
import threading
import time
from pathlib import Path

from devices import created, new_id, project
from living import Live, Person, Phone, living
from servers import PrivateRedis, serving

KILLS = int(os.environ.get("MELON_KILLS", "2"))
LONG = 30  # s: it comes, however slow the machine is


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


def test_after_the_last_push_all_hold_the_same(tmp_path: Path) -> None:
    """Contract, Live 1 and 6: with no poll."""
    pushed = set[str]()
    with (
        PrivateRedis() as store,
        serving("sqlite", tmp_path, workers=2, REDIS_URL=store.url) as server,
        living(server) as live,
    ):
        ada = Person(server)
        listeners = [Listening(ada.phone(), live) for _ in range(4)]
        for _ in range(KILLS):
            for act in (store.kill, store.start):
                act()
                for _ in range(10):
                    made = project(id=new_id())
                    ada.first.push(projects=created(made))
                    pushed.add(made["id"])
                    time.sleep(random.uniform(0, 0.05))
        last = time.monotonic()
        while not all(one.held >= pushed for one in listeners):
            assert not any(one.failures for one in listeners), listeners[0].failures
            assert time.monotonic() < last + LONG
            time.sleep(0.01)
        print(f"equal after {time.monotonic() - last:.2f} s, {listeners[0].pulls} pulls")
        for one in listeners:
            one.stop()
