"""Requests of pull, push and verify: JSON and queries in, typed values out; a push's answer."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from marshmallow import Schema, ValidationError

from melon_api.errors import MalformedJson
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.body import check_size
from melon_api.sync.rules.body import read as read_changes
from melon_api.sync.rules.checksum import DeviceTable
from melon_api.sync.rules.problems import Problems
from melon_api.sync.rules.pushed import PushRequest
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.rules.walk import Migration, PullRequest, Walk
from melon_api.sync.schemas import (
    DIGITS,
    FLAGS,
    MOST_PUSH_NUMBER,
    MOST_WRONG,
    NOTHING,
    PULL,
    PUSH,
    VerifySchema,
)
from melon_api.sync.sql.clock import FAR_AHEAD, is_far_ahead
from melon_api.web.body.reading import parse_json

# In the WSGI environment, so that none asks twice: what was remembered of the clock, and that there
# are too many news for the quick way.
CLOCK, MANY = "melon.clock", "melon.many"
PLAIN_PULL = {"lastPulledAt", "schemaVersion", "migration"}
SPELLINGS = {"last_pulled_at": "lastPulledAt", "schema_version": "schemaVersion"}  # query: body
CursorReader = Callable[[str], Walk | None]


def plain_since(body: Any) -> int | None:
    """`lastPulledAt` of a body that asks for what has changed and no more, as nearly all do; None
    for one that `PullSchema` must look at."""
    if type(body) is not dict or not body.keys() <= PLAIN_PULL or body.get("migration") is not None:
        return None
    since = body.get("lastPulledAt")
    return since if type(since) is int and since >= 0 else None


def read_pull(body: Any, query: Mapping[str, str], read_cursor: CursorReader) -> PullRequest:
    """A pull from its body and its query (contract pull 6): what the body has, null too, counts
    before the query's. Raises ValidationError that names the place."""
    if not query and (since := plain_since(body)) is not None:
        return PullRequest(since)
    asked, errors = _pull_query(_spelled(query))
    return _read_pull(asked | _spelled(_object(body)), read_cursor, errors)


def _read_pull(
    body: Any, read_cursor: CursorReader, errors: dict[str, Any] | None = None
) -> PullRequest:
    """`errors`: what is known to be wrong already; all of it is told at once."""
    values, found = _loaded(PULL, _object(body))
    errors, walk = found | (errors or {}), None
    if values.get("cursor") is not None:
        walk = read_cursor(values["cursor"])
        if walk is None:
            errors["cursor"] = ["This server did not make it for this account."]
    if errors:
        raise ValidationError(_ahead(values) | errors)
    return PullRequest(
        values["lastPulledAt"],
        _migration(values["migration"]),
        values["limit"],
        walk,
        values["replacement"],
    )


def _loaded(schema: Schema, body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is right of a body, what is wrong, by place)."""
    try:
        return schema.load(body), {}
    except ValidationError as error:
        return error.valid_data or {}, error.messages_dict  # type: ignore[return-value]


def _ahead(values: dict[str, Any]) -> dict[str, Any]:
    """To be told beside what is wrong without the database, which alone knows it for certain."""
    return FAR_AHEAD if is_far_ahead(values.get("lastPulledAt", 0)) else {}


def _spelled(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of it, by the body's names, whichever spelling was sent; where both were, the
    body's counts."""
    other = {name: given[spelled] for spelled, name in SPELLINGS.items() if spelled in given}
    return other | {name: given[name] for name in PULL.load_fields if name in given}


