"""A push as it was sent, taken apart: good records, and what is wrong with the others. Pure."""

from typing import Any

from melon_api.errors import PayloadTooLarge
from melon_api.sync.rules.problems import Place, Problems
from melon_api.sync.rules.pushed import PushedRecord, PushedTable
from melon_api.sync.rules.sanitize import changed_columns, explain, sanitize
from melon_api.sync.rules.tables import ID, SyncedTable, Tables

BAD_ID = ["An id is 1 to 36 of A-Z a-z 0-9 _ . -"]
LISTS = ("created", "updated", "deleted")


def check_size(changes: dict[str, Any], most: int) -> None:
    """Raises PayloadTooLarge for more than `most` records and deletions, or tables."""
    lists = [
        entries
        for content in changes.values()
        if isinstance(content, dict)
        for entries in content.values()
        if isinstance(entries, list)
    ]
    count = max(sum(map(len, lists)), len(changes))
    if count > most:
        raise PayloadTooLarge(f"The push holds {count} records; {most} are the most at once.")


def counts(tables: Tables, changes: dict[str, Any]) -> dict[str, dict[str, int]]:
    """How many entries the lists have, by table; of lists that hold something."""
    found = {}
    for name, content in changes.items():
        if name in tables and isinstance(content, dict):
            lists = {key: content[key] for key in LISTS if isinstance(content.get(key), list)}
            if sizes := {key: len(entries) for key, entries in lists.items() if entries}:
                found[name] = sizes
    return found


def read(tables: Tables, changes: dict[str, Any], problems: Problems) -> list[PushedTable]:
    """The pushed tables, parents first; what is wrong goes to `problems`."""
    for name, content in changes.items():
        if name not in tables:
            _refuse_table(name, content, problems)
    return [
        _read_table(table, _lists(name, changes[name], problems), problems)
        for name, table in tables.items()
        if name in changes
    ]


def _lists(name: str, content: Any, problems: Problems) -> dict[str, list[Any]]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        problems.invalid_table(name, ["Not an object of created, updated, deleted."])
        return {}
    lists = {key: content[key] for key in LISTS if content.get(key) is not None}
    wrong = {key: ["Not a list."] for key, value in lists.items() if not isinstance(value, list)}
    if wrong:
        problems.invalid_table(name, wrong)
    return {key: value for key, value in lists.items() if key not in wrong}


def _refuse_table(name: str, content: Any, problems: Problems) -> None:
    """An unknown table with no changes in it is ignored (contract push 5)."""
    lists = content.values() if isinstance(content, dict) else [content]
    if not any(lists):
        return
    ids = [
        item.get("id") if isinstance(item, dict) else item
        for entries in lists
        if isinstance(entries, list)
        for item in entries
    ]
    problems.unknown_table(name, [i for i in ids if isinstance(i, str)])


def _read_table(table: SyncedTable, lists: dict[str, list[Any]], problems: Problems) -> PushedTable:
    pushed = PushedTable(table)
    for key in ("created", "updated"):
        for index, raw in enumerate(lists.get(key, ())):
            if record := _read_record(table, key, index, raw, problems):
                pushed.records.append(record)
    for index, record_id in enumerate(lists.get("deleted", ())):
        text = record_id if isinstance(record_id, str) else ""
        place = Place(table.name, "deleted", index, text)
        if ID.match(text):
            pushed.deletions.append(place)
        else:
            problems.invalid(place, BAD_ID)
    return pushed


def _read_record(
    table: SyncedTable, key: str, index: int, raw: Any, problems: Problems
) -> PushedRecord | None:
    if not isinstance(raw, dict):
        problems.invalid(Place(table.name, key, index, ""), ["Not an object."])
        return None
    record_id = raw.get("id")
    text = record_id if isinstance(record_id, str) else ""
    values, misfits, repairs = sanitize(table, raw)
    errors = explain(table, values, misfits) if misfits else {}
    if not ID.match(text):
        errors["id"] = BAD_ID
    if errors:
        problems.invalid(Place(table.name, key, index, text), errors)
    if "id" in errors:
        return None
    changed = changed_columns(table, raw)
    return PushedRecord(
        table.name, key, index, text, values, changed, repairs, not repairs, not misfits
    )
