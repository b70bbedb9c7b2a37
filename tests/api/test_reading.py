"""A pull whose text the database writes holds what the ordinary reading holds (sync/sql)."""

import random
import struct
from math import isfinite
from typing import Any

import pytest
from conftest import cut_at, statements
from devices import Account, Device, bare, created, deleted, edited, project, task, updated
from sqlalchemy import update

from melon_api.models.base import db
from melon_api.sync.sql.delta_pull import FEW
from melon_api.sync.sql.rows import IDS_PER_STATEMENT
from tests.example.models import Project

NUMBERS: list[Any] = [0, 1, -1, 0.1, -0.1, 0.1 + 0.2, 1 / 3, 1e-7, 1e-6, 123456.789, 5e-324]
NUMBERS += [1.7976931348623157e308, 2**31, 2**53, -(2**53), 2**53 - 1, 2**62, 1e15, 1e15 + 0.5]
NUMBERS += [999_999_999_999_999, 1e16, 1e18, 9.2e18, 2**63, 1e19, 1e20, 1e21, 1e22, -1e21, 1.5e300]
NUMBERS += [1_700_000_000_001, 1_700_000_000_000.5, 4_503_599_627_370_496.5, 1.2345678901234567e15]
STRINGS = [
    "",
    " ",
    "  x ",
    "null",
    '"',
    "\\",
    '\\"',
    "\\u0041",
    "\\n",
    "/",
    "'",
    "%",
    "%s",
    "{}",
    "}\n",
]
STRINGS += [
    "},{",
    "\u2028\u2029",
    "\ufffd\ufeff\uffff",
    "ü",
    "e\u0301",
    "📷👩‍👩‍👧",
    "\U0010ffff",
    "\x7f\x80\x9f",
]
STRINGS += ["".join(map(chr, range(start, start + 32))) for start in range(0, 0x300, 32)]


def odd_numbers() -> list[Any]:
    """Those above, and doubles of any bits, seldom whole; and whole ones of any size."""
    chance = random.Random(5)
    bits = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(300)]
    whole = [float(chance.getrandbits(chance.randrange(1, 75))) for _ in range(300)]
    parts = [chance.getrandbits(62) / 2 ** chance.randrange(70) for _ in range(300)]
    return [
        *NUMBERS,
        *filter(isfinite, bits),
        *(w if w >= 2**63 else int(w) for w in whole),
        *parts,
    ]


def odd_strings() -> list[str]:
    chance = random.Random(6)
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    return STRINGS + ["".join(map(chr, chance.choices(points, k=40))) for _ in range(200)]


