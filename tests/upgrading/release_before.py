"""The release before shared spaces, as it ran: what served when databases of today were made.

`before/spaces.tar.xz` is that release, out of this project's history (BEFORE); a clone may be
shallow, or a copy without any. Made by

    git archive --format=tar $BEFORE $PARTS | xz -9e > tests/upgrading/before/spaces.tar.xz
"""

import itertools
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import forks
from phones import Phone
from servers import KEPT, Server, _gunicorn

from config import ROOT

BEFORE = "6fdd23c8a4c6cb65a9204021211d78aecbebbcd0"
PARTS = "melon_api server migrations tests/example config.py environ.py gunicorn.conf.py wsgi.py"
ARCHIVE = Path(__file__).parent / "before" / "spaces.tar.xz"
PAUSE_SECONDS = 0.06  # between a phone's calls: servers start meanwhile


def unpacked(folder: Path) -> Path:
    """`folder`, which is made, with that release in it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def flask(checkout: Path, environ: Mapping[str, str], *words: str) -> str:
    """What a command of that checkout says; it has to succeed."""
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = forks.run("flask", "--app", "wsgi", *words, cwd=checkout, environ={**shell, **environ})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Rollout:
    """Two releases on one database: who serves is in `hosts`, as a balancer knows it."""

    def __init__(
        self, before: Path, folder: Path, environ: Mapping[str, str], *, is_mysql: bool
    ) -> None:
        self.folder, self.environ, self.is_mysql = folder, dict(environ), is_mysql
        self.hosts: list[str] = []
        self.is_migrating, self.refused = False, 0
        self.checkout = before
        self._stacks = {"before": ExitStack(), "after": ExitStack()}

    def __enter__(self) -> "Rollout":
        flask(self.checkout, self.environ, "db", "upgrade")
        self.serve_before()
        return self

    def __exit__(self, *error: Any) -> None:
        for stack in self._stacks.values():
            stack.__exit__(*error)

    def migrate(self) -> None:
        """By the release to come, while the one before serves."""
        self.is_migrating = True
        flask(ROOT, self.environ, "db", "upgrade")
        self.is_migrating = False

    def serve_after(self) -> None:
        self.after = self._serve("after", ROOT)

    def serve_before(self) -> None:
        self.before = self._serve("before", self.checkout)

    def stop(self, server: Server) -> None:
        """As a balancer does that knows: nothing new goes there, then it ends."""
        self.hosts.remove(server.url)
        self._stacks["before" if server is self.before else "after"].close()

    def _serve(self, name: str, checkout: Path) -> Server:
        environ = self.environ | {"INSTANCE_PATH": str(self.folder), "WEB_CONCURRENCY": "1"}
        serving: AbstractContextManager[Server] = _gunicorn(
            environ, self.folder / f"{name}.log", checkout=checkout
        )
        server = self._stacks[name].enter_context(serving)
        self.hosts.append(server.url)
        return server


def phones_of(rollout: Rollout) -> type[Phone]:
    """Each call goes to the next host of those that serve then.

    Where a foreign key to `users` goes, MySQL calls it a deadlock of who has read `users` and not
    yet the other table. The release before does not read again, as later ones do: it answers 503
    `unavailable`, and its phones come again (contract, Errors)."""

    class Turning(Phone):
        def __init__(self, token: str, *_: str) -> None:
            super().__init__(token, "")
            self.urls = _turning(rollout.hosts)

        def ask(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
            time.sleep(PAUSE_SECONDS)
            may_refuse = rollout.is_mysql and rollout.is_migrating
            status, answer = super().ask(path, body)
            if may_refuse and (status, answer.get("code")) == (503, "unavailable"):
                rollout.refused += 1
                return super().ask(path, body)
            return status, answer

    return Turning


def _turning(hosts: list[str]) -> Iterator[str]:
    for number in itertools.count():
        yield hosts[number % len(hosts)]
