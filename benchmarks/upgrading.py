"""`make bench-upgrading`: what Melon's migrations cost on a large database; see README.md.

The tables of the release before shared spaces are filled, and migrated one revision after the
other, while somebody reads and writes an account's rows every few ms.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

from flask_migrate import upgrade as upgrade_to
from sqlalchemy import text

import config
from benchmarks import database
from melon_api import create_app
from melon_api.models.base import db
from melon_api.ops.migrations import folders, read

BEFORE = ("0009", "example_0001")
NAME = "melon_bench_upgrading"
SETTLE_SECONDS = 0.5
BATCH = 10_000
DIGITS = "(SELECT 0 AS d " + " ".join(f"UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
BELOW_BATCH = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n"
TEN_THOUSAND = ", ".join(f"{DIGITS} AS {name}" for name in "abce")
ID = "LPAD(n, 36, '0')"
NOW = "NOW(3)"
VALUES = {
    "id": ID,
    "user_id": ID,
    "email": f"CONCAT({ID}, '@example.com')",
    "password": "REPEAT('x', 97)",
    "device": ID,
    "device_name": "'Phone'",
    "user_agent": "REPEAT('u', 60)",
    "refresh_hash": "SHA2(n, 256)",
    "name": "CONCAT('Name ', n)",
    "title": "CONCAT('Title ', n)",
    "description": "REPEAT('d', 60)",
    "project_id": ID,
    "target": "'hook'",
    "sent": "'{}'",
    "ids": "'{}'",
    "causes": "'[]'",
    "digest": "SHA2(n, 256)",
    "purpose": "'verify'",
    "adopted": "NULL",
    "error": "NULL",
}
LARGE = ["users", "sessions", "projects", "tasks"]
LARGE += ["sync_pushes", "alterations", "outbox", "event_queues"]


def fill(table: str, count: int) -> None:
    with db.engine.connect() as connection:
        columns = connection.execute(text(f"SHOW COLUMNS FROM {table}")).all()
        names = [column[0] for column in columns]
        kinds = {column[0]: column[1] for column in columns}
        values = [
            VALUES.get(name, NOW if kinds[name].startswith("datetime") else "1") for name in names
        ]
        into = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
        for start in range(0, count, BATCH):
            numbers = f"SELECT {start} + {BELOW_BATCH} FROM {TEN_THOUSAND}"
            connection.execute(text(f"{into} FROM ({numbers}) s WHERE n < {count}"))
            connection.commit()


class Meanwhile:
    """Reads and writes rows of one account every few ms, as a pull and a push do."""

    STATEMENTS = (
        f"SELECT last_modified_at FROM users WHERE id = '{1:036d}'",
        f"UPDATE users SET last_modified_at = last_modified_at + 1 WHERE id = '{2:036d}'",
        f"UPDATE tasks SET title = CONCAT(title, '') WHERE user_id = '{2:036d}'",
        f"SELECT title FROM tasks WHERE user_id = '{1:036d}'",
        f"UPDATE sync_pushes SET device = device + 1 WHERE user_id = '{2:036d}'",
    )

    def __init__(self) -> None:
        self.longest, self._over = 0.0, threading.Event()
        self._engine = db.engine
        self._threads = [
            threading.Thread(target=self._ask, args=(statement,)) for statement in self.STATEMENTS
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, statement: str) -> None:
        with self._engine.connect() as connection:
            while not self._over.wait(0.005):
                begun = time.perf_counter()
                connection.execute(text(statement))
                connection.commit()
                self.longest = max(self.longest, time.perf_counter() - begun)

    def end(self) -> float:
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.longest


def table_ids() -> dict[str, int]:
    """InnoDB's numbers; a table that was built anew has another one."""
    catalogue = "innodb_sys_tables" if db.engine.dialect.is_mariadb else "innodb_tables"
    query = f"SELECT name, table_id FROM information_schema.{catalogue} WHERE name LIKE :these"
    with db.engine.connect() as connection:
        found = connection.execute(text(query), {"these": f"{db.engine.url.database}/%"})
        return {name.partition("/")[2]: number for name, number in found}


def coming() -> list[str]:
    """The revisions since `BEFORE`, in their order."""
    _, scripts = read(*folders())
    every = [script.revision for script in scripts.walk_revisions()][::-1]
    known = {one.revision for name in BEFORE for one in scripts.iterate_revisions(name, "base")}
    return [revision for revision in every if revision not in known]


def measure(url: str, count: int) -> None:
    folder = Path(tempfile.mkdtemp())
    environ = {"APP_ENV": "testing", "DATABASE_URL": url, "MELON_APP": "tests.example"}
    with create_app(config.load(environ, folder)).app_context():
        for revision in BEFORE:
            upgrade_to(revision=revision)
        for table in LARGE:
            fill(table, count)
        print(f"{count} rows each: {', '.join(LARGE)}")
        for revision in coming():
            before, meanwhile = table_ids(), Meanwhile()
            time.sleep(SETTLE_SECONDS)
            begun = time.perf_counter()
            upgrade_to(revision=revision)
            took = time.perf_counter() - begun
            longest, after = meanwhile.end(), table_ids()
            anew = [name for name, number in before.items() if after[name] != number]
            print(
                f"{revision}: {took:.2f} s; longest wait {longest:.3f} s; anew: {', '.join(anew)}"
            )
        db.engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=list(database.SERVERS), default="mariadb")
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with database.alone(asked.database) as server, database.fresh(server, NAME) as url:
        measure(url, asked.rows)


if __name__ == "__main__":
    main()
