"""`make bench-sharing`: pushes a second into one space by five members at once, beside those of
one account with five devices; see README.md. Both take turns, in one run on one server.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Iterator

from benchmarks import database, servers
from benchmarks import driver as bench

AT_ONCE = 5
REDIS = 13
SHARED = "tests.shared_app"  # whose projects people may share


class Phone:
    """Edits a task of its own, again and again."""

    def __init__(self, server: bench.Server, token: str, project: str, since: int) -> None:
        self._server, self._token, self._since = server, token, since
        self._connection = server.connection()
        self._task = bench.new_task(project)
        self._push({"created": [self._task]})

    def _push(self, tasks: dict) -> None:
        body = {"changes": bench.changes(None, tasks), "lastPulledAt": self._since}
        self._server.call(self._connection, "POST", "/sync/push", body, self._token)

    def run(self, until: float, done: list[int]) -> None:
        count = 0
        while time.monotonic() < until:
            self._task = bench.edited(self._task)
            self._push({"updated": [self._task]})
            count += 1
        done.append(count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4, help="of each sample")
    options = parser.parse_args()
    with servers.measured(options.database, REDIS, MELON_APP=SHARED) as (_, server):
        devices, members = list(_devices(server)), list(_members(server))
        ratios = []
        for _ in range(options.rounds):
            alone, together = (_rate(phones, options.seconds) for phones in (devices, members))
            ratios.append(together / alone)
            print(f"five devices {alone:6.0f}/s, five members {together:6.0f}/s")
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"members to devices: {middle:.2f} (quartiles {low:.2f} to {high:.2f})")
    return 0


def _devices(server: bench.Server) -> Iterator[Phone]:
    account = bench.Account(server, second_device=False)
    project = bench.new_project()
    account.push(bench.changes({"created": [project]}, None))
    account.pull(None)
    for _ in range(AT_ONCE):
        body = {"email": account.email, "password": bench.PASSWORD}
        answer, _ = account.call("POST", "/auth/login", body)
        yield Phone(server, answer["access_token"], project["id"], account.timestamp)


def _members(server: bench.Server) -> Iterator[Phone]:
    owner = bench.Account(server, second_device=False)
    space, _ = owner.call("POST", "/spaces", {"name": "Shared"}, owner.a)
    project = bench.new_project() | {"space_id": space["id"]}
    owner.push(bench.changes({"created": [project]}, None))
    for number in range(AT_ONCE):
        member = owner if number == 0 else bench.Account(server, second_device=False)
        if number:
            join(owner, space["id"], member)
        member.pull(None)
        yield Phone(server, member.a, project["id"], member.timestamp)


def join(owner: bench.Account, space: str, member: bench.Account) -> None:
    """As an editor, by an invitation."""
    path = f"/spaces/{space}/invitations"
    asked, _ = owner.call("POST", path, {"role": "editor"}, owner.a)
    member.call("POST", "/spaces/join", {"token": asked["token"]}, member.a)


def _rate(phones: list[Phone], seconds: float) -> float:
    """Pushes a second of all of them."""
    done: list[int] = []
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=phone.run, args=(until, done)) for phone in phones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(phones), "a push failed"
    return sum(done) / seconds


if __name__ == "__main__":
    raise SystemExit(main())
