"""What an answer tells, one by one, and how far it has come."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from math import ceil
from typing import NamedTuple

from melon_api.sync.rules.walk import Walk
from melon_api.sync.sql.changes_text import ChangesText

Key = tuple[int, str]  # of a part
ROWS_AT_A_TIME = 500


class Told(NamedTuple):
    """A record or a deletion of an answer, and where it stands in the walk."""

    part: Key
    table: str
    id: str
    list: str
    text: bytes


def rows_at_a_time(limit: int | None) -> int:
    """Such that the records of a page, and the one that says that it is not the last, are read
    whole."""
    if limit is None:
        return ROWS_AT_A_TIME
    reads = ceil((limit + 1) / ROWS_AT_A_TIME)
    return ceil((limit + 1) / reads)


def include(
    told: Iterator[Told], walk: Walk, limit: int | None, changes: ChangesText
) -> Walk | None:
    """Add the next `limit` of them, or all; where the next page begins, None for nowhere."""
    page = told if limit is None else islice(told, limit)
    last: Told | None = None
    while some := list(islice(page, ROWS_AT_A_TIME)):
        _add(changes, some)
        last = some[-1]
    if limit is None or last is None or next(told, None) is None:
        return None
    return replace(walk, part=last.part, table=last.table, after=last.id)


def _add(changes: ChangesText, some: list[Told]) -> None:
    by_place = sorted(some, key=lambda one: (one.table, one.list))  # stable: parents stay first
    for (table, name), found in groupby(by_place, key=lambda one: (one.table, one.list)):
        texts = [one.text for one in found]
        changes.add(table, name, b",".join(texts), len(texts))
