"""Examples of the calls of `/sync`, of the tables that this server has: made from the models when
the description is. The words are the views' docstrings."""

from dataclasses import replace
from typing import Any

from sqlalchemy import MetaData, Table

from melon_api.errors import UnknownParent
from melon_api.sync.discovery import synced_tables
from melon_api.sync.docs.schemas import pull_answer_schema, push_schemas, verify_schema
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.checksum import table_checksum
from melon_api.sync.rules.kinds.texts import String
from melon_api.sync.rules.tables import SPACE_ID, Column, SyncedTable
from melon_api.sync.schemas import PullQuerySchema, PullSchema, PushAnswerSchema, PushQuerySchema
from melon_api.web.openapi.call import Call, Example, Problem

NOW = 1_700_000_000_000  # an account's clock
LONG_AGO = 1_000_000_000_000  # before any account was
KEPT_WHOLE = "Some records cannot be kept whole; nothing was stored."
AS_ASKED = {"last_pulled_at": "null", "schema_version": "1", "migration": "null"}
NO_TIME = {"lastPulledAt": ["A time in ms since the epoch is needed, or null."]}
NO_CURSOR = {"cursor": ["This server did not make it for this account."]}
NOTES = SyncedTable(
    "notes", "Note", Table("notes", MetaData()), (Column("title", String(255), False),), ()
)
NO = "What the rule says to the person."
NO_TABLE = ["There is no such table."]
Words = dict[str, Any]  # requests, answers and problems of a Call


def calls() -> dict[str, Call]:
    """By the name of the view. Of an app without tables there are no examples."""
    tables = synced_tables()
    answer = pull_answer_schema(tables)
    found = {
        "pull": Call(asks=PullQuerySchema, takes=(PullSchema,), gives=answer),
        "pull_by_query": Call(asks=PullQuerySchema, query=AS_ASKED, gives=answer),
        "push": Call(asks=PushQuerySchema, takes=push_schemas(tables), gives=PushAnswerSchema),
        "verify": Call(takes=(verify_schema(tables),)),
    }
    if not tables:
        return found
    told = {
        "pull": _pull(),
        "pull_by_query": _pull_by_query(),
        "push": _push(),
        "verify": _verify(),
    }
    return {name: replace(call, **told[name]) for name, call in found.items()}


def records() -> dict[str, list[dict[str, Any]]]:
    """A record of each table, as it is pulled."""
    return {name: [record(table)] for name, table in synced_tables().items()}


def record(table: SyncedTable) -> dict[str, Any]:
    """One that belongs to those of the other tables, where it must."""
    parents = {parent.column: parent for parent in table.parents}
    found: dict[str, Any] = {"id": f"{table.name}_1"}
    for column in table.columns:
        if (parent := parents.get(column.name)) is not None:
            found[column.name] = f"{parent.table}_1" if parent.required else None
        else:
            found[column.name] = column.kind.sample(column.name)
    times = {"created_at", "updated_at"} & table.column_names
    return found | dict.fromkeys(times, NOW)


def _lists(created: Any = (), updated: Any = (), deleted: Any = ()) -> dict[str, Any]:
    return {"created": [*created], "updated": [*updated], "deleted": [*deleted]}


def _all() -> dict[str, Any]:
    return {name: _lists(created=found) for name, found in records().items()}


def _last() -> SyncedTable:
    """A table that others do not belong to; while there is none, one as it may be."""
    return [NOTES, *synced_tables().values()][-1]


def _pull() -> Words:
    added = {"table": _last().name, "columns": [_last().columns[0].name]}
    migration = {"from": 1, "tables": [], "columns": [added]}
    first: dict[str, Any] = {"lastPulledAt": None, "schemaVersion": 1, "migration": None}
    later = first | {"lastPulledAt": NOW}
    migrated = later | {"schemaVersion": 2, "migration": migration}
    bodies = {
        "first": Example("A first sync", first),
        "next": Example("What is new", later),
        "migrated": Example("After a migration", migrated),
        "paged": Example("A first page", first | {"limit": 1000}),
    }
    wrong = Problem({"lastPulledAt": "yesterday"}, NO_TIME)
    return {
        "requests": bodies,
        "answers": _pulled(),
        "problems": {
            "validation_failed": wrong,
            "foreign_clock": Problem(first | {"lastPulledAt": LONG_AGO}),
        },
    }


def _pull_by_query() -> Words:
    wrong = Problem(errors=NO_CURSOR)
    return {
        "answers": _pulled(),
        "problems": {"validation_failed": wrong, "foreign_clock": Problem()},
    }


def _push() -> Words:
    return {"requests": _pushes(), "answers": _pushed(), "problems": _refusals()}


