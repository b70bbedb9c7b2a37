"""What the devices of the stories push: mostly sound, sometimes to be put right or refused.

Made from one number each, not from choices of hypothesis: those would fill its buffer, and it would
repeat much and try little.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from model import SCHEMA, Record, Values

LISTS = ("created", "updated", "deleted")
# Few, so that stories collide.
IDS = {"projects": ["p0", "p1", "p2", "p3"], "tasks": ["t0", "t1", "t2", "t3"]}
BEGINNING = {
    "projects": {"created": [{"id": "p0"}, {"id": "p1", "name": "a"}]},
    "tasks": {"created": [{"id": "t0", "project_id": "p0"}, {"id": "t1", "project_id": "p1"}]},
}
LONG = "x" * 256
TEXTS = ["a", "b", "ü📷"] * 9 + ["", None, 5, LONG]
NOTES = ["a", "b", ""] * 3 + [None, None, 7]
MOMENTS = [0, 1, 2.5, 1_700_000_000_001] * 5 + ["soon", None]
COLUMNS: dict[str, dict[str, list[Any]]] = {
    "projects": {"name": TEXTS, "description": NOTES, "created_at": MOMENTS, "updated_at": MOMENTS},
    "tasks": {
        "title": TEXTS,
        "description": NOTES,
        "is_completed": [True, False] * 6 + [1, None, "true"],
        "project_id": IDS["projects"] * 9 + ["nobody", "", None],
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
    },
}
# What `_changed` says. NAMED: the edited columns, as the stock client does; ABSENT: no such key.
NAMED, ABSENT = "named", "absent"
CHANGED = [NAMED] * 8 + [ABSENT] * 2 + ["", "", "nonsense", "id", ",", 7, None, ["name"]]
DRAFTS = [{"created": []}, {"created": [{"id": "d0"}], "deleted": ["d1"]}]  # an unknown table


@dataclass(frozen=True)
class Item:
    """A change of a record, before the device's own copy of it is known."""

    list: str
    id: str
    edit: Values
    changed: Any
    whole: bool  # with all columns, as the stock client; or as an older app, the edited ones alone
    extra: bool  # with a column that the server does not know

    def raw(self, table: str, record: Record | None, since: int) -> Any:
        """As pushed: the edit of what the device knew at the tick `since`, or else knows now."""
        if self.list == "deleted":
            return self.id
        base = (record.at(since) or record.values if record else None) or SCHEMA[table]
        raw = {"id": self.id, "_status": self.list, **(base if self.whole else {}), **self.edit}
        if self.extra:
            raw["colour"] = "red"
        if self.changed == NAMED:
            raw["_changed"] = ",".join([*self.edit, "nonsense"])
        elif self.changed != ABSENT:
            raw["_changed"] = self.changed
        return raw


@dataclass(frozen=True)
class Content:
    """What a device has to push; `drafts`: changes of a table that the server does not know."""

    tables: dict[str, list[Item]]
    drafts: Values | None

    def changes(self, record: Callable[[str, str], Record | None], since: int) -> Values:
        """The body's `changes`."""
        changes: Values = {table: {name: [] for name in LISTS} for table in self.tables}
        for table, items in self.tables.items():
            for item in items:
                raw = item.raw(table, record(table, item.id), since)
                changes[table][item.list].append(raw)
        return changes | ({"drafts": self.drafts} if self.drafts else {})


def content(number: int) -> Content:
    """The content that belongs to a number; the same for ever."""
    chance = Random(number)
    tables = {table: _items(chance, table) for table in SCHEMA}
    return Content(tables, chance.choice(DRAFTS) if _once_in(chance, 16) else None)


def _items(chance: Random, table: str) -> list[Item]:
    ids = chance.sample(IDS[table], chance.choice([0, 1, 1, 2, 3]))
    if _once_in(chance, 40):
        ids.append("no id!")
    return [_item(chance, table, id) for id in ids]


def _item(chance: Random, table: str, id: str) -> Item:
    edited = [name for name in COLUMNS[table] if _once_in(chance, 3)]
    return Item(
        list="deleted" if _once_in(chance, 8) else chance.choice(["created", "updated", "updated"]),
        id=id,
        edit={name: chance.choice(COLUMNS[table][name]) for name in edited},
        changed=chance.choice(CHANGED),
        whole=not _once_in(chance, 7),
        extra=_once_in(chance, 16),
    )


def _once_in(chance: Random, times: int) -> bool:
    return chance.randrange(times) == 0
