"""`make mutations`: break the engine on purpose, one place at a time; the tests must see each.

In a copy of what git knows, on SQLite (where Redis has a part, with a redis-server of the tests'
own). It ends with 1 when a place is not found any more, or when nobody missed it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROKEN = "melon_api"  # where each place is, in whichever module
FAILED, PASSED = 1, 0  # pytest's exit codes
SECONDS = 300  # against a hang


@dataclass(frozen=True)
class Mutation:
    """`was`, which stands in one place of `melon_api/` alone, becomes `now`; one of `tests`
    (`FILE` or `FILE::TEST` of tests/api, all on SQLite) has to fail. `redis`: with one."""

    name: str
    was: str
    now: str
    tests: str
    redis: bool = False


MUTATIONS = [
    Mutation(
        "the clock stands still when the wall clock does (pull 1)",
        "max(now_ms(), value + steps, since + steps)",
        "now_ms()",
        "test_pull test_push",
    ),
    Mutation(
        "an edit brings back what was deleted (push 2)",
        "        self.as_sent = False\n        if self.policy ==",
        "        row.deleted, row.values = False, {**row.values, **record.values}\n"
        "        return self._touch(row)\n"
        "        if self.policy ==",
        "test_push",
    ),
    Mutation(
        "children outlive their parent (push 4)", "if fallen:", "if fallen and False:", "test_push"
    ),
    Mutation(
        "a conflict overwrites what _changed does not name (push 3)",
        "edits = {name: record.values[name] for name in record.changed if name in record.values}",
        "edits = dict(record.values)",
        "test_push",
    ),
    Mutation(
        "who saw the change is told that it conflicts (push 3)",
        "return row.updated > since and (",
        "return row.updated >= since and (",
        "test_push test_push_policies",
    ),
    Mutation(
        "a pull reads clock and tables in several snapshots (pull 1)",
        'get("sqlite_begin", "BEGIN")',
        'get("sqlite_begin", "SELECT 1")',
        "test_large_pulls::test_pushes_between_the_blocks_do_not_tear_the_snapshot",
    ),
    Mutation(
        "a pull tells again what was told (pull 1)",
        "changed = table.table.c.updated_at_ms > SINCE",
        "changed = table.table.c.updated_at_ms >= SINCE",
        "test_pull",
    ),
    Mutation(
        "what a device made itself is created for it, not updated (pull 3)",
        "            or created_by == self.device\n",
        "",
        "test_pull",
    ),
    Mutation(
        "what a device had before it adopted it is forgotten (pull 3)",
        "self.adopted.add((table.name, row.id))",
        "pass",
        "test_pull test_push",
    ),
    Mutation(
        "a cursor of one account serves another (pull 6)",
        "if owner != user_id or table not in",
        "if table not in",
        "test_pull_more",
    ),
    Mutation(
        "who forgot deletions says nothing of it (pull 7)",
        "owner.write(connection, user_id, max(newest, purged))",
        "pass",
        "test_pull_more",
    ),
    Mutation(
        "a device is said to be up to date although others pushed (push 7)",
        "self.since <= since and self.session in (session, NOBODY)",
        "self.since <= since",
        "test_push test_push_policies",
    ),
    Mutation(
        "a pull holds the records of all accounts (push 11)",
        ".where(table.table.c.user_id == USER, _is_included(table, scope))",
        ".where(_is_included(table, scope))",
        "test_pull",
    ),
    Mutation(
        "a push finds the rows of other accounts (push 11)",
        "WHERE user_id = {mine}",
        "WHERE '' <> {mine}",
        "test_push test_pull",
    ),
    Mutation(
        "a wrong type is stored as it came (push 5)",
        "lambda value: value if type(value) is str else empty",
        "lambda value: value",
        "test_push",
    ),
    Mutation(
        "Redis goes on to serve the clock from before a push",
        "clocks = {user_id: value, **spaces}",
        "clocks = {**spaces}",
        "test_idle",
        redis=True,
    ),
    Mutation(
        "a process cut off from Redis alone changes what the others go on to believe (Accounts 5)",
        "            raise Untold(self._doubts.raise_one)\n",
        "            pass\n",
        "test_doubts",
        redis=True,
    ),
    Mutation(
        "Redis goes on to know a session that was ended",
        "    invalidate(user_id, ids)\n",
        "",
        "test_idle",
        redis=True,
    ),
]


@dataclass(frozen=True)
class Outcome:
    """`code` is pytest's; `by` the first test that failed."""

    code: int
    by: str
    output: str


def main() -> int:
    """Try each; 0 when all were seen."""
    for mutation in MUTATIONS:
        place_of(mutation)
    with copied() as copy:
        whole = run(copy, " ".join(m.tests for m in MUTATIONS), redis=True)
        if whole.code != PASSED:
            print(f"The tests fail as it is:\n{whole.output}")
            return 1
        survivors = [mutation.name for mutation in MUTATIONS if not is_seen(copy, mutation)]
    for name in survivors:
        print(f"NOT SEEN: {name}")
    print(f"{len(MUTATIONS) - len(survivors)} of {len(MUTATIONS)} seen")
    return 1 if survivors else 0


@contextmanager
def copied() -> Iterator[Path]:
    """A folder with the files that git knows, as they are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory(prefix="melon-mutations-") as folder:
        for name in filter(None, listed.stdout.split("\0")):
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy2(ROOT / name, target)
        yield Path(folder)


def place_of(mutation: Mutation, root: Path = ROOT) -> Path:
    """The one module that holds it. Raises LookupError when there is none, or another place."""
    texts = {path: path.read_text() for path in sorted((root / BROKEN).rglob("*.py"))}
    found = [path for path, text in texts.items() for _ in range(text.count(mutation.was))]
    if len(found) != 1:
        raise LookupError(f"{mutation.was!r} stands in {len(found)} places: {mutation.name}")
    return found[0]


def is_seen(copy: Path, mutation: Mutation) -> bool:
    """Break it, run its tests, mend it, and say how that went."""
    path, begun = place_of(mutation, copy), time.monotonic()
    whole = path.read_text()
    path.write_text(whole.replace(mutation.was, mutation.now))
    try:
        outcome = run(copy, mutation.tests, redis=mutation.redis)
    finally:
        path.write_text(whole)
    is_failed = outcome.code == FAILED and bool(outcome.by)
    took = time.monotonic() - begun
    seen = f"seen by {outcome.by}" if is_failed else f"pytest ended with {outcome.code}"
    print(f"{mutation.name}\n  {path.relative_to(copy)}: {seen} ({took:.0f} s)", flush=True)
    return is_failed


def run(copy: Path, tests: str, *, redis: bool) -> Outcome:
    """Until the first one fails; one that cannot even begin is no failure of a test."""
    files = [f"tests/api/{name}".replace("::", ".py::") for name in dict.fromkeys(tests.split())]
    files = [file if "::" in file else f"{file}.py" for file in files]
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", "-p", "no:cacheprovider"]
    only = ["-k", "not mariadb and not mysql"]
    done = subprocess.run(
        [*command, *files, *only],
        cwd=copy,
        env=os.environ | {"TEST_SERVERS": "yes" if redis else "no", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    failed = re.search(r"^FAILED tests/api/(\S+)", done.stdout, re.MULTILINE)
    return Outcome(done.returncode, failed[1] if failed else "", done.stdout)


if __name__ == "__main__":
    sys.exit(main())
