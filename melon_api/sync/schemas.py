"""Bodies of pull and push, and the records in them, from the models (one definition)."""

import functools
import re
from dataclasses import dataclass, field
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from marshmallow_sqlalchemy import ModelConverter
from sqlalchemy import Text

from melon_api.errors import MalformedJson
from melon_api.http import parse_json
from melon_api.models.synced import INTERNAL
from melon_api.sync.tables import TEXT_BYTES, Column, SyncedTable, synced_tables

NOTHING = (None, "", "null", "undefined")  # how JavaScript writes "none" into a URL
DIGITS = re.compile(r"[0-9]{1,16}")
FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class Migration:
    """What the app's own database has just added (contract pull 5)."""

    tables: frozenset[str] = frozenset()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PullRequest:
    """`since`: lastPulledAt in ms, 0 on a first sync."""

    since: int
    migration: Migration


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

    tables = fields.List(fields.String(), load_default=list)
    columns = fields.List(fields.Nested(MigrationColumnsSchema), load_default=list)


class PullSchema(Schema):
    class Meta:
        unknown = EXCLUDE  # an app may send more than we ask for

    lastPulledAt = ClockField(load_default=0, allow_none=True)
    schemaVersion = fields.Raw(load_default=None, allow_none=True)
    migration = fields.Nested(MigrationSchema, load_default=None, allow_none=True)


class PullQuerySchema(Schema):
    last_pulled_at = fields.String(metadata={"description": "ms, `null` on a first sync"})
    schema_version = fields.String()
    migration = fields.String(metadata={"description": "JSON, or `null`"})


class PushSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    changes = fields.Dict(keys=fields.String(), required=True)
    lastPulledAt = ClockField(load_default=0, allow_none=True)
    allowPartial = fields.Boolean(load_default=False, truthy={True}, falsy={False})


PushQuerySchema = Schema.from_dict(  # a class body could not hold the name `partial`
    {
        "last_pulled_at": fields.String(
            metadata={"description": "the body is then the changes alone"}
        ),
        "partial": fields.String(validate=validate.OneOf(list(FLAGS))),
    },
    name="PushQuery",
)


class PushAnswerSchema(Schema):
    timestamp = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the new clock when this device is up to date with it, else null"},
    )
    experimentalRejectedIds = fields.Dict(metadata={"description": "{table: [ids]}"})
    errors = fields.Dict()


def read_pull(body: Any) -> PullRequest:
    """Raises ValidationError that names the place."""
    values = PullSchema().load(_object(body))
    return PullRequest(values["lastPulledAt"], _migration(values["migration"]))


def read_pull_query(query: dict[str, str]) -> PullRequest:
    """A pull as the snippet in WatermelonDB's docs sends it. Raises ValidationError."""
    migration = query.get("migration")
    try:
        parsed = None if migration in NOTHING else parse_json(str(migration).encode())
    except MalformedJson as error:
        raise ValidationError({"migration": [error.detail]}) from None
    return read_pull({"lastPulledAt": query.get("last_pulled_at"), "migration": parsed})


def read_push(body: Any, query: dict[str, str]) -> PushRequest:
    """A push in either form: all of it in the body, or the changes alone and the rest in the query.

    Raises ValidationError that names the place.
    """
    body = _object(body)
    if "last_pulled_at" in query and not ("changes" in body and "changes" not in synced_tables()):
        body = {"changes": body}
    if "last_pulled_at" in query:
        body = {"lastPulledAt": query["last_pulled_at"], **body}
    if query.get("partial") not in NOTHING:
        body = {**body, "allowPartial": FLAGS.get(query["partial"].lower(), query["partial"])}
    values = PushSchema().load(body)
    return PushRequest(values["changes"], values["lastPulledAt"], values["allowPartial"])


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


class RecordConverter(ModelConverter):
    """Fields of a record, with the bounds of the database beside Marshmallow's own."""

    def _add_column_kwargs(self, kwargs: dict[str, Any], column: Any) -> None:
        super()._add_column_kwargs(kwargs, column)
        kwargs["required"] = False
        if isinstance(column.type, Text):
            kwargs["validate"] = [Octets(column.type.length or TEXT_BYTES)]


class Octets(validate.Validator):
    """A length in UTF-8 bytes, which is how MySQL measures a TEXT."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, value: str) -> str:
        if len(value.encode()) > self.most:
            raise ValidationError(f"Longer than maximum length {self.most} bytes.")
        return value


@functools.cache
def record_schema(table: SyncedTable) -> Schema:
    """The schema of one table's records, made from its model."""
    made = RecordConverter().fields_for_model(
        cast(Any, table.model), include_fk=True, exclude=INTERNAL
    )
    made |= {column.name: _integer(column) for column in table.columns if column.bits}
    made |= {column.name: _reference(column) for column in table.columns if column.refers}
    return Schema.from_dict(made, name=f"{table.model.__name__}Record")()


def _integer(column: Column) -> fields.Integer:
    limit = 1 << ((column.bits or 64) - 1)
    within = validate.Range(-limit, limit - 1)
    return fields.Integer(strict=True, allow_none=column.optional, validate=within)


def _reference(column: Column) -> fields.String:
    """Whether it names a record is not a question of its length (contract push 4)."""
    parent = {"description": "id of the parent record", "maxLength": column.characters}
    return fields.String(allow_none=column.optional, metadata=parent)


def explain(table: SyncedTable, values: dict[str, Any]) -> dict[str, Any]:
    """Why these values cannot be kept whole: {column: [sentences]}, never empty."""
    messages: dict[str, Any] = record_schema(table).validate(values)
    return messages or {"id": ["A number in it has more digits than can be kept."]}


def changes_schema() -> type[Schema]:
    """The changes object of this server's tables, for `/openapi.json`."""
    tables = {name: fields.Nested(_table_schema(t)) for name, t in synced_tables().items()}
    return Schema.from_dict(tables, name="Changes")  # type: ignore[arg-type]


def _table_schema(table: SyncedTable) -> type[Schema]:
    records = fields.List(fields.Nested(record_schema(table)), required=True)
    lists = {"created": records, "updated": records}
    lists["deleted"] = fields.List(fields.String(), required=True)
    return Schema.from_dict(lists, name=f"{table.model.__name__}Changes")  # type: ignore[arg-type]


def pull_answer_schema() -> type[Schema]:
    return Schema.from_dict(
        {
            "changes": fields.Nested(changes_schema(), required=True),
            "timestamp": fields.Integer(required=True, metadata={"description": "ms"}),
            "experimentalStrategy": fields.String(validate=validate.OneOf(["replacement"])),
        },
        name="PullAnswer",
    )
