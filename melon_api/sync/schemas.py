"""Bodies of pull, push and verify: JSON and queries in, typed values out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from melon_api.errors import MalformedJson
from melon_api.http import parse_json
from melon_api.sync.pages import Migration, Walk
from melon_api.sync.tables import synced_tables
from melon_api.sync.verify import DeviceTable

PLAIN_PULL = {"lastPulledAt", "schemaVersion", "migration"}
MOST_PER_PAGE = 100_000
CLOCK = {"minimum": 0, "description": "`timestamp` of the last pull, in ms"}
CLOCK_WORD = "^([0-9]{1,16}|null|undefined)?$"  # NOTHING or DIGITS, as JavaScript writes it
CursorReader = Callable[[str], Walk | None]
NOTHING = (None, "", "null", "undefined")  # how JavaScript writes "none" into a URL
DIGITS = re.compile(r"[0-9]{1,16}")
FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class PullRequest:
    """`since`: lastPulledAt in ms, 0 on a first sync. `limit` is of records and deletions, None
    without paging; `walk` is what a cursor stands for; `replacement` asks for the full set."""

    since: int
    migration: Migration = field(default_factory=Migration)
    limit: int | None = None
    walk: Walk | None = None
    replacement: bool = False

    @property
    def is_paged(self) -> bool:
        return self.limit is not None or self.walk is not None


@dataclass(frozen=True)
class PushRequest:
    changes: dict[str, Any]
    since: int
    allow_partial: bool


class ClockField(fields.Integer):
    """`lastPulledAt` in ms; null, absent, 0, and the strings `null` and `undefined` are 0."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if isinstance(value, str) and DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise ValidationError("A time in ms since the epoch is needed, or null.")
        if value < 0:
            raise ValidationError("It may not be below 0.")
        return int(value)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        unset = isinstance(value, str | None) and value in NOTHING
        return 0 if unset else super().deserialize(value, *args, **kwargs)


class MigrationColumnsSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    table = fields.String(required=True)
    columns = fields.List(fields.String(), required=True)


class MigrationSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    old_version = fields.Raw(
        data_key="from",
        metadata={"type": "integer", "description": "the schema's version before"},
    )
    tables = fields.List(fields.String(), load_default=list)
    columns = fields.List(fields.Nested(MigrationColumnsSchema), load_default=list)


class PullSchema(Schema):
    class Meta:
        unknown = EXCLUDE  # an app may send more than we ask for

    lastPulledAt = ClockField(load_default=0, allow_none=True, metadata=CLOCK)
    schemaVersion = fields.Raw(load_default=None, allow_none=True, metadata={"type": "integer"})
    migration = fields.Nested(MigrationSchema, load_default=None, allow_none=True)
    limit = fields.Integer(
        load_default=None,
        allow_none=True,
        strict=True,
        validate=validate.Range(1, MOST_PER_PAGE),
        metadata={"description": "records and deletions on a page"},
    )
    cursor = fields.String(
        load_default=None, allow_none=True, metadata={"description": "of the page before"}
    )
    replacement = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "ask for the full living set, after a failed verify"},
    )


class PullQuerySchema(Schema):
    last_pulled_at = fields.String(
        metadata={"description": "ms, `null` on a first sync", "pattern": CLOCK_WORD}
    )
    schema_version = fields.String(metadata={"description": "the app's"})
    migration = fields.String(metadata={"description": "JSON, or `null`"})
    limit = fields.Integer(
        metadata={
            "minimum": 1,
            "maximum": MOST_PER_PAGE,
            "description": "records and deletions on a page",
        }
    )
    cursor = fields.String(metadata={"description": "of the page before"})
    replacement = fields.String(
        validate=validate.OneOf(list(FLAGS)),
        metadata={"description": "ask for the full living set, after a failed verify"},
    )


class PushSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    changes = fields.Dict(keys=fields.String(), required=True)
    lastPulledAt = ClockField(load_default=0, allow_none=True, metadata=CLOCK)
    allowPartial = fields.Boolean(load_default=False, allow_none=True, truthy={True}, falsy={False})


_pull, _push = PullSchema(), PushSchema()


class HeldTableSchema(Schema):
    """What a device holds of one table."""

    class Meta:
        unknown = EXCLUDE

    columns = fields.List(fields.String(), load_default=None, allow_none=True)
    count = fields.Integer(required=True, strict=True, validate=validate.Range(0))
    checksum = fields.Integer(required=True, strict=True, validate=validate.Range(0))


class VerifySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    lastPulledAt = ClockField(required=True, allow_none=True, metadata=CLOCK)
    tables = fields.Dict(fields.String(), fields.Nested(HeldTableSchema), required=True)


class VerifiedTableSchema(Schema):
    count = fields.Integer(required=True)
    checksum = fields.Integer(required=True)
    identical = fields.Boolean(required=True)


class VerifiedSchema(Schema):
    identical = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "null: something has changed since; pull, then ask again"},
    )
    timestamp = fields.Integer(required=True, metadata={"description": "ms"})
    tables = fields.Dict(fields.String(), fields.Nested(VerifiedTableSchema), required=True)


