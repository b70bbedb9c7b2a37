"""What a body may cost is bounded before it is paid (contract, Requests 3 and 4)."""

import gzip
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from conftest import NO_DATABASE
from devices import PASSWORD, Account, created, new_id, project
from flask import Flask
from servers import serving

from melon_api.sync.requests import read_pull
from melon_api.web.body import cost, reading
from melon_api.web.request import API

LIMIT = 32 << 20
GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


@pytest.fixture
def phone(account: Account) -> Any:
    return account.first


def failure(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


@pytest.mark.parametrize("value", ["{}", "[]", '{"a":0}', "[[]]", '[{"":[]}]', "1.5", '"ab"'])
@pytest.mark.parametrize("count", [10_000, 40_000])
def test_what_a_body_takes_is_never_more_than_estimated(value: str, count: int) -> None:
    data = f"[{','.join([value] * count)}]".encode()
    tracemalloc.start()
    values = orjson.loads(data)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(values) == count
    assert taken <= cost.estimate(data) + 8 * len(data)


def test_what_stands_in_texts_counts_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the window ends: within an escape, or behind it."""
    monkeypatch.setattr(cost, "AT_ONCE", 0)
    texts = ["{},[" * 9, '\\"{,', "\\\\", '"', "\n[{\\", "é{📷,"]
    records = [{"id": str(i), "texts": texts * 3, "last": texts[i % 6]} for i in range(40)]
    plain = [{"id": "", "texts": [""] * 18, "last": ""} for _ in range(40)]
    for window in range(1, 60):
        monkeypatch.setattr(cost, "WINDOW", window)
        assert cost.estimate(json.dumps(records).encode()) == cost.estimate(orjson.dumps(plain))
        assert cost.estimate(orjson.dumps(records)) == cost.estimate(orjson.dumps(plain))


def test_the_largest_honest_push_is_let_in() -> None:
    """Short columns, many of them; and rich texts that hold JSON."""
    record = {f"column_{i}": i % 2 == 0 for i in range(12)} | {"id": new_id(), "_status": "created"}
    rich = json.dumps([{"type": "p", "x": 1.5, "y": [1, 2, 3]}] * 200)
    for one in (record, record | {"text": rich}):
        text = orjson.dumps(one)
        data = b"[" + b",".join([text] * ((LIMIT - 2) // (len(text) + 1))) + b"]"
        assert cost.estimate(data) <= cost.TIMES * len(data)


@pytest.mark.parametrize("path", ["/sync/push", "/sync/pull", "/sync/verify"])
@pytest.mark.parametrize("value", [b"{}", b"[]", b'{"a":0}'])
@pytest.mark.parametrize("size", [LIMIT, 6 << 20])
def test_more_values_than_a_request_may_have(
    phone: Any, path: str, value: bytes, size: int
) -> None:
    data = b"[" + b",".join([value] * ((size - 2) // (len(value) + 1))) + b"]"
    answer = phone.call("POST", path, data=gzip.compress(data, 1), headers=GZIP)
    assert failure(answer) == (413, "payload_too_large")
    assert "too many values" in answer.get_json()["detail"]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/password/forgot"])
def test_other_calls_take_64_kib(phone: Any, path: str) -> None:
    """Packed or not."""
    body = {"email": "nobody@example.com", "password": "x"}
    for size, status in [(reading.SMALL_BYTES, 413), (reading.SMALL_BYTES - 100, None)]:
        data = orjson.dumps(body | {"more": "x" * size})
        plain = phone.http.post(f"{API}{path}", data=data, content_type="application/json")
        packed = phone.http.post(f"{API}{path}", data=gzip.compress(data), headers=GZIP)
        for answer in (plain, packed):
            assert (answer.status_code == 413) == (status == 413), answer.get_json()


@pytest.mark.parametrize("encoding", [None, "identity"])
def test_a_body_that_begins_as_gzip_is_gzip(phone: Any, encoding: str | None) -> None:
    """React Native on Android drops Content-Encoding from a body that is no string."""
    headers = {"Content-Type": "application/json"}
    headers |= {"Content-Encoding": encoding} if encoding else {}
    body = gzip.compress(orjson.dumps({"changes": {"projects": created(project(id="x"))}}))
    assert phone.call("POST", "/sync/push", data=body, headers=headers).status_code == 200
    assert list(phone.records("projects")) == ["x"]
    phone.pull()
    pull = gzip.compress(orjson.dumps({"lastPulledAt": phone.pulled_at}))
    for _ in range(2):
        answer = phone.call("POST", "/sync/pull", data=pull, headers=headers)
        assert answer.get_json()["timestamp"] == phone.pulled_at
    cut = phone.call("POST", "/sync/push", data=body[:-9], headers=headers)
    assert failure(cut) == (400, "bad_request")


HALVES = {
    r'"\ud83d"': "\ufffd",
    r'"\uDE00x"': "\ufffdx",
    r'"\ud83d\ud83d\ude00\ude00"': "\ufffd😀\ufffd",
    r'"\\\ud83d\\ud83d\\\\\ude00"': "\\\ufffd\\ud83d\\\\\ufffd",
    r'"\\ud83d\ude00 \ud83d\"\ude00"': '\\ud83d\ufffd \ufffd"\ufffd',
    r'"\ud83d\\ude00 \u00e9 é 📷 \ud83d"': "\ufffd\\ude00 é é 📷 \ufffd",
}


@pytest.mark.parametrize(("text", "value"), HALVES.items())
def test_half_an_emoji_becomes_the_replacement_character(text: str, value: str) -> None:
    assert reading.parse_json(text.encode()) == value
    assert reading.parse_json(f'{{{text}:[{text},"\\ud83d"]}}'.encode()) == {
        value: [value, "\ufffd"]
    }


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("more", [b"", b'"\\ud800",'])
def test_depth_is_bounded(phone: Any, depth: int, more: bytes) -> None:
    data = b'{"changes":' + b"[" * depth + more + b"]" * depth + b"}"
    answer = phone.call("POST", "/sync/push", data=data, content_type="application/json")
    assert answer.status_code in (400, 413, 422)


def names(count: int) -> list[str]:
    return [f"name_{i}" for i in range(count)]


def added(columns: list[str]) -> Any:
    return {"table": "tasks", "columns": columns}


ADDED = added(["title", "title", "is_completed"])
BODIES: dict[str, tuple[str, Callable[[int], Any]]] = {
    "columns added again": ("pull", lambda n: {"migration": {"from": 1, "columns": [ADDED] * n}}),
    "columns added": (
        "pull",
        lambda n: {"migration": {"columns": [ADDED | {"columns": names(n)}]}},
    ),
    "tables added": ("pull", lambda n: {"migration": {"from": 1, "tables": names(n)}}),
    "no tables added": ("pull", lambda n: {"migration": {"columns": [{"table": 7}] * n}}),
    "names": ("pull", lambda n: dict.fromkeys(names(n), 1)),
    "tables": ("push", lambda n: {"changes": {name: {"deleted": ["a"]} for name in names(n)}}),
    "changed": ("push", lambda n: pushed({"id": "x", "_changed": "name," * n})),
    "columns": ("push", lambda n: pushed(dict.fromkeys(names(n), 1) | {"id": "x"})),
    "bad ids": ("push", lambda n: pushed(*[{"id": ""}] * n)),
    "orphans": ("push", lambda n: pushed(*({"id": f"{i}"} for i in range(n)), table="tasks")),
    "bad deletions": ("push", lambda n: {"changes": {"projects": {"deleted": [""] * n}}}),
    "held": ("verify", lambda n: {"lastPulledAt": 0, "tables": {name: {} for name in names(n)}}),
    "held columns": ("verify", lambda n: {"tables": {"tasks": {"columns": names(n)}}}),
}


def pushed(*records: Any, table: str = "projects") -> Any:
    return {"changes": {table: {"created": [], "updated": records, "deleted": []}}}


@NO_DATABASE
@pytest.mark.parametrize(("call", "body"), BODIES.values(), ids=BODIES)
def test_every_field_costs_in_proportion(phone: Any, call: str, body: Callable[[int], Any]) -> None:
    """Contract, Requests 4: calls of our own functions and of the libraries', as Python counts."""
    _, few, many = [_calls(phone, f"/sync/{call}", body(count)) for count in (1, 10_000, 40_000)]
    assert many <= 4.1 * few


def _calls(phone: Any, path: str, body: Any) -> int:
    count = 0

    def step(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(step)
    try:
        phone.call("POST", path, json=body)
    finally:
        sys.setprofile(None)
    return count


def test_a_column_that_is_added_again_and_again_is_added_once(app: Flask) -> None:
    """Contract, pull 5."""
    for count in (10_000, 40_000):
        body = {"lastPulledAt": 7, "migration": {"from": 1, "columns": [ADDED] * count}}
        wanted = read_pull(body, {}, lambda _cursor: None)
        assert wanted.migration.columns == {"tasks": ("title", "is_completed")}


def peak_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


def repeated(value: bytes, size: int, last: bytes = b"0") -> bytes:
    """A list of so many bytes, about."""
    return b"[" + (value + b",") * (size // (len(value) + 1)) + last + b"]"


def largest_admitted(value: bytes) -> bytes:
    few = repeated(value, 1 << 20)
    return repeated(value, int((1 << 20) * (cost.AT_ONCE / cost.estimate(few))) - 64)


EMPTY, SHORT, TEXTS = b"{}", b'{"a":0}', b'["ab"]'
WIDE = b'{"a":"' + b"x" * 200 + "📷".encode() + b'"}'  # 4 bytes in memory for each character
CUT = b'"\\ud83d"'
BOMBS = {
    **{f"32 MiB of {value!r}": (repeated(value, LIMIT - 64), 100) for value in (EMPTY, TEXTS)},
    **{f"let in: {value!r}": (largest_admitted(value), 100) for value in (EMPTY, SHORT, TEXTS)},
    "wide texts": (repeated(WIDE, LIMIT - 64), 9 * 32),
    "wide texts, one cut in an emoji": (repeated(WIDE, LIMIT - 64, CUT), 9 * 32),
    "one wide text, and half an emoji": (
        b'["' + b"x" * (LIMIT - 64) + "📷".encode() + b'",' + CUT + b"]",
        9 * 32,
    ),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory")
@pytest.mark.parametrize(("data", "most"), BOMBS.values(), ids=BOMBS)
def test_sixteen_bombs_at_once_take_little_memory(tmp_path: Path, data: bytes, most: int) -> None:
    """Contract, Requests 3: `most` MiB more than an idle worker; what is as large as a large push
    comes one at a time."""
    bomb = gzip.compress(data, 6)
    with serving("sqlite", tmp_path, workers=1) as server:
        body = {"email": f"{new_id()}@example.com", "password": PASSWORD}
        known = requests.post(f"{server.url}{API}/auth/register", json=body, timeout=60).json()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        worker = int(children)
        idle = peak_bytes(worker)

        def attack(number: int) -> int:
            headers = GZIP | {"Authorization": f"Bearer {known['access_token']}"}
            path = ("push", "pull", "verify")[number % 3]
            url = f"{server.url}{API}/sync/{path}"
            return requests.post(url, data=bomb, headers=headers, timeout=120).status_code

        with ThreadPoolExecutor(16) as pool:
            statuses = set(pool.map(attack, range(16)))
        assert statuses <= {413, 422, 503}
        assert os.path.exists(f"/proc/{worker}")  # noqa: PTH110 - the same worker
        assert (peak_bytes(worker) - idle) >> 20 <= most
