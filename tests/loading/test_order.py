"""What others belong to is stored first."""

import random
from typing import Any

from sqlalchemy import MetaData, Table

from melon_api.loading.batches import Entry
from melon_api.loading.order import parents_first
from melon_api.sync.rules.tables import Parent, SyncedTable, Tables


def table(name: str, *parents: Parent) -> SyncedTable:
    return SyncedTable(name, name, Table(name, MetaData()), (), parents)


FOLDERS = table("folders", Parent("folder_id", "folders", False))
NOTES = table("notes", Parent("folder_id", "folders", True))
TABLES: Tables = {"folders": FOLDERS, "notes": NOTES}


def entry(number: int, name: str, record_id: str, folder_id: Any = None) -> Entry:
    return Entry(number, name, {"id": record_id, "folder_id": folder_id})


def test_parents_come_first_down_a_tree_of_any_depth() -> None:
    chain = [entry(at, "folders", str(at), str(at - 1) if at else None) for at in range(3_000)]
    notes = [entry(3_000 + at, "notes", f"n{at}", str(at)) for at in range(100)]
    mixed = chain + notes
    random.Random(1).shuffle(mixed)
    ordered = parents_first(TABLES, mixed)
    assert ordered[:3_000] == chain
    assert ordered[3_000:] == [one for one in mixed if one.table == "notes"]


def test_a_record_that_comes_twice_stays_in_its_order() -> None:
    twice = [entry(1, "folders", "b", "a"), entry(2, "folders", "a"), entry(3, "folders", "b", "c")]
    assert [one.number for one in parents_first(TABLES, twice)] == [2, 1, 3]


def test_a_circle_or_nonsense_is_left_as_it_came() -> None:
    circle = [entry(1, "folders", "a", "b"), entry(2, "folders", "b", "a")]
    assert parents_first(TABLES, circle) == circle
    odd = [entry(1, "folders", "a", {"no": "id"}), entry(2, "folders", "b", "b")]
    assert parents_first(TABLES, odd) == odd
