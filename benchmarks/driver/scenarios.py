"""What is measured: each scenario warms up, then samples one server at a time."""

import json
import threading
import time
from contextlib import nullcontext

from benchmarks.driver.loop import Client, closed_loop
from benchmarks.driver.records import PASSWORD, RNG, Account, changes, differences, edited, new_task
from benchmarks.driver.server import Server
from benchmarks.driver.wire import Reply


class PeakMemory:
    """Samples the tree's resident memory every 50 ms while it is entered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stop = threading.Event()

    def __enter__(self) -> None:
        self.thread = None
        if self.server.tree:
            self.thread = threading.Thread(target=self.sample, daemon=True)
            self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self.thread:
            self.thread.join()

    def sample(self) -> None:
        while not self.stop.wait(0.05):
            peak = max(self.server.info.get("peak_rss", 0.0), self.server.tree.rss_mb())
            self.server.info["peak_rss"] = peak


class Scenario:
    name = ""
    weight = 1.0  # its share of the time budget
    warmups = 1
    repeats = 5

    def setup(self, server: Server) -> None: ...

    def warm(self, server: Server) -> None:
        self.sample(server)

    def sample(self, server: Server) -> None: ...


class Flow(Scenario):
    """(a) and (b): a new account pushes n created tasks, a second device pulls them all, and the
    first pushes them all as updated."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.name = f"{n} records: push created, first pull, push updated"
        self.weight = 5.0 if n >= 5000 else 1.5
        self.warmups = 2 if n >= 5000 else 4
        self.repeats = 7 if n >= 5000 else 9

    def warm(self, server: Server) -> None:
        account = self.sample(server, check=True)
        wanted = [edited(task) for task in account.tasks]
        time.sleep(0.01)
        account.push(changes(None, {"updated": wanted}))
        pulled, _ = account.pull(account.timestamp)
        wrong = differences(wanted, pulled["tasks"]["updated"])
        if wrong or pulled["tasks"]["created"] or pulled["tasks"]["deleted"]:
            sizes = {k: len(v) for k, v in pulled["tasks"].items()}
            server.problem(f"pull after {self.n} edits: {wrong or ''} {sizes}")

    def timed(self, server: Server, key: str, what) -> object:
        cpu = server.tree.cpu_seconds() if server.tree else 0.0
        answer = what()
        seconds = answer[1] if isinstance(answer, tuple) else answer
        server.record(f"{key}_{self.n}", seconds)
        if server.tree and self.n >= 5000:
            server.record(f"{key}_{self.n}_cpu", server.tree.cpu_seconds() - cpu)
        return answer

    def sample(self, server: Server, check: bool = False) -> Account:
        account = Account(server)
        created = account.fill(self.n)
        with PeakMemory(server) if self.n >= 5000 else nullcontext():
            self.timed(server, "push_created", lambda: account.push(created))
            pulled, _ = self.timed(server, "first_pull", lambda: account.pull(None))
            server.info[f"first_pull_{self.n}_bytes"] = server.info["last_size"]
            got = {table: pulled[table]["created"] for table in ("projects", "tasks")}
            sizes = (len(got["projects"]), len(got["tasks"]))
            if sizes != (len(account.projects), len(account.tasks)):
                server.problem(f"first pull of {self.n}: {sizes} projects, tasks")
            elif check:
                for table, pushed in (("projects", account.projects), ("tasks", account.tasks)):
                    wrong = differences(pushed, got[table])
                    if wrong:
                        server.problem(f"first pull of {self.n} {table}: {wrong}")
            account.tasks = [edited(task) for task in account.tasks]
            updated = changes(None, {"updated": account.tasks})
            self.timed(server, "push_updated", lambda: account.push(updated))
        account.pull(account.timestamp)
        if server.tree and self.n >= 5000 and (memory := server.tree.pss_mb()):
            server.record("after_pss", memory)
        return account


