"""What each account may see, by the contract's section Spaces, read from the tables alone."""

from collections import defaultdict
from typing import Any

from flask import Flask
from sqlalchemy import select
from stock_phone import Raw, Wrong

from melon_api.models.base import db
from melon_api.models.space import CATALOGUE, Membership

PARENTS = {"tasks": "projects", "steps": "tasks", "folders": "folders"}
ROOTS = ("projects", "folders")  # which name their space
TABLES = ("projects", "tasks", "steps", "folders", "diaries", "templates")
INTERNAL = {
    *("user_id", "created_at_ms", "created_by", "updated_at_ms", "updated_by"),
    *("rival_at_ms", "is_deleted"),
}
Key = tuple[str, str]  # table and id
Seen = dict[tuple[str, str, str], Raw]  # by space, table and id: rows, tombstones too


class Oracle:
    def __init__(self, app: Flask) -> None:
        self.app = app

    def rows(self, query: Any) -> list[Raw]:
        with self.app.app_context(), db.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def read(self) -> Seen:
        tables = db.metadata.tables
        return {
            (row["user_id"], name, row["id"]): row
            for name in TABLES
            for row in self.rows(select(tables[name]))
        }

    def ids(self, table: str, start: str) -> list[str]:
        id = db.metadata.tables[table].c.id
        return sorted({row["id"] for row in self.rows(select(id).where(id.startswith(start)))})

    def memberships(self, account: str) -> list[Raw]:
        """Those that last, as the account has joined them."""
        row = Membership.__table__.c
        mine = select(Membership.__table__).where(row.user_id == account, row.left_tick.is_(None))
        return self.rows(mine.order_by(row.joined_tick))

    def roles(self, account: str) -> dict[str, str]:
        return {row["space_id"]: row["role"] for row in self.memberships(account)}

    def rows_of(self, space: str) -> list[Any]:
        return [key for key in self.read() if key[0] == space]

    def seen(self, account: str, *, is_whole: bool = True) -> dict[Key, list[Raw]]:
        """By table and id, the record as it is pulled; without `is_whole` all records of its
        spaces, hidden ones too, which a page may hold that was begun before they were."""
        spaces = [account, *(row["space_id"] for row in self.memberships(account)), CATALOGUE]
        rows = self.read()
        found: dict[Key, list[tuple[str, Raw]]] = defaultdict(list)
        for space in spaces:
            for (where, table, id), row in rows.items():
                if where == space and not row["is_deleted"]:
                    found[table, id].append((space, row))
        if not is_whole:
            return {key: [pulled(row, account) for _, row in all_] for key, all_ in found.items()}
        visible: dict[Key, tuple[str, Raw]] = {}
        for table in TABLES:
            for key, ((space, row), *_) in found.items():
                if table == key[0] == PARENTS.get(table):
                    is_seen = space == account or is_in_tree(found, space, key)
                else:
                    is_seen = key[0] == table and self._is_below_seen(visible, space, table, row)
                if is_seen:
                    visible[key] = space, row
        return {key: [pulled(row, account)] for key, (_, row) in visible.items()}

    def _is_below_seen(
        self, visible: dict[Key, tuple[str, Raw]], space: str, table: str, row: Raw
    ) -> bool:
        if table not in PARENTS:
            return True
        above = visible.get(above_of(table, row))
        return above is not None and above[0] == space

    def places(
        self, rows: Seen, key: Key, spaces: dict[str, str], *, living: bool = True
    ) -> list[str]:
        """The spaces, of these, that hold such a record."""
        found = [space for space in spaces if (space, *key) in rows]
        return [space for space in found if rows[space, *key]["is_deleted"] != living]

    def would_meet(self, rows: Seen, key: Key, space: str, target: str) -> bool:
        """Whether what descends from this record would meet another one of its id there."""
        below, news = {key}, {key}
        while news:
            news = {
                (name, id)
                for (where, name, id), row in rows.items()
                if where == space and name in PARENTS and above_of(name, row) in below
            } - below
            below |= news
        return any(
            not rows.get((target, *one), {"is_deleted": True})["is_deleted"] for one in below
        )

    def check_untouched(self, before: Seen, after: Seen, account: str) -> None:
        """A push writes nowhere but where its account may."""
        roles = self.roles(account)
        for key in before.keys() | after.keys():
            may = key[0] == account or roles.get(key[0]) in ("owner", "editor")
            if not may and before.get(key) != after.get(key):
                raise Wrong(f"{account} wrote {key}: {before.get(key)}, now {after.get(key)}")


def above_of(table: str, record: Raw) -> Key:
    """What it belongs to."""
    return PARENTS[table], record[f"{PARENTS[table][:-1]}_id"]


def is_in_tree(found: dict[Key, list[tuple[str, Raw]]], space: str, key: Key) -> bool:
    """Whether nothing above it in its space is hidden; in a circle nothing is above."""
    climbed: set[Key] = set()
    while key not in climbed:
        climbed.add(key)
        here = [row for where, row in found.get(key, ()) if where == space]
        if not here:
            return True  # what is gone hides nothing
        if found[key][0][0] != space:
            return False
        key = above_of(key[0], here[0])
    return True


def pulled(row: Raw, account: str) -> Raw:
    """As the wire has it."""
    record = {name: value for name, value in row.items() if name not in INTERNAL}
    if "space_id" in record:
        record["space_id"] = None if row["user_id"] == account else row["user_id"]
    return record
