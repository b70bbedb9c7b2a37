"""Records as a phone makes them, and an account with two phones."""

import random
import string
import time

from benchmarks.driver.server import Server

PASSWORD = "correct-Pferd-battery-9"


RNG = random.Random(20)  # the texts are the same in every run
IDS = random.Random()  # the ids are not: a server may keep those of an earlier run
ALPHABET = string.ascii_lowercase + string.ascii_uppercase + string.digits
WORDS = [
    "Straße",
    "Haus",
    "garden",
    "buy",
    "repair",
    "Müller",
    "call",
    "about",
    "the",
    "invoice",
    "naïve",
    "2nd",
    "floor",
    "kitchen",
    "lamp",
    "📷",
    "日本",
    "paint",
]


def new_id() -> str:
    return "".join(IDS.choices(ALPHABET, k=16))


def words(least: int, most: int) -> str:
    return " ".join(RNG.choices(WORDS, k=RNG.randint(least, most)))


def new_project() -> dict:
    now = int(time.time() * 1000)
    return {
        "id": new_id(),
        "_status": "created",
        "_changed": "",
        "name": words(2, 4),
        "description": words(5, 20),
        "created_at": now - 5000,
        "updated_at": now - 1000,
    }


def new_task(project_id: str) -> dict:
    now = int(time.time() * 1000)
    return {
        "id": new_id(),
        "_status": "created",
        "_changed": "",
        "title": words(3, 8),
        "description": words(5, 25) if RNG.random() < 0.8 else "",
        "is_completed": RNG.random() < 0.3,
        "project_id": project_id,
        "created_at": now - RNG.randint(1000, 9999),
        "updated_at": now - RNG.randint(0, 999),
    }


def edited(task: dict) -> dict:
    return {
        **task,
        "_status": "updated",
        "_changed": "title,is_completed,updated_at",
        "title": words(3, 8),
        "is_completed": not task["is_completed"],
        "updated_at": task["updated_at"] + 1000,
    }


def changes(projects: dict | None = None, tasks: dict | None = None) -> dict:
    empty = {"created": [], "updated": [], "deleted": []}
    return {"projects": {**empty, **(projects or {})}, "tasks": {**empty, **(tasks or {})}}


def differences(pushed: list[dict], pulled: list[dict]) -> str | None:
    """None when the pulled records are exactly the pushed ones (without _status, _changed)."""
    want = {r["id"]: {k: v for k, v in r.items() if not k.startswith("_")} for r in pushed}
    got = {r["id"]: r for r in pulled}
    if len(got) != len(pulled):
        return f"{len(pulled) - len(got)} ids are told twice"
    if want.keys() != got.keys():
        missing, more = len(want.keys() - got.keys()), len(got.keys() - want.keys())
        return f"{missing} missing, {more} unexpected of {len(want)}"
    for key, record in want.items():
        if got[key] != record:
            return f"differs: pushed {record}, pulled {got[key]}"
    return None


class Account:
    """One person with two signed-in devices: `a` pushes, `b` pulls."""

    def __init__(self, server: Server, second_device: bool = True) -> None:
        self.server = server
        self.connection = server.connection()
        self.email = f"bench-{new_id().lower()}{time.time_ns()}@example.com"
        answer, _ = self.call("POST", "/auth/register", {"email": self.email, "password": PASSWORD})
        self.a = answer["access_token"]
        self.b = self.a
        if second_device:
            answer, _ = self.call(
                "POST", "/auth/login", {"email": self.email, "password": PASSWORD}
            )
            self.b = answer["access_token"]
        self.timestamp: int | None = None
        self.projects: list[dict] = []
        self.tasks: list[dict] = []
        self.turn = 0

    def call(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[object, float]:
        return self.server.call(self.connection, method, path, body, token)

    def push(self, changed: dict) -> float:
        _, seconds = self.call(
            "POST", "/sync/push", {"changes": changed, "lastPulledAt": self.timestamp or 0}, self.a
        )
        return seconds

    def pull(self, since: int | None) -> tuple[dict, float]:
        answer, seconds = self.call("POST", "/sync/pull", self.pull_body(since), self.b)
        self.timestamp = answer["timestamp"]
        return answer["changes"], seconds

    @staticmethod
    def pull_body(since: int | None) -> dict:
        return {"lastPulledAt": since, "schemaVersion": 1, "migration": None}

    def fill(self, n: int) -> dict:
        self.projects = [new_project() for _ in range(max(5, min(20, n // 100)))]
        self.tasks = [new_task(RNG.choice(self.projects)["id"]) for _ in range(n)]
        return changes({"created": self.projects}, {"created": self.tasks})