class Incremental(Scenario):
    """(c): one device changes 100 of 10,000 records, another pulls."""

    name = "incremental pull of 100 of 10,000"
    weight = 1.0
    repeats = 15
    warmups = 4

    def setup(self, server: Server) -> None:
        account = Account(server)
        account.push(account.fill(10_000))
        account.pull(None)
        server.state["big"] = account

    def sample(self, server: Server) -> None:
        account: Account = server.state["big"]
        time.sleep(
            0.01
        )  # a server that compares whole milliseconds is not to be caught on that here
        wanted = []
        for index in RNG.sample(range(len(account.tasks)), 100):
            account.tasks[index] = edited(account.tasks[index])
            wanted.append(account.tasks[index])
        account.push(changes(None, {"updated": wanted}))
        pulled, seconds = account.pull(account.timestamp)
        server.record("incremental_100", seconds * 1000)
        wrong = differences(wanted, pulled["tasks"]["updated"])
        if wrong or pulled["tasks"]["created"] or pulled["tasks"]["deleted"]:
            sizes = {k: len(v) for k, v in pulled["tasks"].items()}
            server.problem(f"incremental pull of 100: {wrong or ''} {sizes}")
        time.sleep(0.01)


class Loaded(Scenario):
    """What the closed-loop scenarios share: 16 accounts with 200 tasks each."""

    seconds = 1.2
    repeats = 8

    def setup(self, server: Server) -> None:
        if "small" not in server.state:
            accounts = []
            for _ in range(16):
                account = Account(server, second_device=False)
                account.push(account.fill(200))
                account.pull(None)
                accounts.append(account)
            server.state["small"] = accounts


class Idle(Loaded):
    """(d): 16 clients, each on an account of its own; pulls that find nothing."""

    name = "idle pulls, concurrency 16"
    key = "idle_c16"
    most = 16
    weight = 1.2

    def sample(self, server: Server) -> None:
        clients = []
        for account in server.state["small"][: self.most]:
            time.sleep(0.002)
            account.pull(account.timestamp)
            pulled, _ = account.pull(account.timestamp)
            if any(rows for table in pulled.values() for rows in table.values()):
                server.problem(f"{self.key}: a pull with nothing new was not empty")
            body = account.pull_body(account.timestamp)
            request = server.build("POST", "/sync/pull", body, account.b)
            clients.append(Client(server, lambda request=request: request))
        closed_loop(server, self.key, clients, self.seconds)


class IdleAlone(Idle):
    """One of them alone."""

    name = "idle pulls, one connection"
    key = "idle_c1"
    most = 1
    seconds = 0.5
    weight = 0.6


class SmallPush(Loaded):
    """(e): 16 clients, each on an account of its own; a push is one created, one updated task."""

    name = "small pushes, concurrency 16"
    key = "small_push_c16"
    weight = 1.2

    def sample(self, server: Server) -> None:
        clients = []
        for account in server.state["small"]:
            account.pull(account.timestamp)
            clients.append(
                Client(
                    server,
                    lambda a=account: self.request(server, a),
                    lambda r, a=account: self.note(r, a),
                )
            )
        closed_loop(server, self.key, clients, self.seconds)

    def request(self, server: Server, account: Account) -> bytes:
        account.turn = (account.turn + 1) % len(account.tasks)
        task = account.tasks[account.turn] = edited(account.tasks[account.turn])
        changed = changes(
            None, {"created": [new_task(account.projects[0]["id"])], "updated": [task]}
        )
        return server.build(
            "POST", "/sync/push", {"changes": changed, "lastPulledAt": account.timestamp}, account.a
        )

    @staticmethod
    def note(reply: Reply, account: Account) -> None:
        timestamp = json.loads(reply.body()).get("timestamp")
        if isinstance(timestamp, int):
            account.timestamp = timestamp


class Logins(Loaded):
    """(f)"""

    name = "logins, concurrency 4"
    key = "login_c4"
    weight = 1.2
    seconds = 2.0

    def sample(self, server: Server) -> None:
        accounts: list[Account] = server.state["small"]

        def client(i: int) -> Client:
            turn = iter(range(10**9))
            return Client(
                server,
                lambda: server.build(
                    "POST",
                    "/auth/login",
                    {
                        "email": accounts[(i + 4 * next(turn)) % len(accounts)].email,
                        "password": PASSWORD,
                    },
                ),
            )

        closed_loop(server, self.key, [client(i) for i in range(4)], self.seconds)
