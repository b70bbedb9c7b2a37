"""`make bench-enumeration`: does the time of an answer tell who has an account? See README.md.

A stranger asks for addresses that have an account, have one without a password, and have none, in
random order and one at a time. Each is compared with the one of no account of the same round. `told
apart` is how often a guess by an answer's time would be right, if of two the slower one were said
to be the account: 50 % is a coin.
"""

import argparse
import random
import secrets
import socketserver
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import database, servers
from benchmarks import driver as bench

REDIS = 13
KNOWN, BARE, UNKNOWN = "an account", "one without a password", "no account"
PEOPLE = 8  # of each
WRONG = "wrong-horse-battery"
# After a mail was asked for: what happens behind that answer may not be heard in the next one.
NEXT = "the next call after"
Times = dict[str, dict[str, list[float]]]  # in s, by call and by whose address


class _Mail(socketserver.StreamRequestHandler):
    """Takes every mail (RFC 5321)."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    with ExitStack() as stack:
        smtp = f"smtp://127.0.0.1:{stack.enter_context(_mail_server())}?tls=off"
        mail = {"SMTP_URL": smtp, "MAIL_FROM": "melon@example.com"}
        ours = servers.measured(options.database, REDIS, **mail)
        url, server = stack.enter_context(ours)
        stranger = Stranger(server)
        _take_passwords(url, stranger.people[BARE])
        for number in range(options.rounds + 10):
            stranger.ask(number)
            if number == 9:  # warm by now
                stranger.times.clear()
    for call, found in stranger.times.items():
        _tell(call, found)
    return 0


class Stranger:
    """Asks for everybody in turn, over one connection: one worker answers."""

    def __init__(self, server: bench.Server) -> None:
        self.server, self.connection, self.times = server, server.connection(), Times()
        accounts = [bench.Account(server, second_device=False) for _ in range(4 * PEOPLE)]
        names = [secrets.token_hex(20) for _ in range(2 * PEOPLE)]
        emails = [account.email for account in accounts]
        self.people = {
            KNOWN: emails[::2],
            BARE: emails[1::2],
            UNKNOWN: [f"bench-{name}@example.com" for name in names],
        }

    def ask(self, number: int) -> None:
        """Each call once for each kind; for the second half of them no code is ever asked."""
        turn, spared = number % PEOPLE, PEOPLE + number % PEOPLE
        for call in (self._login, self._forgot, self._code, self._no_code):
            kinds = random.sample(list(self.people), len(self.people))
            for kind in kinds:
                call(kind, self.people[kind][spared if call == self._no_code else turn])

    def _login(self, kind: str, email: str) -> None:
        self._time("login", kind, 401, "/auth/login", {"email": email, "password": WRONG})

    def _forgot(self, kind: str, email: str) -> None:
        self._time("forgot", kind, 202, "/auth/password/forgot", {"email": email})
        self._time(f"{NEXT} forgot", kind, 401, "/auth/logout", None)
        time.sleep(0.03)  # the mail is out

    def _code(self, kind: str, email: str) -> None:
        self._time("code", kind, 202, "/auth/code", {"email": email})
        self._time(f"{NEXT} code", kind, 401, "/auth/logout", None)
        time.sleep(0.03)
        self._guess("wrong code", kind, email)

    def _no_code(self, kind: str, email: str) -> None:
        self._guess("a code, none asked for", kind, email)

    def _guess(self, name: str, kind: str, email: str) -> None:
        self._time(name, kind, 401, "/auth/code/verify", {"email": email, "code": "wrong"})

    def _time(self, name: str, kind: str, status: int, path: str, body: object) -> None:
        request = self.server.build("POST", path, body)
        got, data, seconds = self.connection.send(request, self.server.timeout())
        if got != status:
            raise SystemExit(f"{path}: {got} {data[:200]!r}")
        self.times.setdefault(name, {}).setdefault(kind, []).append(seconds)


def _tell(call: str, found: dict[str, list[float]]) -> None:
    print(f"{call}: no account {statistics.median(found[UNKNOWN]) * 1000:.2f} ms")
    for kind in (KNOWN, BARE):
        ratios = [a / b for a, b in zip(found[kind], found[UNKNOWN], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        share = _told_apart(found[kind], found[UNKNOWN])
        spread = f"{middle:.3f} ({low:.2f} to {high:.2f})"
        print(f"  {kind:24} {spread} times that; told apart {share:.0%}")


def _told_apart(some: list[float], others: list[float]) -> float:
    """The share of pairs whose first one is the slower (Mann and Whitney's U)."""
    return sum(a > b for a in some for b in others) / (len(some) * len(others))


def _take_passwords(url: str, emails: list[str]) -> None:
    """Of people who signed in by codes alone: their addresses are verified."""
    words = "UPDATE users SET password = '!', email_verified_at = NOW() WHERE email = %s"
    own = f"{url}/melon_bench_ours"
    with database.connect(own, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(words, emails)


@contextmanager
def _mail_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


if __name__ == "__main__":
    raise SystemExit(main())