def _pulled() -> dict[str, Example]:
    nothing = {name: _lists() for name in synced_tables()}
    return {
        "first": Example("A first sync", {"changes": _all(), "timestamp": NOW}),
        "idle": Example("Nothing new", {"changes": nothing, "timestamp": NOW}),
        "paged": Example("The last page", {"changes": _all(), "timestamp": NOW, "cursor": None}),
    }


def _pushes() -> dict[str, Example]:
    edited = record(_last()) | {"_status": "updated", "_changed": "updated_at"}
    edit = {_last().name: _lists(updated=[edited])}
    gone = {_last().name: _lists(deleted=[f"{_last().name}_1"])}
    found = {
        "created": Example("New records", {"changes": _all(), "lastPulledAt": None}),
        "updated": Example("An edit", {"changes": edit, "lastPulledAt": NOW}),
        "deleted": Example("A deletion", {"changes": gone, "lastPulledAt": NOW, "pushNumber": 7}),
        "alone": Example("The changes alone", edit, {"last_pulled_at": str(NOW)}),
    }
    for table, changes, _ in _orphans():
        whole = {"changes": changes, "lastPulledAt": NOW, "allowPartial": True}
        found["partial"] = Example(f"As much as can be stored, of {table}", whole)
    return found


def _pushed() -> dict[str, Example]:
    found = {
        "current": Example("This device is up to date", {"timestamp": NOW}),
        "behind": Example("There is something to pull", {"timestamp": None}),
    }
    for table, changes, errors in _orphans():
        ids = {table: [changes[table]["created"][0]["id"]]}
        codes = {table: dict.fromkeys(ids[table], UnknownParent.code)}
        partial = {"experimentalRejectedIds": ids, "rejected": codes, "errors": errors}
        found["partial"] = Example("Not all could be stored", {"timestamp": None} | partial)
    return found


def _refusals() -> dict[str, Problem]:
    table, unknown = _last(), {"no_such_table": _lists(created=[{"id": "x"}])}
    nameless = {table.name: _lists(created=[record(table) | {"id": "no spaces"}])}
    places = {"changes": {table.name: {"created": {"0": {"id": BAD_ID}}}}}
    again = record(table) | {"_status": "created", "_changed": ""}
    stale = {"changes": {table.name: _lists(created=[again])}, "lastPulledAt": None}
    late = {"changes": {}, "lastPulledAt": NOW, "pushNumber": 6}
    found = {
        "sync_conflict": Problem(stale, {table.name: [again["id"]]}),
        "push_outdated": Problem(late, {"pushNumber": 7}),
        "validation_failed": Problem({"changes": nameless}, places, KEPT_WHOLE),
        "unknown_table": Problem({"changes": unknown}, {"changes": {"no_such_table": NO_TABLE}}),
    }
    new = {table.name: _lists(created=[record(table) | {"id": "new"}])}
    said = {table.name: {"created": {"0": {table.columns[0].name: [NO]}}}}
    found["refused"] = Problem({"changes": new}, {"changes": said})
    for _, changes, errors in _orphans():
        found["unknown_parent"] = Problem({"changes": changes}, errors)
    for shared in synced_tables().values():
        if shared.names_space:
            there = {shared.name: _lists(created=[record(shared) | {SPACE_ID: "not-yet"}])}
            where = {"0": {SPACE_ID: ["You are in no space 'not-yet'."]}}
            errors = {"changes": {shared.name: {"created": where}}}
            found["unknown_space"] = Problem({"changes": there}, errors)
    return found


def _orphans() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(table, changes, errors) of one record without its parent; none where no table has any."""
    for table in synced_tables().values():
        for parent in table.parents:
            orphan = record(table) | {"id": "orphan", parent.column: "unknown"}
            said = {parent.column: [f"No record 'unknown' in {parent.table}."]}
            errors = {"changes": {table.name: {"created": {"0": said}}}}
            return [(table.name, {table.name: _lists(created=[orphan])}, errors)]
    return []


def _verify() -> Words:
    table, columns = _last(), [column.name for column in _last().columns]
    count, checksum = table_checksum([record(table)], table.columns)
    held = {"columns": columns, "count": count, "checksum": checksum}
    found = {"count": count, "checksum": checksum, "identical": True}
    same = {"identical": True, "timestamp": NOW, "tables": {table.name: found}}
    asked = {"lastPulledAt": NOW}
    wrong = Problem(
        asked | {"tables": {"no_such_table": held | {"columns": []}}},
        {"tables": {"no_such_table": NO_TABLE}},
    )
    changed = same | {"identical": None, "tables": {}}
    return {
        "requests": {"held": Example("One record", asked | {"tables": {table.name: held}})},
        "answers": {
            "same": Example("The same", same),
            "behind": Example("Something has changed since", changed),
        },
        "problems": {"validation_failed": wrong},
    }
