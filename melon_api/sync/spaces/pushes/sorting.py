"""Which of what is pushed belongs into which space, and what may not be stored (contract, Spaces 1,
2, 4 and 5). Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from melon_api.errors import Forbidden, IdTaken
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.problems import Kind, Place, Problems
from melon_api.sync.rules.pushed import Move, PushedRecord, PushedTable, parents_first
from melon_api.sync.rules.sanitize import empty_values
from melon_api.sync.rules.tables import SPACE_ID, Row, SyncedTable, Tables
from melon_api.sync.spaces.pushes.targets import LEFT, UNKNOWN, Targets

if TYPE_CHECKING:
    from melon_api.sync.rules.merge import Merge
    from melon_api.sync.spaces.atlas import Atlas
    from melon_api.sync.spaces.pushes.stored import Stored


class Sorter:
    """`judge`: a merge of a space that says what an edit makes of a row there.

    Afterwards `kept` has what goes into which space, `moves` what changes it, `retold` what is told
    again; what is wrong is among the problems."""

    def __init__(
        self,
        tables: Tables,
        atlas: Atlas,
        stored: Stored,
        problems: Problems,
        judge: Callable[[str], Merge],
        barred: Mapping[RecordKey, Kind],
    ) -> None:
        self._tables, self._atlas = tables, atlas
        self._problems, self._judge = problems, judge
        self._stored, self.locations = stored, stored.locations
        self._history = judge(atlas.user_id).history
        self.targets = Targets(tables, atlas, stored)
        self.kept: dict[str, dict[str, PushedTable]] = {}
        self.retold: set[RecordKey] = set()
        self.unchanged: set[RecordKey] = set()
        self.barred = barred  # moves that cannot be, and why
        self.taken: set[tuple[str, str]] = set()  # ways on which an id met another record
        self.hides = False  # something has the id of a record in another space, which may turn

    def sort(self, pushed: list[PushedTable]) -> None:
        self._stored.load([part for part in pushed if part.table.reach == reaches.SHARED])
        for part in pushed:
            if part.table.reach == reaches.OWN:
                self._part(self._atlas.user_id, part.table).records.extend(part.records)
                self._part(self._atlas.user_id, part.table).deletions.extend(part.deletions)
            elif part.table.reach == reaches.CATALOGUE:
                for place in [*(record.place for record in part.records), *part.deletions]:
                    self.withhold(place, Forbidden)
            else:
                for record in parents_first(part):
                    self._record(part.table, record)
                for place in part.deletions:
                    self._deletion(part.table, place)

    @property
    def owner(self) -> str:
        return self._atlas.user_id

    def withhold(self, place: Place, kind: Kind) -> None:
        """Not stored, and told again."""
        self._problems.withhold(place, kind)
        self.retold.add((place.table, place.id))

    def may_write(self, space: str) -> bool:
        if space == self._atlas.user_id:
            return True
        member = self._atlas.member(space)
        return member is not None and member.may_write

    # --- records

    def _record(self, table: SyncedTable, record: PushedRecord) -> None:
        at = self.locations.at(table, record.id)
        if at is None or self._is_another(table, record, at):
            self._unseen(table, record)
        elif self._stored.is_mistaken(table, record.id, at, self._history):
            self._place(table, record.id, at)
            self.withhold(record.place, IdTaken)
        else:
            self._seen(table, record, at, self._stored.rows[at][table.name][record.id])

    def _is_another(self, table: SyncedTable, record: PushedRecord, at: str) -> bool:
        """Whether a creation is not of the record of its id that the account sees in another space,
        which the device has never had: ids belong to a space (contract, push 11)."""
        if record.list != "created":
            return False
        spot = self.locations.spots(table, record.id)[at]
        has_had = self._judge(at).history.has_had(table.name, record.id, *spot[:2])
        values = {**empty_values(table), **record.values}
        return not has_had and self.targets.of(table, values, self._atlas.user_id) != at

    def _seen(self, table: SyncedTable, record: PushedRecord, at: str, row: Row) -> None:
        """One that the account sees in the space `at`."""
        key = self._place(table, record.id, at)
        values: dict[str, Any] | None = {**row.values, **record.values}
        target = self.targets.of(table, row.values | record.values, at)
        if target != at:
            values = self._judge(at).decide(table, row, record)
            target = at if values is None else self.targets.of(table, values, at)
        spot = self.locations.spots(table, record.id).get(target)
        if values is None:  # as it is it moves with what it belongs to
            self.targets.known[key] = self.targets.of(table, row.values, at)
            self.unchanged.add(key)
            self._problems.conflict(record.place)
        elif target == UNKNOWN:
            self._problems.unknown_space(record.place, SPACE_ID, values[SPACE_ID])
        elif not self.may_write(at) or not self.may_write(target):
            if target != at or values != row.values:
                self.withhold(record.place, Forbidden)
        elif target == at:
            self._keep(at, table, record)
        elif not record.fits:  # which is noted; as it is it moves with what it belongs to
            self.targets.known[key] = self.targets.of(table, row.values, at)
            self.unchanged.add(key)
        elif key in self.barred:
            self.withhold(record.place, self.barred[key])
        elif spot is not None and not spot.is_deleted:
            self.withhold(record.place, IdTaken)
            self.taken.add((at, target))
        else:
            self.targets.known[key] = target
            moved = replace(self._settled(target, table, record, values), changed=None)
            same = (p.column for p in table.parents if values[p.column] == row.values[p.column])
            self.targets.moves.append(Move(table, moved, at, target, frozenset(same)))

    def _unseen(self, table: SyncedTable, record: PushedRecord) -> None:
        """One that is new, deleted, or of no space of the account's."""
        values = {**empty_values(table), **record.values}
        target = self.targets.of(table, values, self._atlas.user_id)
        key = self._place(table, record.id, target)
        spots = self.locations.spots(table, record.id)
        if target == UNKNOWN:
            self.targets.known[key] = self._atlas.user_id
            self._problems.unknown_space(record.place, SPACE_ID, values[SPACE_ID])
            return
        dead, is_left, is_known = self._gone(table, record.id)
        # Also a creation that is repeated, its answer lost, is of the record that it made.
        is_edit = (record.list == "updated" or is_known) and target not in spots
        if is_edit and dead and not is_left:
            target = self.targets.known[key] = dead[0]  # the deletion wins
        elif target in spots and not spots[target].is_deleted:
            self.targets.known[key] = LEFT
            self.withhold(record.place, IdTaken)
            return
        is_lost = is_left or (is_edit and bool(spots) and not dead)
        if is_lost or not self.may_write(target):
            self.targets.known[key] = LEFT
            self._refuse_unseen(table, record, values)
        else:
            self._keep(target, table, record)

    def _gone(self, table: SyncedTable, record_id: str) -> tuple[list[str], bool, bool]:
        """Of an id that the account sees nowhere: where it is deleted, whether the device means one
        that lives in a space which the account has left, and whether it means one at all."""
        spots = self.locations.spots(table, record_id)
        dead = self.locations.deleted_at(table, record_id)
        known = self._stored.left_with(table, record_id, self._history.session)
        is_left = any(not spots[space].is_deleted for space in known)
        return [s for s in dead if s in known or not known], is_left, bool(known)

    def _refuse_unseen(
        self, table: SyncedTable, record: PushedRecord, values: dict[str, Any]
    ) -> None:
        """What is new under a parent that was not stored is stored as deleted, so to say: told so,
        and no more (contract push 4)."""
        is_new = not self.locations.spots(table, record.id)
        above = [(p.table, values[p.column]) for p in table.parents if values[p.column]]
        known, lost = self.targets.known, self._stored.lost
        if is_new and any(known.get(k) == LEFT or k[1] in lost.get(k[0], ()) for k in above):
            self.retold.add((table.name, record.id))
        else:
            self.withhold(record.place, Forbidden)

    def _deletion(self, table: SyncedTable, place: Place) -> None:
        at = self.locations.at(table, place.id)
        if at is None:
            dead, is_left, _ = self._gone(table, place.id)
            if is_left or (self.locations.spots(table, place.id) and not dead):
                self._place(table, place.id, LEFT)
                self.withhold(place, Forbidden)
                return
            at = dead[0] if dead else self._atlas.user_id
        elif self._stored.is_mistaken(table, place.id, at, self._history):
            self._place(table, place.id, at)
            self.withhold(place, IdTaken)
            return
        elif not self.may_write(at):
            self._place(table, place.id, at)
            self.withhold(place, Forbidden)
            return
        self._place(table, place.id, at)
        self._part(at, table).deletions.append(place)

    def _place(self, table: SyncedTable, record_id: str, space: str) -> RecordKey:
        at, spots = self.locations.at(table, record_id), self.locations.spots(table, record_id)
        others = (spot for name, spot in spots.items() if name != at)
        self.hides = self.hides or not all(spot.is_deleted for spot in others)
        self.targets.known[table.name, record_id] = space
        return table.name, record_id

    def _part(self, space: str, table: SyncedTable) -> PushedTable:
        of_space = self.kept.setdefault(space, {})
        return of_space.setdefault(table.name, PushedTable(table))

    def _keep(self, space: str, table: SyncedTable, record: PushedRecord) -> None:
        record = self._settled(space, table, record, record.values)
        self._part(space, table).records.append(record)

    def _settled(
        self, space: str, table: SyncedTable, record: PushedRecord, values: dict[str, Any]
    ) -> PushedRecord:
        """With these values, which name the space that it is in."""
        if not table.names_space:
            return replace(record, values=values)
        named = None if space == self._atlas.user_id else space
        is_same = record.values.get(SPACE_ID, named) == named
        as_sent = record.as_sent and is_same
        return replace(record, values=values | {SPACE_ID: named}, as_sent=as_sent)
