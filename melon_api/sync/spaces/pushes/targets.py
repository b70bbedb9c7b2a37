"""Into which space a record belongs: that of what it belongs to, or the one that it names
(contract, Spaces 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from melon_api.models.space import CATALOGUE
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.tables import SPACE_ID, SyncedTable, Tables

if TYPE_CHECKING:
    from melon_api.sync.rules.pushed import Move
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.pushes.stored import Stored

# No space: one that the account has left, or that it was never in.
LEFT, UNKNOWN = "", "?"


class Targets:
    """`known`: where what was looked at goes; `moves`: what changes its space."""

    def __init__(self, tables: Tables, atlas: Atlas, stored: Stored) -> None:
        self._tables, self._atlas, self._stored = tables, atlas, stored
        self._locations = stored.locations
        self.known: dict[RecordKey, str] = {}
        self.moves: list[Move] = []

    def of(self, table: SyncedTable, values: dict[str, Any], otherwise: str) -> str:
        """The space of a record with these values; `otherwise`, where they do not say."""
        for parent in table.parents:
            if parent.on_delete != "keep" and (named := values[parent.column]):
                return self._of_parent(parent.table, named, otherwise)
        if not table.names_space:
            return otherwise
        named = values[SPACE_ID]
        if not named:
            return self._atlas.user_id
        if named != CATALOGUE and self._atlas.member(named):
            return str(named)
        return LEFT if any(space.id == named for space in self._atlas.left) else UNKNOWN

    def _of_parent(self, table: str, parent_id: str, otherwise: str) -> str:
        """Of what moves, with all that it descends from; a circle is where it is."""
        climbed: set[RecordKey] = set()
        while (key := (table, parent_id)) not in climbed:
            if key in self.known:
                return self.known[key]
            above = self._tables[table]
            at, spots = (
                self._locations.at(above, parent_id),
                self._locations.spots(above, parent_id),
            )
            if at is None:
                return self._of_unseen(above, parent_id, otherwise)
            climbed.add(key)
            otherwise = at
            if self.moves and spots[at].above:
                table, parent_id = spots[at].above[0]
                self._locations.load(self._tables[table], [parent_id])
        return otherwise

    def _of_unseen(self, table: SyncedTable, parent_id: str, otherwise: str) -> str:
        if dead := self._locations.deleted_at(table, parent_id):
            return dead[0]
        is_lost = parent_id in self._stored.lost.get(table.name, ())
        return LEFT if is_lost or self._locations.spots(table, parent_id) else otherwise
