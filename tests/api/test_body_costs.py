"""What a body may cost is bounded before it is paid (contract, Requests 3 and 4)."""

import gzip
import json
import os
import tracemalloc
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from calls import calls
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


@pytest.mark.parametrize("keys", [2, 64, 65, 1_000, 400_000])
def test_nor_do_objects_whose_keys_are_all_different(keys: int) -> None:
    """Which no table's columns are."""
    pairs = iter(range(400_000))
    objects = [{f"{next(pairs):x}": 0 for _ in range(keys)} for _ in range(400_000 // keys)]
    data = orjson.dumps(objects)
    tracemalloc.start()
    values = orjson.loads(data)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values == objects
    assert taken <= cost.estimate(data) + 2 * len(data)


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


@pytest.mark.parametrize(
    ("path", "value", "size"),
    [
        ("/sync/push", b"{}", LIMIT),
        ("/sync/pull", b"[]", 6 << 20),
        ("/sync/verify", b'{"a":0}', 6 << 20),
    ],
)
def test_more_values_than_a_request_may_have(
    phone: Any, path: str, value: bytes, size: int
) -> None:
    data = b"[" + b",".join([value] * ((size - 2) // (len(value) + 1))) + b"]"
    answer = phone.call("POST", path, data=gzip.compress(data, 1), headers=GZIP)
    assert failure(answer) == (413, "payload_too_large")
    assert "too many values" in answer.get_json()["detail"]


@pytest.mark.parametrize(("path", "status"), [("push", 422), ("pull", 413), ("verify", 413)])
def test_what_brings_no_records_holds_few_values(phone: Any, path: str, status: int) -> None:
    """An honest one names each column of its app once."""
    honest = {"lastPulledAt": 0, "migration": {"columns": [added(names(500))] * 100}}
    assert phone.call("POST", "/sync/pull", json=honest).status_code == 200
    answer = phone.call("POST", f"/sync/{path}", json=dict.fromkeys(names(200_000), 0))
    assert answer.status_code == status


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
    "cursor": ("pull", lambda n: {"cursor": "a.b" * n}),
    "clock": ("pull", lambda n: {"lastPulledAt": "1" * n}),
    "text": (
        "push",
        lambda n: pushed({"id": "x", "name": "ﷺ" * 200, "description": "\0é" * (n // 3)}),
    ),
    "long texts": ("push", lambda n: pushed({"id": "x", "name": "ﷺ" * n, "description": "📷" * n})),
    "long ids": (
        "push",
        lambda n: pushed({"id": "\udb40" * n, "project_id": "\0" * n}, table="tasks"),
    ),
    "long names": ("push", lambda n: pushed({"id": "x", "_changed": "é" * n, "ﷺ" * n: "é" * n})),
}


def pushed(*records: Any, table: str = "projects") -> Any:
    return {"changes": {table: {"created": [], "updated": records, "deleted": []}}}


@NO_DATABASE
@pytest.mark.parametrize(("call", "body"), BODIES.values(), ids=BODIES)
def test_every_field_costs_in_proportion(phone: Any, call: str, body: Callable[[int], Any]) -> None:
    """Contract, Requests 4: calls of our own functions and of the libraries', as Python counts."""
    _, few, many = [_calls(phone, f"/sync/{call}", body(count)) for count in (1, 2_500, 10_000)]
    assert many <= 4.1 * few


WRONG: dict[str, tuple[str, Callable[[int], Any]]] = {
    "tables added": ("pull", lambda n: {"migration": {"tables": [1] * n}}),
    "columns added": ("pull", lambda n: {"migration": {"columns": [{}] * n}}),
    "of one table": ("pull", lambda n: {"migration": {"columns": [ADDED | {"columns": [1] * n}]}}),
    "held": ("verify", lambda n: {"tables": dict.fromkeys(names(n), 1)}),
    "held, unknown": ("verify", lambda n: {"tables": {x: {"count": 0} for x in names(n)}}),
    "held columns": ("verify", lambda n: {"tables": {"tasks": {"columns": names(n)}}}),
}


@NO_DATABASE
@pytest.mark.parametrize(("call", "body"), WRONG.values(), ids=WRONG)
def test_what_is_said_of_wrong_values_has_an_end(
    phone: Any, call: str, body: Callable[[int], Any]
) -> None:
    """Contract, Requests 3 and Errors 4: an error takes many times what its value did."""
    few, many = [phone.call("POST", f"/sync/{call}", json=body(n)) for n in (10_000, 40_000)]
    assert failure(few) == failure(many) == (422, "validation_failed")
    assert max(len(few.data), len(many.data)) < 20_000


@NO_DATABASE
@pytest.mark.parametrize("since", [0, "bad"])
def test_too_many_are_told_before_anything_is_said_of_each(phone: Any, since: Any) -> None:
    """Contract, Requests 3, whatever else is wrong."""
    for changes in ({"projects": {"created": [1] * 50_001}}, dict.fromkeys(names(50_001), 1)):
        answer = phone.call("POST", "/sync/push", json={"changes": changes, "lastPulledAt": since})
        assert failure(answer) == (413, "payload_too_large")


def _calls(phone: Any, path: str, body: Any = None, method: str = "POST", **more: Any) -> int:
    with calls() as counted:
        answer = phone.call(method, path, json=body, **more)
    assert answer.status_code != 413
    return len(counted)


ODD = ("ﷺ", "a" + "\u0316\u0301" * 9, "\u1100\u1161", "İ", "xn--é.", "\0", ' "@', "\udb40")
KNOWN = {"email": "nobody@example.com", "password": PASSWORD, "new_password": PASSWORD}
FIELDS = {
    ("POST", "/auth/login"): ("email", "password", "device_name", "device_id"),
    ("POST", "/auth/register"): ("email", "password", "name", "device_name", "device_id"),
    ("POST", "/auth/password/forgot"): ("email",),
    ("POST", "/auth/password/reset"): ("token", "new_password"),
    ("POST", "/auth/email/verify"): ("token",),
    ("PATCH", "/users/me"): ("name", "email", "current_password"),
    ("POST", "/users/me/password"): ("current_password", "new_password"),
    ("DELETE", "/users/me"): ("password",),
}


@NO_DATABASE
@pytest.mark.parametrize(("call", "fields"), FIELDS.items(), ids=map(" ".join, FIELDS))
def test_odd_texts_cost_in_proportion(
    phone: Any, monkeypatch: pytest.MonkeyPatch, call: tuple[str, str], fields: tuple[str, ...]
) -> None:
    """Contract, Requests 4: and what takes quadratic time inside of one call is given little."""
    given: list[int] = []
    normalize = unicodedata.normalize

    def note(form: Any, text: str) -> str:
        given.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", note)
    method, path = call
    for field in fields:
        bodies = [
            KNOWN | {field: "".join(odd * (size // len(ODD) // len(odd) // 3) for odd in ODD)}
            for size in (1_000, 10_000, 40_000)
        ]
        _, few, many = [_calls(phone, path, body, method) for body in bodies]
        assert many <= 4.1 * few, field
    assert max(given, default=0) <= 1_024


HEADERS: dict[str, Callable[[int], dict[str, str]]] = {
    "headers": lambda n: {f"X-{name}": "1" for name in names(n)},
    "types": lambda n: {"Accept": ", ".join(f"a/{name};q=0.5" for name in names(n))},
    "packings": lambda n: {"Accept-Encoding": ", ".join(f"{name};q=0.5" for name in names(n))},
    "hops": lambda n: {"X-Forwarded-For": ", ".join(["198.18.0.1"] * n)},
    "cookies": lambda n: {"Cookie": "; ".join(f"{name}=1" for name in names(n))},
    "token": lambda n: {"Authorization": "Bearer " + "a.b" * n},
    "request id": lambda n: {"X-Request-ID": "a" * n},
    "origin": lambda n: {"Origin": "https://" + "a." * n, "User-Agent": "é" * n},
}


@NO_DATABASE
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_every_header_costs_in_proportion(
    phone: Any, headers: Callable[[int], dict[str, str]]
) -> None:
    """The web server takes few and short ones; whoever serves otherwise is no worse off."""
    counts = [
        _calls(phone, "/users/me", method="GET", headers=headers(count))
        for count in (1, 10_000, 40_000)
    ]
    assert counts[2] <= 4.1 * counts[1]


@NO_DATABASE
@pytest.mark.parametrize("name", ["limit", "cursor", "last_pulled_at", "migration", "x%F0"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_costs_in_proportion(phone: Any, method: str, name: str) -> None:
    for path in ("/sync/pull", "/sync/push"):
        _, few, many = [
            _calls(phone, path, {}, method, query_string=f"{name}=1&" * count)
            for count in (1, 10_000, 40_000)
        ]
        assert many <= 4.1 * few


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


def different(keys: int, objects: int) -> bytes:
    """A list of objects whose keys are all different."""
    pairs = iter(range(keys * objects))
    return orjson.dumps([{f"{next(pairs):x}": 0 for _ in range(keys)} for _ in range(objects)])


KEYS = different(440_000, 1)  # 60 MiB
EMPTY, SHORT, TEXTS = b"{}", b'{"a":0}', b'["ab"]'
WIDE = b'{"a":"' + b"x" * 200 + "📷".encode() + b'"}'  # 4 bytes in memory for each character
CUT = b'"\\ud83d"'
# What widens takes 235 to 270 MiB, one at a time; 302 were seen beside a whole suite.
BOMBS: dict[str, tuple[list[bytes], int]] = {
    "32 MiB of values": ([repeated(value, LIMIT - 64) for value in (EMPTY, TEXTS)], 100),
    **{f"let in: {value!r}": ([largest_admitted(value)], 100) for value in (EMPTY, SHORT, TEXTS)},
    "wrong values": ([b'{"migration":{"columns":' + largest_admitted(b"1") + b"}}"], 100),
    "different keys": ([b'{"changes":' + KEYS + b"}", KEYS, KEYS[1:-1]], 100),
    "keys of many objects": ([different(60, 15_000)], 220),  # as many as columns may be; 160 seen
    "wide texts, one cut in an emoji": ([repeated(WIDE, LIMIT - 64, CUT)], 11 * 32),
    "one wide text, and half an emoji": (
        [b'["' + b"x" * (LIMIT - 64) + "📷".encode() + b'",' + CUT + b"]"],
        11 * 32,
    ),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory")
def test_sixteen_bombs_at_once_take_little_memory(tmp_path: Path) -> None:
    """Contract, Requests 3: so many MiB more than an idle worker; what is as large as a large push
    comes one at a time."""
    with serving("sqlite", tmp_path, workers=1) as server:
        body = {"email": f"{new_id()}@example.com", "password": PASSWORD}
        known = requests.post(f"{server.url}{API}/auth/register", json=body, timeout=60).json()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        worker = int(children)
        idle = peak_bytes(worker)

        def attack(number: int, bombs: list[bytes]) -> int:
            headers = GZIP | {"Authorization": f"Bearer {known['access_token']}"}
            path, bomb = ("push", "pull", "verify")[number % 3], bombs[number // 3 % len(bombs)]
            url = f"{server.url}{API}/sync/{path}"
            return requests.post(url, data=bomb, headers=headers, timeout=120).status_code

        for name, (bodies, most) in BOMBS.items():
            packed = [gzip.compress(body, 6) for body in bodies]
            Path(f"/proc/{worker}/clear_refs").write_text("5")  # the peak counts from here
            with ThreadPoolExecutor(16) as pool:
                statuses = set(pool.map(attack, range(16), [packed] * 16))
            assert statuses <= {413, 422, 503}, name
            assert os.path.exists(f"/proc/{worker}"), name  # noqa: PTH110 - the same worker
            assert (peak_bytes(worker) - idle) >> 20 <= most, name