def _pull_query(query: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a query says, with the types that a body has; and what is wrong with it."""
    errors = {}
    values: dict[str, Any] = {name: v for name, v in query.items() if v not in NOTHING}
    if "limit" in values:
        values["limit"] = _whole(values["limit"])
    try:
        if "migration" in values:
            values["migration"] = parse_json(values["migration"].encode())
    except MalformedJson as error:
        errors["migration"] = [error.detail]
        del values["migration"]
    return values | {"replacement": _flag(query.get("replacement"))}, errors


def read_push(body: Any, query: dict[str, str], most: int) -> PushRequest:
    """A push in either form: all of it in the body, or the changes alone and the rest in the query.

    Raises PayloadTooLarge for more than `most` records, ValidationError that names the place.
    """
    body = _object(body)
    if "last_pulled_at" in query and not _is_whole(body):
        body = {"changes": body}
    if "last_pulled_at" in query:
        body = {"lastPulledAt": query["last_pulled_at"], **body}
    if "partial" in query:
        body = {**body, "allowPartial": _flag(query["partial"])}
    if (number := query.get("push_number")) not in NOTHING:
        body = {"pushNumber": _whole(number), **body}
    if (version := query.get("app_version")) not in NOTHING:
        body = {"appVersion": version, **body}
    if isinstance(changes := body.get("changes"), dict):
        check_size(changes, most)  # before anything is said of each
    return plain_push(body) or load_push(body)


def _is_whole(body: dict[str, Any]) -> bool:
    """Not the changes alone, one table of which may be called `changes`: it holds lists."""
    inner = body.get("changes")
    tables = inner.values() if isinstance(inner, dict) else ()
    is_table = "changes" in synced_tables() and not any(isinstance(of, dict) for of in tables)
    return "changes" in body and not is_table


def plain_push(body: dict[str, Any]) -> PushRequest | None:
    """What `load_push` makes of a body that is plainly right, at a fraction of its cost; None
    decides nothing."""
    changes, since = body.get("changes"), body.get("lastPulledAt")
    partial, number = body.get("allowPartial", False), body.get("pushNumber", 1)
    is_numbered = type(number) is int and 1 <= number <= MOST_PUSH_NUMBER
    if "appVersion" in body:
        return None
    if type(changes) is dict and type(since) is int and since >= 0 and type(partial) is bool:
        return PushRequest(changes, since, partial, body.get("pushNumber")) if is_numbered else None
    return None


def load_push(body: dict[str, Any]) -> PushRequest:
    """By the schema. Raises ValidationFailed or UnknownTable that name the place, and what else is
    wrong without the database: all 422s at once (contract, Errors 4)."""
    values, errors = _loaded(PUSH, body)
    if errors:
        problems = Problems()
        read_changes(synced_tables(), values.get("changes") or {}, problems)
        problems.add_beside(_ahead(values) | errors)
        problems.raise_gravest()
    partial, number = bool(values["allowPartial"]), values["pushNumber"]
    since, version = values["lastPulledAt"], values["appVersion"]
    return PushRequest(values["changes"], since, partial, number, version)


def as_json(request: PushRequest, timestamp: int | None, problems: Problems) -> bytes:
    """A push's answer (contract push 6 and 7)."""
    result: dict[str, Any] = {"timestamp": timestamp}
    if request.allow_partial:
        codes = problems.codes()
        result["experimentalRejectedIds"] = {table: list(ids) for table, ids in codes.items()}
        result["rejected"] = codes
        result["errors"] = problems.by_place()
    return orjson.dumps(result)


def read_verify(body: Any) -> tuple[int, dict[str, DeviceTable]]:
    """(lastPulledAt, what the device holds). Raises ValidationError that names the place."""
    values, wrong = _loaded(VerifySchema(), _object(body))
    sent = body.get("tables")
    unknown = _unknown(sent) if isinstance(sent, dict) else {}
    if wrong or unknown:
        shape = wrong.get("tables", {})
        raise ValidationError(wrong | ({"tables": _joined(shape, unknown)} if unknown else {}))
    held = {name: _held(synced_tables()[name], of) for name, of in values["tables"].items()}
    return values["lastPulledAt"], held


def _held(table: SyncedTable, content: dict[str, Any]) -> DeviceTable:
    known, names = table.column_names, content["columns"]
    chosen = known if names is None else known & set(names)
    return DeviceTable(tuple(chosen), content["count"], content["checksum"])


def _unknown(tables: dict[str, Any]) -> dict[str, list[str]]:
    """What is said of the names that are not of this app, by table; of MOST_WRONG at most."""
    errors: dict[str, list[str]] = {}
    for name, content in tables.items():
        if len(errors) == MOST_WRONG:
            break
        table = synced_tables().get(name)
        names = content.get("columns") if isinstance(content, dict) else None
        named = [c for c in names if isinstance(c, str)] if isinstance(names, list) else []
        if table is None:
            errors[name] = ["There is no such table."]
        elif others := [c for c in named if c not in table.column_names and c != "id"]:
            errors[name] = [f"No such column: {', '.join(others[:MOST_WRONG])}."]
    return errors


def _joined(shape: Any, unknown: dict[str, list[str]]) -> dict[str, Any]:
    """By table: what is wrong with the values, and with the names."""
    both = {name: {**shape[name], "columns": unknown[name]} for name in shape if name in unknown}
    return {**shape, **unknown, **both}


def _flag(text: str | None) -> Any:
    """A flag in a query; what is neither yes nor no is left for the schema to name."""
    return False if text in NOTHING else FLAGS.get(str(text).lower(), text)


def _whole(text: str) -> Any:
    """A number in a query; what is none is left for the schema to name."""
    return int(text) if DIGITS.fullmatch(text) else text


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValidationError({"body": ["A JSON object is needed."]})
    return body


def _migration(values: dict[str, Any] | None) -> Migration:
    """Names that are not in the schema are ignored (contract pull 5)."""
    if values is None:
        return Migration()
    tables = synced_tables()
    columns: dict[str, dict[str, None]] = {}  # each once, however often it was named
    for added in values["columns"]:
        if table := tables.get(added["table"]):
            known = (name for name in added["columns"] if name in table.column_names)
            columns.setdefault(table.name, {}).update(dict.fromkeys(known))
    added_tables = frozenset(tables.keys() & values["tables"])
    return Migration(added_tables, {name: tuple(known) for name, known in columns.items()})
