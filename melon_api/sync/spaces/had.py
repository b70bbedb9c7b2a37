"""What a device has had of a record, in whichever space that was: then it is `updated` where it is
now (contract, Spaces 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from melon_api.sync.rules.history import RecordKey
from melon_api.sync.sql import adoptions

if TYPE_CHECKING:
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.locations import Spot


class Had:
    """Of a device that has pulled at the atlas's T."""

    def __init__(self, connection: Connection, atlas: Atlas, device: int) -> None:
        self._connection, self._atlas, self._device = connection, atlas, device
        self._noted: dict[str, frozenset[RecordKey]] = {}

    def noted(self, space: str, since: int) -> frozenset[RecordKey]:
        """Of a space since a clock of it (ms), what its rows do not say (sql/adoptions.py)."""
        if space not in self._noted:
            self._noted[space] = adoptions.read(self._connection, space, self._device, since)
        return self._noted[space]

    def elsewhere(self, key: RecordKey, spots: Mapping[str, Spot], space: str) -> bool:
        """Whether it has had a record in another space, and was not told that it is gone there."""
        return any(self.at(key, name, spot) for name, spot in spots.items() if name != space)

    def at(self, key: RecordKey, space: str, spot: Spot) -> bool:
        """Whether it has had the record of this space, and was not told that it is gone there."""
        since = self._atlas.since_in(space)
        is_told = since is not None and spot.is_deleted and spot.updated <= since
        is_over = spot.created <= (self._atlas.told_until(space) or 0)
        if is_told or is_over:
            return False
        is_known = since is not None and spot.created <= since
        return is_known or spot.created_by == self._device or key in self.noted(space, since or 0)