PushQuerySchema = Schema.from_dict(  # a class body could not hold the name `partial`
    {
        "last_pulled_at": fields.String(
            metadata={"description": "the body is then the changes alone", "pattern": CLOCK_WORD}
        ),
        "partial": fields.String(
            validate=validate.OneOf(list(FLAGS)),
            metadata={"description": "store what can be stored (push 6)"},
        ),
    },
    name="PushQuery",
)


class PushAnswerSchema(Schema):
    timestamp = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the new clock when this device is up to date with it, else null"},
    )
    experimentalRejectedIds = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "{table: [ids]}"},
    )
    errors = fields.Dict(metadata={"description": "why, by place"})


def plain_since(body: Any) -> int | None:
    """`lastPulledAt` of a body that asks for what has changed and no more, as nearly all do; None
    for one that `PullSchema` must look at."""
    if type(body) is not dict or not body.keys() <= PLAIN_PULL or body.get("migration") is not None:
        return None
    since = body.get("lastPulledAt")
    return since if type(since) is int and since >= 0 else None


def read_pull(body: Any, read_cursor: CursorReader) -> PullRequest:
    """A pull from its body. Raises ValidationError that names the place."""
    if (since := plain_since(body)) is not None:
        return PullRequest(since)
    return _read_pull(body, read_cursor)


def _read_pull(body: Any, read_cursor: CursorReader) -> PullRequest:
    values = _pull.load(_object(body))
    walk = None
    if values["cursor"] is not None:
        walk = read_cursor(values["cursor"])
        if walk is None:
            raise ValidationError({"cursor": ["This server did not make it for this account."]})
    return PullRequest(
        values["lastPulledAt"],
        _migration(values["migration"]),
        values["limit"],
        walk,
        values["replacement"],
    )


def read_pull_query(query: dict[str, str], read_cursor: CursorReader) -> PullRequest:
    """A pull as the snippet in WatermelonDB's docs sends it. Raises ValidationError."""
    migration = query.get("migration")
    try:
        parsed = None if migration in NOTHING else parse_json(str(migration).encode())
    except MalformedJson as error:
        raise ValidationError({"migration": [error.detail]}) from None
    body: dict[str, Any] = {"lastPulledAt": query.get("last_pulled_at"), "migration": parsed}
    given = {name: query[name] for name in ("limit", "cursor") if query.get(name) not in NOTHING}
    body |= {
        name: int(v) if DIGITS.fullmatch(v) and name == "limit" else v for name, v in given.items()
    }
    body["replacement"] = _flag(query.get("replacement"))
    return read_pull(body, read_cursor)


def read_push(body: Any, query: dict[str, str]) -> PushRequest:
    """A push in either form: all of it in the body, or the changes alone and the rest in the query.

    Raises ValidationError that names the place.
    """
    body = _object(body)
    if "last_pulled_at" in query and not ("changes" in body and "changes" not in synced_tables()):
        body = {"changes": body}
    if "last_pulled_at" in query:
        body = {"lastPulledAt": query["last_pulled_at"], **body}
    if "partial" in query:
        body = {**body, "allowPartial": _flag(query["partial"])}
    return plain_push(body) or load_push(body)


def plain_push(body: dict[str, Any]) -> PushRequest | None:
    """What `load_push` makes of a body that is plainly right, at a fraction of its cost; None
    decides nothing."""
    changes, since = body.get("changes"), body.get("lastPulledAt")
    partial = body.get("allowPartial", False)
    if type(changes) is dict and type(since) is int and since >= 0 and type(partial) is bool:
        return PushRequest(changes, since, partial)
    return None


def load_push(body: dict[str, Any]) -> PushRequest:
    """By the schema. Raises ValidationError that names the place."""
    values = _push.load(body)
    return PushRequest(values["changes"], values["lastPulledAt"], bool(values["allowPartial"]))


def read_verify(body: Any) -> tuple[int, dict[str, DeviceTable]]:
    """(lastPulledAt, what the device holds). Raises ValidationError that names the place."""
    values = VerifySchema().load(_object(body))
    held, errors = {}, {}
    for name, content in values["tables"].items():
        table = synced_tables().get(name)
        names = content["columns"]
        known = table.column_names if table else frozenset()
        if table is None:
            errors[name] = ["There is no such table."]
        elif unknown := [c for c in names or () if c not in known and c != "id"]:
            errors[name] = [f"No such column: {', '.join(unknown)}."]
        chosen = known if names is None else known & set(names)
        held[name] = DeviceTable(tuple(chosen), content["count"], content["checksum"])
    if errors:
        raise ValidationError({"tables": errors})
    return values["lastPulledAt"], held


def _flag(text: str | None) -> Any:
    """A flag in a query; what is neither yes nor no is left for the schema to name."""
    return False if text in NOTHING else FLAGS.get(str(text).lower(), text)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValidationError({"body": ["A JSON object is needed."]})
    return body


def _migration(values: dict[str, Any] | None) -> Migration:
    """Names that are not in the schema are ignored (contract pull 5)."""
    if values is None:
        return Migration()
    tables = synced_tables()
    columns: dict[str, tuple[str, ...]] = {}
    for added in values["columns"]:
        if table := tables.get(added["table"]):
            known = tuple(name for name in added["columns"] if name in table.column_names)
            columns[table.name] = columns.get(table.name, ()) + known
    return Migration(frozenset(tables.keys() & values["tables"]), columns)