def odd_records() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Projects and tasks that have every odd value somewhere."""
    numbers, strings = odd_numbers(), odd_strings()
    homes = [
        project(created_at=n, updated_at=m) for n, m in zip(numbers, numbers[::-1], strict=True)
    ]
    tasks = [
        task(homes[0]["id"], title=text, description=other, is_completed=len(text) % 2 == 0)
        for text, other in zip(strings, [None, *strings[:0:-1]], strict=True)
    ]
    return homes, tasks


def told(phone: Device, **more: Any) -> str:
    """What a pull tells, without its order; 1 is not 1.0 here."""
    changes = phone.ask_pull(phone.pulled_at, **more).json["changes"]
    return repr({(t, k): sorted(map(repr, v)) for t, ks in changes.items() for k, v in ks.items()})


def both(phone: Device, **more: Any) -> tuple[str, str]:
    """A page is read row by row."""
    return told(phone, **more), told(phone, limit=IDS_PER_STATEMENT, **more)


def test_odd_values_are_told_as_the_ordinary_reading_tells_them(account: Account) -> None:
    """Contract pull 4: returned exactly as the app pushed them."""
    phone, tablet, watch = account.first, account.device(), account.device()
    watch.push(projects=created(old := project()))
    watch.pull()
    homes, tasks = odd_records()
    phone.push(projects=created(*homes), tasks=created(*tasks))
    for device in (tablet, watch, phone):
        whole, paged = both(device)
        assert whole == paged
        whole, paged = both(device, replacement=True)
        assert whole == paged
    assert tablet.records("tasks") == {t["id"]: bare(t) for t in tasks}
    doubles = {i: float(p["created_at"]) for i, p in tablet.records("projects").items()}
    assert doubles == {p["id"]: float(p["created_at"]) for p in [old, *homes]}


def test_few_odd_values_are_told_as_the_ordinary_reading_tells_them(account: Account) -> None:
    """Contract pull 4, where the news are few enough for one statement."""
    phone, tablet = account.first, account.device()
    phone.push(projects=created(project()))
    tablet.pull()
    homes, tasks = odd_records()
    for start in range(0, len(homes), FEW):
        some = homes[start : start + FEW]
        phone.push(projects=created(*some))
        whole, paged = both(tablet)
        assert whole == paged
        assert {p["id"] for p in tablet.pull()["projects"]["created"]} == {p["id"] for p in some}
    for start in range(0, len(tasks), FEW):
        phone.push(tasks=created(*tasks[start : start + FEW]))
        whole, paged = both(tablet)
        assert whole == paged
        tablet.pull()
    assert tablet.records("tasks") == {t["id"]: bare(t) for t in tasks}


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 2 * FEW])
def test_the_news_are_whole_however_many(account: Account, count: int) -> None:
    """Contract pull 1: up to a bound the database is asked once."""
    phone, tablet, home = account.first, account.device(), project()
    phone.push(projects=created(home))
    tablet.pull()
    tasks = [task(home["id"]) for _ in range(count)]
    phone.push(tasks=created(*tasks))
    with statements(account.app) as seen:
        news = tablet.pull()["tasks"]["created"]
    assert {t["id"]: t for t in news} == {t["id"]: bare(t) for t in tasks}
    phone.pull()
    assert tablet.pulled_at == phone.pulled_at
    with account.app.app_context():
        if db.engine.dialect.name != "sqlite":
            asked = [text for text in seen if " tasks" in text]
            # more: the clock's statement, which counts them, and theirs
            assert len(asked) == (1 if count <= FEW else 3)


def test_a_number_that_only_a_database_can_hold(account: Account) -> None:
    """A push makes -0 a 0; a row written by other hands may hold it."""
    home = project()
    account.first.push(projects=created(home))
    with account.app.app_context(), db.engine.begin() as connection:
        rows = update(Project).where(Project.id == home["id"])
        connection.execute(rows.values(created_at=-0.0, updated_at=-0.5))
    whole, paged = both(account.device())
    assert whole == paged
    assert b'"created_at":0,' in account.device().ask_pull(None).data


@pytest.mark.parametrize("octets", [1 << 22, 1000, 400, 100])
def test_every_list_is_the_same(account: Account, octets: int) -> None:
    """Contract pull 3 and 5, for a device that made, edited, deleted and adopted records."""
    phone, tablet, watch = account.first, account.device(), account.device()
    home, shared = project(), project(description="both made it")
    old, gone = task(home["id"]), task(home["id"])
    phone.push(projects=created(home), tasks=created(old, gone))
    for device in (phone, tablet, watch):
        device.pull()
    phone.push(projects=created(shared), tasks=updated(edited(old, title="new")))
    tablet.push(projects=created(shared), tasks=created(task(home["id"])))
    phone.push(tasks=deleted(gone["id"]) | {"created": [task(home["id"], is_completed=True)]})
    added = {"from": 1, "tables": ["projects"], "columns": []}
    filled = {"from": 1, "tables": [], "columns": [{"table": "tasks", "columns": ["title", "x"]}]}
    with cut_at(account.app, octets):  # read at once, in blocks, and row by row
        for device in (phone, tablet, watch):
            for more in ({}, {"migration": added}, {"migration": filled}, {"replacement": True}):
                whole, paged = both(device, **more)
                assert whole == paged


@pytest.mark.parametrize("octets", [4, 100, 1000, -2, -1, 0, 1])
def test_a_list_that_the_database_cut_is_read_again(account: Account, octets: int) -> None:
    """Nothing is lost to `group_concat_max_len`, wherever it cuts; up to 0: from the end."""
    home = project()
    account.first.push(projects=created(home))
    account.first.pull()
    tasks = [task(home["id"], title=f"}}\n{i}") for i in range(10)]
    account.first.push(tasks=created(*tasks))
    tablet = account.device()
    length = len(
        tablet.ask_pull(None).data.partition(b'"tasks":{"created":[')[2].partition(b"]")[0]
    )
    with cut_at(account.app, octets if octets > 1 else length + octets):
        whole, paged = both(tablet)
        assert whole == paged
        assert tablet.records("tasks") == {t["id"]: bare(t) for t in tasks}
