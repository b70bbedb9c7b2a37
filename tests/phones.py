"""Phones that speak real HTTP, each with a local database and a sharp eye on what it is told."""

import http.client
import itertools
import json
from typing import Any
from urllib.parse import urlsplit

from devices import API, PASSWORD, bare, new_id

TABLES = ("projects", "tasks")
TIMEOUT_SECONDS = 60

Key = tuple[str, str]  # table and id
Records = dict[Key, dict[str, Any]]


def call(
    url: str, path: str, body: Any = None, token: str | None = None, method: str = "POST"
) -> tuple[int, Any]:
    """A call on a connection of its own, so that any worker may get it: status and JSON."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, API + path, data, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


class Person:
    """An account on a service of one or more hosts; `kind`: of its phones."""

    def __init__(self, *urls: str, kind: "type[Phone] | None" = None) -> None:
        self.urls, self.kind = urls, kind or Phone
        self.credentials = {"email": f"{new_id()}@example.com", "password": PASSWORD}
        status, self.answer = call(urls[0], "/auth/register", self.credentials)
        assert status == 201, self.answer

    def phone(self) -> "Phone":
        """A new device, signed in at the first host."""
        status, answer = call(self.urls[0], "/auth/login", self.credentials)
        assert status == 200, answer
        return self.kind(answer["access_token"], *self.urls)


class Phone:
    """A device. It checks each answer by what it alone can know (contract pull 1, 3 and 4)."""

    def __init__(self, token: str, *urls: str) -> None:
        self.token = token
        self.urls = itertools.cycle(urls)  # each call goes to the next host
        self.pulled_at: int | None = None
        self.records: Records = {}  # the local database
        self.known: set[Key] = set()  # all that it ever held

    def ask(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return call(next(self.urls), path, {"lastPulledAt": self.pulled_at, **body}, self.token)

    def pull(self, limit: int | None = None) -> None:
        """What the client does with a pull; `limit`: page by page (contract pull 6)."""
        more: dict[str, Any] = {"limit": limit} if limit else {}
        pages = [self._page(more)]
        while (cursor := pages[-1].get("cursor")) is not None:
            pages.append(self._page(more | {"cursor": cursor}))
        assert len({page["timestamp"] for page in pages}) == 1
        for page in pages:
            for table in TABLES:
                self._apply(table, **page["changes"][table])
        self.forward(pages[0]["timestamp"])

    def _page(self, more: dict[str, Any]) -> Any:
        status, answer = self.ask("/sync/pull", more)
        assert status == 200, answer
        return answer

    def _apply(self, table: str, created: Any, updated: Any, deleted: Any) -> None:
        """Contract pull 3: `created` is what it never had, `updated` what it has had."""
        for record in created:
            assert (table, record["id"]) not in self.known, f"created again: {record}"
        self.hold(table, *created)
        for record in updated:
            assert (table, record["id"]) in self.known, f"updated, but it never had {record}"
        self.hold(table, *updated)
        for id in deleted:
            self.records.pop((table, id), None)

    def hold(self, table: str, *records: dict[str, Any]) -> None:
        for record in records:
            self.records[table, record["id"]] = bare(record)
            self.known.add((table, record["id"]))

    def forward(self, timestamp: int) -> None:
        """Contract pull 1: it never goes backwards for a client."""
        assert timestamp >= (self.pulled_at or 1), "the timestamp went backwards"
        self.pulled_at = timestamp

    def push(self, *, forward: bool = False, **tables: dict[str, Any]) -> None:
        """Change it here, and push it; `forward`: keep a timestamp that is answered (push 7)."""
        for table, changes in tables.items():
            self.hold(table, *changes["created"], *changes["updated"])
            for id in changes["deleted"]:
                self.records.pop((table, id), None)
        status, answer = self.ask("/sync/push", {"changes": tables})
        assert status == 200, answer
        if forward and answer["timestamp"] is not None:
            self.forward(answer["timestamp"])

    def first_pull(self) -> Records:
        """The living set, as a new device would get it (contract pull 2)."""
        status, answer = self.ask("/sync/pull", {"lastPulledAt": None})
        assert status == 200, answer
        changes = answer["changes"]
        assert not any(changes[t]["updated"] or changes[t]["deleted"] for t in TABLES)
        return {(t, r["id"]): r for t in TABLES for r in changes[t]["created"]}
