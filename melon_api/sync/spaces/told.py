"""What an answer tells, one by one, and how far it has come."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
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


def include(
    told: Iterator[Told], walk: Walk, limit: int | None, changes: ChangesText
) -> Walk | None:
    """Add the next `limit` of them, or all; where the next page begins, None for nowhere."""
    here, room = walk, limit
    some: list[Told] = []
    for one in told:
        if room == 0:
            _add(changes, some)
            return here
        some.append(one)
        if len(some) == ROWS_AT_A_TIME:
            _add(changes, some)
            some = []
        here = replace(walk, part=one.part, table=one.table, after=one.id)
        room = None if room is None else room - 1
    _add(changes, some)
    return None


def _add(changes: ChangesText, some: list[Told]) -> None:
    by_place = sorted(some, key=lambda one: (one.table, one.list))  # stable: parents stay first
    for (table, name), found in groupby(by_place, key=lambda one: (one.table, one.list)):
        texts = [one.text for one in found]
        changes.add(table, name, b",".join(texts), len(texts))
