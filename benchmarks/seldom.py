"""`make bench-seldom`: what a fleet of accounts costs that are active in turn, each seldom; see
README.md. No process remembers any of them, and no lease of a limit is worth its trip.

Their rows are copies of one account's and its session's; their tokens are signed here.
"""

import argparse
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import jwt

from benchmarks import database, servers
from benchmarks import driver as bench

OFTEN = 16  # accounts of the other fleet: one for each connection
REDIS = 13


class Phone:
    """Of one account; pulls, or pushes a task, from the time that it knows."""

    def __init__(self, server: bench.Server, token: str, since: int) -> None:
        self._server, self._token, self._since = server, token, since

    def pull(self) -> bytes:
        body = {"lastPulledAt": self._since, "schemaVersion": 1, "migration": None}
        return self._server.build("POST", "/sync/pull", body, self._token)

    def push(self) -> bytes:
        changes = bench.changes({"created": [bench.new_project()]}, None)
        body = {"changes": changes, "lastPulledAt": self._since}
        return self._server.build("POST", "/sync/push", body, self._token)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each sample")
    options = parser.parse_args()
    with servers.measured(options.database, REDIS, "seldom") as (url, server):
        phones = list(_phones(f"{url}/melon_bench_seldom", server, options.accounts + OFTEN))
        often, seldom = phones[:OFTEN], phones[OFTEN:]
        for what in ("pull", "push"):
            _compare(url, server, what, often, seldom, options)
    return 0


def _phones(url: str, server: bench.Server, count: int) -> Iterator[Phone]:
    model = bench.Account(server, second_device=False)
    model.push(model.fill(5))
    model.pull(None)
    claims = jwt.decode(model.a, options={"verify_signature": False})
    kid = jwt.get_unverified_header(model.a)["kid"]
    with database.connect(url) as connection:
        for number in range(count):
            user, session = str(uuid.uuid4()), str(uuid.uuid4())
            changed = {"id": user, "email": f"seldom-{number}@example.com"}
            database.copy(connection, "users", changed, f"id = '{claims['sub']}'")
            changed = {"id": session, "user_id": user}
            database.copy(connection, "sessions", changed, f"id = '{claims['sid']}'")
            said = claims | {"sub": user, "sid": session, "jti": str(uuid.uuid4())}
            token = jwt.encode(said, servers.SECRET, "HS256", headers={"kid": kid})
            yield Phone(server, token, model.timestamp)
            if number % 1_000 == 0:
                connection.commit()
        connection.commit()


def _compare(
    url: str,
    server: bench.Server,
    what: str,
    often: list[Phone],
    seldom: list[Phone],
    options: argparse.Namespace,
) -> None:
    """Print both fleets' cost of a call, in turn; the seldom ones begin where they had come to."""
    turns = {"often": _in_turn(often, what), "seldom": _in_turn(seldom, what)}
    for name, turn in turns.items():
        _sample(server, f"{what} {name}, warm", turn, 1)
        before = database.asked(url)
        for _ in range(options.rounds):
            _sample(server, f"{what} {name}", turn, options.seconds)
        count = sum(server.samples[f"{what} {name}_rps"]) * options.seconds
        asked = {k: n - before[k] for k, n in database.asked(url).items()}
        rates = sorted(server.samples[f"{what} {name}_rps"])
        cpu = sorted(server.samples[f"{what} {name}_cpu"])[options.rounds // 2]
        each = ", ".join(f"{n / count:.1f} {k}" for k, n in asked.items())
        print(f"{what} {name}: {rates[options.rounds // 2]:.0f}/s, {cpu:.2f} ms of CPU, {each}")
    if server.errors and any(server.errors.values()):
        raise SystemExit(f"errors: {server.errors}")


def _in_turn(phones: list[Phone], what: str) -> Callable[[], bytes]:
    """The next phone's request; all of them come before one comes again."""
    turn = cycle(phones)

    def next_request() -> bytes:
        request: bytes = getattr(next(turn), what)()
        return request

    return next_request


def _sample(server: bench.Server, key: str, turn: Callable[[], bytes], seconds: float) -> None:
    clients: list[Any] = [bench.Client(server, turn) for _ in range(OFTEN)]
    bench.closed_loop(server, key, clients, seconds)
    for client in clients:
        client.connection.close()
    time.sleep(0.2)


if __name__ == "__main__":
    raise SystemExit(main())
