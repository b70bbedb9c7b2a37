"""What `/docs` says of the calls of `/sync`. The examples are of the tables that this server has:
they are made from the models."""

from typing import Any

from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.checksum import table_checksum
from melon_api.sync.rules.tables import Column, SyncedTable
from melon_api.web.openapi.calls import Call, Example
from melon_api.web.openapi.problems import USUAL, Problem

NOW = 1_700_000_000_000  # an account's clock
INVALID = "Some of it is not valid."
CONFLICT = USUAL["sync_conflict"].detail
NOT_STORED = USUAL["unknown_table"].detail
KEPT_WHOLE = "Some records cannot be kept whole; nothing was stored."
NO_TIME = {"lastPulledAt": ["A time in ms since the epoch is needed, or null."]}
NO_CURSOR = {"cursor": ["This server did not make it for this account."]}
NO_TABLE = ["There is no such table."]
PULL = """\
What has changed since `lastPulledAt`, by table. A record is under exactly one of `created` (new to
this device), `updated` (it has had it) and `deleted` (ids). Hand the answer's `timestamp` back as
the next `lastPulledAt`: no change is missed, none is repeated. Without one, or with null or 0, all
living records come under `created` (contract, pull 1 to 3).

- `migration` adds the records of tables and columns that the app has just got (pull 5).
- With `limit` the answer comes in pages: send its `cursor` for the next one, until it is null
(pull 6). What the body has may stand in the query as well; the body counts first.
- `"experimentalStrategy": "replacement"` says that the answer is the full set: deletions as old
as `lastPulledAt` are forgotten (pull 7)."""
BY_QUERY = """\
The same as `POST /sync/pull`, asked as the snippet in WatermelonDB's docs does. On a first sync
it sends the words `null` and `undefined`, which count as none."""
PUSH = """\
Stores what this device changed: all of it, or nothing and an error (contract, push 1). Repeated
after a lost answer it changes nothing and succeeds. Parents are stored before children, whatever
their order; deleting a record deletes its descendants (push 4). Where another device changed the
same record, only the columns that `_changed` names are written, or with the setting
`SYNC_CONFLICT_POLICY=reject` none, which is 409 (push 3). A wrong type becomes the column's empty
value, an unknown column is dropped, an absent one keeps what is stored (push 5).

- The changes alone may be the body, with `?last_pulled_at=` in the query.
- With `allowPartial` (or `?partial=1`) what cannot be stored is named in the answer, and the
rest is stored (push 6).
- The answer's `timestamp` is null when there is something to pull first (push 7)."""
VERIFY = """\
Whether this device holds what the server holds, by the count and checksum of each table
(docs/verify.md says how it is made). `identical` is null when something has changed since
`lastPulledAt`: pull, then ask again. After a false, pull with `replacement`."""


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return {
        "pull": Call(
            "pull",
            PULL,
            {
                "first": Example("A first sync", _pull(lastPulledAt=None)),
                "next": Example("What is new", _pull(lastPulledAt=NOW)),
                "migrated": Example("After a migration", _pull(lastPulledAt=NOW) | _migration()),
                "paged": Example("A first page", _pull(lastPulledAt=None) | {"limit": 1000}),
            },
            _pulled(),
            {"validation_failed": Problem(INVALID, NO_TIME, {"lastPulledAt": "yesterday"})},
        ),
        "pull_by_query": Call(
            "pullByQuery",
            BY_QUERY,
            answers=_pulled(),
            problems={"validation_failed": Problem(INVALID, NO_CURSOR)},
            query={"last_pulled_at": "null", "schema_version": "1", "migration": "null"},
        ),
        "push": Call("push", PUSH, _pushes(), _pushed(), _refusals()),
        "verify": _verify(),
    }


def records() -> dict[str, list[dict[str, Any]]]:
    """A record of each table, as it is pulled."""
    return {name: [record(table)] for name, table in synced_tables().items()}


def record(table: SyncedTable) -> dict[str, Any]:
    """One that belongs to those of the other tables, where it must."""
    parents = {parent.column: parent for parent in table.parents}
    values = {
        column.name: f"{parents[column.name].table}_1" if column.kind.refers else _sample(column)
        for column in table.columns
        if not (column.kind.refers and column.optional)
    }
    optional = {p.column: None for p in table.parents if not p.required}
    return {"id": f"{table.name}_1", **values, **optional}


def _sample(column: Column) -> Any:
    if column.name in ("created_at", "updated_at"):
        return NOW
    return column.kind.sample(column.name)


def _lists(created: Any = (), updated: Any = (), deleted: Any = ()) -> dict[str, Any]:
    return {"created": [*created], "updated": [*updated], "deleted": [*deleted]}


def _all() -> dict[str, Any]:
    return {name: _lists(created=found) for name, found in records().items()}


def _last() -> SyncedTable:
    """A table that others do not belong to."""
    return [*synced_tables().values()][-1]


def _pull(**since: Any) -> dict[str, Any]:
    return since | {"schemaVersion": 1, "migration": None}


def _migration() -> dict[str, Any]:
    added = {"table": _last().name, "columns": [_last().columns[0].name]}
    return {"schemaVersion": 2, "migration": {"from": 1, "tables": [], "columns": [added]}}


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
        "deleted": Example("A deletion", {"changes": gone, "lastPulledAt": NOW}),
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
        partial = {"timestamp": None, "experimentalRejectedIds": ids, "errors": errors}
        found["partial"] = Example("Not all could be stored", partial)
    return found


def _refusals() -> dict[str, Problem]:
    table, unknown = _last(), {"no_such_table": _lists(created=[{"id": "x"}])}
    nameless = {table.name: _lists(created=[record(table) | {"id": "no spaces"}])}
    places = {"changes": {table.name: {"created": {"0": {"id": BAD_ID}}}}}
    again = record(table) | {"_status": "created", "_changed": ""}
    stale = {"changes": {table.name: _lists(created=[again])}, "lastPulledAt": None}
    found = {
        "sync_conflict": Problem(CONFLICT, {table.name: [again["id"]]}, stale),
        "validation_failed": Problem(KEPT_WHOLE, places, {"changes": nameless}),
        "unknown_table": Problem(
            NOT_STORED, {"changes": {"no_such_table": NO_TABLE}}, {"changes": unknown}
        ),
    }
    for _, changes, errors in _orphans():
        found["unknown_parent"] = Problem(NOT_STORED, errors, {"changes": changes})
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


def _verify() -> Call:
    table, columns = _last(), [column.name for column in _last().columns]
    count, checksum = table_checksum([record(table)], table.columns)
    held = {"columns": columns, "count": count, "checksum": checksum}
    found = {"count": count, "checksum": checksum, "identical": True}
    same = {"identical": True, "timestamp": NOW, "tables": {table.name: found}}
    wrong = {"lastPulledAt": NOW, "tables": {"no_such_table": held | {"columns": []}}}
    return Call(
        "verify",
        VERIFY,
        {"held": Example("One record", {"lastPulledAt": NOW, "tables": {table.name: held}})},
        {
            "same": Example("The same", same),
            "behind": Example(
                "Something has changed since", same | {"identical": None, "tables": {}}
            ),
        },
        {"validation_failed": Problem(INVALID, {"tables": {"no_such_table": NO_TABLE}}, wrong)},
    )
