"""The floor of each row, measured in turn with the servers: what nobody can be faster than.

To the driver the floor is a third server. Rows that move many records are done here, by PyMySQL
alone; rows that are bound by requests go to the bare application of `floor_app.py`.
"""

import random
import time
import uuid
from typing import Any

from benchmarks import driver as bench
from benchmarks import raw
from benchmarks.database import connect

RECORDS, CHANGED = 10_000, 100  # of the incremental pull
ACCOUNTS = 16
TOKEN = "x" * 300  # about as long as a real one


class Floor:
    """Takes the driver's scenarios over when it is the floor's turn; `server` is the driver's."""

    def __init__(self, server: Any, database_url: str) -> None:
        self.server = server
        self.connection = connect(database_url)
        self.names = {t: raw.columns(self.connection, t) for t in raw.WIRE}
        self.connection.rollback()
        self.steps = {
            (bench.Flow, "sample"): self._flow,
            (bench.Incremental, "setup"): self._big_account,
            (bench.Incremental, "sample"): self._incremental,
            (bench.Idle, "sample"): self._idle,
            (bench.SmallPush, "setup"): self._small_accounts,
            (bench.SmallPush, "sample"): self._small_pushes,
            (bench.Logins, "sample"): self._logins,
        }

    def take_part(self, scenario: Any) -> Any:
        """The same scenario, with the floor among its servers."""
        for step in ("setup", "warm", "sample"):
            setattr(scenario, step, self._turn(scenario, step, getattr(scenario, step)))
        return scenario

    def _turn(self, scenario: Any, step: str, others: Any) -> Any:
        name = "sample" if step == "warm" else step
        mine = self.steps.get((type(scenario), name), lambda _scenario: None)

        def run(server: Any, *args: Any, **options: Any) -> Any:
            if server is self.server:
                return mine(scenario)
            return others(server, *args, **options)

        return run

    def _flow(self, scenario: Any) -> None:
        """A new account each time; in seconds. `…_sql`: the statements alone, made beforehand."""
        n, account = scenario.n, self._account()
        projects, tasks = _records(n)
        raw.upsert(self.connection, "projects", *self._rows("projects", account, projects))
        self._upsert(f"push_created_{n}", account, tasks)
        self._timed(f"first_pull_{n}", lambda: raw.fetch_all(self.connection, account))
        edited = [bench.edited(task) for task in tasks]
        self._upsert(f"push_updated_{n}", account, edited)
        other = self._account()
        for key, records in (("created", tasks), ("updated", edited)):
            names, values = self._rows("tasks", other, records)
            texts = raw.statements(self.connection, "tasks", names, values)
            self._timed(f"push_{key}_{n}_sql", lambda texts=texts: self._send(texts))

    def _upsert(self, key: str, account: str, records: list[dict[str, Any]]) -> None:
        names, values = self._rows("tasks", account, records)

        def work() -> None:
            raw.upsert(self.connection, "tasks", names, values)
            self.connection.commit()

        self._timed(key, work)

    def _send(self, texts: list[bytes]) -> None:
        for text in texts:
            self.connection.query(text)
        self.connection.commit()

    def _big_account(self, _scenario: Any) -> None:
        self.big, (_, self.tasks) = self._account(), _records(RECORDS)
        self._store(self.big, self.tasks)

    def _incremental(self, _scenario: Any) -> None:
        """The changed rows alone, found by their clock; in ms."""
        since = time.time_ns() // 1_000_000
        time.sleep(0.01)
        self._store(self.big, random.sample(self.tasks, CHANGED))
        started = time.perf_counter()
        raw.fetch_all(self.connection, self.big, since)
        self.server.record("incremental_100", (time.perf_counter() - started) * 1000)

    def _idle(self, scenario: Any) -> None:
        body = bench.Account.pull_body(1_700_000_000_000)
        self._loop(scenario, ACCOUNTS, lambda _client: ("/empty", body))
        key = f"{scenario.key}_redis"
        self._loop(scenario, ACCOUNTS, lambda _client: ("/redis", body), key)

    def _small_accounts(self, _scenario: Any) -> None:
        self.small = [self._account() for _ in range(ACCOUNTS)]

    def _small_pushes(self, scenario: Any) -> None:
        records = _records(2)[1]
        lists = {"created": records[:1], "updated": [bench.edited(records[1])]}
        body = {"changes": bench.changes(None, lists), "lastPulledAt": 1_700_000_000_000}
        self._loop(scenario, ACCOUNTS, lambda client: (f"/push/{self.small[client]}", body))

    def _logins(self, scenario: Any) -> None:
        body = {"email": "floor@example.com", "password": bench.PASSWORD}
        self._loop(scenario, 4, lambda _client: ("/login", body))

    def _loop(self, scenario: Any, clients: int, request: Any, key: str = "") -> None:
        """A closed loop, as the driver's own; each client sends the same request again."""
        built = [self.server.build("POST", *request(i), TOKEN) for i in range(clients)]
        loop = [bench.Client(self.server, lambda request=request: request) for request in built]
        bench.closed_loop(self.server, key or scenario.key, loop, scenario.seconds)

    def _account(self) -> str:
        user_id = str(uuid.uuid4())
        raw.new_user(self.connection, user_id)
        return user_id

    def _store(self, account: str, tasks: list[dict[str, Any]]) -> None:
        raw.upsert(self.connection, "tasks", *self._rows("tasks", account, tasks))
        self.connection.commit()

    def _rows(
        self, table: str, account: str, records: list[dict[str, Any]]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        names, now_ms = self.names[table], time.time_ns() // 1_000_000
        return names, raw.rows(names, account, now_ms, records)

    def _timed(self, key: str, work: Any) -> None:
        started = time.perf_counter()
        work()
        self.server.record(key, time.perf_counter() - started)


def _records(n: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """As many projects and tasks as the driver pushes."""
    projects = [bench.new_project() for _ in range(max(5, min(20, n // 100)))]
    return projects, [bench.new_task(random.choice(projects)["id"]) for _ in range(n)]
