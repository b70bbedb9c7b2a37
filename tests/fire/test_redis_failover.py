"""The loss of a Redis master under load, on a real Cluster and under Sentinels: nobody notices.

No answer is an error, nothing is missed, who has signed out stays out, limits go on.
"""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from devices import created, project
from phones import Person, call
from redis_servers import Cluster, Watched, role, until
from servers import PrivateRedis, Server, serving

PEOPLE = 9  # so that each of three masters has accounts
LIMIT = 10
LIMITS = {
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_LOGIN_PER_ADDRESS": "6000/minute",
    "RATELIMIT_LOGIN_PER_ACCOUNT": f"{LIMIT}/hour",
    "RATELIMIT_REGISTER_PER_ADDRESS": "6000/minute",
    "RATELIMIT_PULL_PER_ADDRESS": "100000/minute",
    "RATELIMIT_PULL_PER_ACCOUNT": "100000/minute",
    "RATELIMIT_PUSH_PER_ADDRESS": "100000/minute",
    "RATELIMIT_PUSH_PER_ACCOUNT": "100000/minute",
}
WORKERS = 2


class Family:
    """An account with a phone that syncs all the time, and a tablet that signs out."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.person = Person(server.url)
        self.phone, self.tablet = self.person.phone(), self.person.phone()
        self.writer = self.person.phone()
        self.is_out = False
        self.writer.pull()

    def sync(self, turn: int) -> None:
        """Each push arrives with the other phone's next pull (contract pull 1)."""
        home = project(id=f"p{turn}")
        self.writer.push(projects=created(home), forward=True)
        self.phone.pull()
        assert ("projects", home["id"]) in self.phone.records
        self.phone.pull()

    def sees(self) -> None:
        """A session that has ended works no more, from the answer on (contract, Accounts 5)."""
        was_out = self.is_out
        status, answer = self.tablet.ask("/sync/pull", {})
        assert status in (200, 401), answer
        assert status == 401 or not was_out, "a dead session works"

    def sign_out(self) -> None:
        assert call(self.url, "/auth/logout", {}, self.tablet.token)[0] == 204
        self.is_out = True


class Load:
    """All families sync and look until the end of the story; any error of theirs is raised."""

    def __init__(self, families: list[Family]) -> None:
        self.families = families
        self.turns = dict.fromkeys(range(len(families)), 0)
        self.over = threading.Event()

    def _run(self, number: int) -> None:
        family = self.families[number]
        try:
            while not self.over.is_set():
                family.sync(self.turns[number])
                family.sees()
                self.turns[number] += 1
        finally:
            self.over.set()

    @contextmanager
    def going(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(self.families)) as pool:
            jobs = [pool.submit(self._run, number) for number in self.turns]
            try:
                yield
            finally:
                self.over.set()
                for job in jobs:
                    job.result()

    def wait(self) -> None:
        """Until each family has had another turn or two."""
        before = dict(self.turns)
        until(lambda: self.over.is_set() or all(self.turns[n] > before[n] + 1 for n in before))


def guesses(url: str, count: int) -> list[int]:
    """Wrong passwords for one address, one after the other."""
    wrong = {"email": f"{time.monotonic_ns()}@example.com", "password": "a wrong password"}
    return [call(url, "/auth/login", wrong)[0] for _ in range(count)]


def tell(
    url: str,
    folder: Path,
    lose: Callable[[], None],
    is_over: Callable[[], bool],
    mend: Callable[[], None],
) -> None:
    with serving("mariadb", folder, WORKERS, REDIS_URL=url, **LIMITS) as server:
        families = [Family(server) for _ in range(PEOPLE)]
        load = Load(families)
        assert guesses(server.url, LIMIT + 1) == [401] * LIMIT + [429]
        with load.going():
            load.wait()
            families[0].sign_out()
            lose()
            for family in families[1:5]:
                family.sign_out()
            in_memory = guesses(server.url, (LIMIT + 1) * (WORKERS + 1))
            assert set(in_memory) == {401, 429}, "counted in memory, or by who took over"
            until(is_over)
            for family in families[5:8]:
                family.sign_out()
            load.wait()
            mend()
            families[8].sign_out()
            load.wait()
        for family in families:
            family.sees()
            family.phone.pull()
            assert family.phone.records == family.phone.first_pull()
        until(lambda: guesses(server.url, LIMIT + 1) == [401] * LIMIT + [429])
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=60) as answer:
            assert answer.status == 200


def test_a_cluster_that_loses_a_master(tmp_path: Path) -> None:
    """Contract, Accounts 5 and 13, and pull 1."""
    with Cluster(tmp_path) as cluster:
        lost = cluster.masters()[0]
        tell(
            cluster.url,
            tmp_path,
            lose=lost.kill,
            is_over=lambda: len(cluster.masters()) == 3 and cluster.serves(),
            mend=lambda: came_back(lost, cluster.is_whole),
        )


def test_sentinels_that_replace_a_frozen_master(tmp_path: Path) -> None:
    """Contract, Accounts 5 and 13, and pull 1: it comes back, and does not know what has
    happened."""
    with Watched(tmp_path) as watched:
        tell(
            watched.url,
            tmp_path,
            lose=watched.master.freeze,
            is_over=lambda: role(watched.replica) == "master",
            mend=lambda: came_to(watched.master),
        )


def came_back(node: PrivateRedis, is_whole: Callable[[], bool]) -> None:
    node.start()
    until(is_whole)


def came_to(node: PrivateRedis) -> None:
    node.thaw()
    until(lambda: role(node) == "slave")
