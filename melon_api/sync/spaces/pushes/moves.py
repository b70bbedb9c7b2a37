"""A record that changes its space takes along what descends from it (contract, Spaces 4): for the
space it leaves a deletion, for the other a creation, in one push."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.problems import Place, Problems
from melon_api.sync.rules.pushed import Move, PushedRecord, PushedTable
from melon_api.sync.rules.tables import SPACE_ID, SyncedTable, Tables
from melon_api.sync.sql import rows
from melon_api.sync.sql.rows import IDS_PER_STATEMENT

if TYPE_CHECKING:
    from melon_api.sync.spaces.pushes.sorting import Sorter

Way = tuple[str, str]  # from a space, to a space


class Moved:
    """What moves on each way, and what of it is not pushed itself."""

    def __init__(self, connection: Connection, tables: Tables, sorter: Sorter) -> None:
        self._sorter = sorter
        self._ways: dict[Way, list[Move]] = {}
        for move in sorter.targets.moves:
            self._ways.setdefault((move.origin, move.target), []).append(move)
        self._below = {
            way: list(_descendants(connection, tables, sorter, *way, moves))
            for way, moves in self._ways.items()
        }

    def __bool__(self) -> bool:
        """Whether anything moves."""
        return bool(self._ways)

    def taken(self) -> set[RecordKey]:
        """The pushed moves that cannot be, as a record on their way meets another one of its id:
        the two may not be mixed, nor may a descendant lose what it belongs to."""
        ways = (w for w in self._ways if w in self._sorter.taken or self._is_taken(w))
        return {move.key for way in ways for move in self._ways[way]}

    def refused(self, problems: Problems, before: Problems) -> dict[RecordKey, Place]:
        """The pushed moves that cannot be, as something that moves is refused where it arrives,
        and was not before; each with the place of what was."""
        found: dict[RecordKey, Place] = {}
        for way, moves in self._ways.items():
            for one in (*moves, *self._below[way]):
                if problems.is_rejected(*one.key) and not before.is_rejected(*one.key):
                    found |= dict.fromkeys((move.key for move in moves), one.record.place)
        return found

    def apply(self) -> dict[str, dict[RecordKey, frozenset[str]]]:
        """Add it to what is pushed into each space; which records arrive there."""
        arrivals: dict[str, dict[RecordKey, frozenset[str]]] = {}
        for way, moves in self._ways.items():
            for move in (*moves, *self._below[way]):
                _part(self._sorter, move.origin, move.table).deletions.append(move.record.place)
                _part(self._sorter, move.target, move.table).records.append(move.record)
                arrivals.setdefault(move.target, {})[move.key] = move.same
        return arrivals

    def _is_taken(self, way: Way) -> bool:
        return _is_taken(self._sorter, way[1], self._below[way])


def _part(sorter: Sorter, space: str, table: SyncedTable) -> PushedTable:
    return sorter.kept.setdefault(space, {}).setdefault(table.name, PushedTable(table))


def _is_taken(sorter: Sorter, target: str, below: list[Move]) -> bool:
    """Whether the other space has a record of one of these ids: then nothing moves, as the two may
    not be mixed, nor may a descendant lose what it belongs to."""
    for move in below:
        sorter.locations.load(move.table, [move.record.id])
        spot = sorter.locations.spots(move.table, move.record.id).get(target)
        if spot is not None and not spot.is_deleted:
            return True
    return False


def _descendants(
    connection: Connection,
    tables: Tables,
    sorter: Sorter,
    origin: str,
    target: str,
    moves: list[Move],
) -> Iterator[Move]:
    """What was not pushed itself, parents before children."""
    moved: dict[str, set[str]] = {}
    for move in moves:
        moved.setdefault(move.table.name, set()).add(move.record.id)
    for table in tables.values():
        if table.reach != reaches.SHARED:
            continue
        found = _below(connection, table, sorter, origin, moved)
        if not found:
            continue
        moved.setdefault(table.name, set()).update(found)
        stored = rows.read_rows(connection, tables, origin, {table.name: found})
        for row in stored[table.name].values():
            named = None if target == sorter.owner else target
            values = row.values | ({SPACE_ID: named} if table.names_space else {})
            place = Place(table.name, "updated", 0, row.id)
            as_sent = not table.names_space  # else the phone is told of the other space
            record = PushedRecord(*_at(place), values, None, (), as_sent, True)
            yield Move(table, record, origin, target, frozenset(p.column for p in table.parents))


def _at(place: Place) -> tuple[str, str, int, str]:
    return place.table, place.list, place.index, place.id


def _below(
    connection: Connection,
    table: SyncedTable,
    sorter: Sorter,
    origin: str,
    moved: dict[str, set[str]],
) -> set[str]:
    """The living records of a table that belong to those that moved; down a tree to any depth."""
    ways = [parent for parent in table.parents if parent.on_delete == "cascade"]
    found: set[str] = set()
    news = {parent.table: list(moved.get(parent.table, ())) for parent in ways}
    while any(news.values()):
        here: set[str] = set()
        for parent in ways:
            above = news[parent.table]
            for start in range(0, len(above), IDS_PER_STATEMENT):
                some = above[start : start + IDS_PER_STATEMENT]
                here |= set(_children(connection, table, parent.column, origin, some))
        own = sorter.targets.known.keys() - sorter.unchanged  # which go where they are told
        here = {i for i in here - found if (table.name, i) not in own}
        here -= moved.get(table.name, set())
        found |= here
        news = {parent.table: list(here) if parent.table == table.name else [] for parent in ways}
    return found


def _children(
    connection: Connection, table: SyncedTable, column: str, origin: str, above: list[str]
) -> Iterator[str]:
    c = table.table.c
    query = select(c.id).where(c.user_id == origin, c.is_deleted.is_(False))
    yield from connection.scalars(query.where(table.column(column).in_(above)))
