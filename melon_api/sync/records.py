"""The records of each synced table as Marshmallow schemas, made from the models: one definition."""

import functools
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from marshmallow_sqlalchemy import ModelConverter
from sqlalchemy import Text

from melon_api.models.synced import INTERNAL
from melon_api.sync.tables import TEXT_BYTES, Column, SyncedTable, synced_tables

ID = fields.String(required=True, metadata={"pattern": "^[A-Za-z0-9_.-]{1,36}$"})  # push 8
STATUS = fields.String(metadata={"description": "WatermelonDB's own; it may stay in"})
CHANGED = fields.String(
    metadata={"description": "the columns that were edited here, with commas between (push 3)"}
)
Fields = dict[str, fields.Field[Any]]
TOO_MANY_DIGITS = ["It has more digits than a JavaScript number."]


class Open(Schema):
    """It may hold more than is named."""

    class Meta:
        unknown = EXCLUDE


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
    """The schema of one table's records, made from its model; any column may be absent."""
    return Schema.from_dict(_columns(table), name=f"{table.model.__name__}Columns")()


def _columns(table: SyncedTable) -> dict[str, Any]:
    made = RecordConverter().fields_for_model(
        cast(Any, table.model), include_fk=True, exclude=INTERNAL
    )
    made |= {column.name: _integer(column) for column in table.columns if column.bits}
    made |= {column.name: _reference(column) for column in table.columns if column.refers}
    return {name: made[name] for name in ("id", *(column.name for column in table.columns))}


def _integer(column: Column) -> fields.Integer:
    limit = 1 << ((column.bits or 64) - 1)
    within = validate.Range(-limit, limit - 1)
    return fields.Integer(strict=True, allow_none=column.optional, validate=within)


def _reference(column: Column) -> fields.String:
    """Whether it names a record is not a question of its length (contract push 4)."""
    parent = {"description": "id of the parent record", "maxLength": column.characters}
    return fields.String(allow_none=column.optional, metadata=parent)


def explain(table: SyncedTable, values: dict[str, Any], misfits: list[str]) -> dict[str, Any]:
    """Why these columns cannot be kept whole: {column: [sentences]}."""
    messages: dict[str, Any] = record_schema(table).validate(values)
    return {name: messages.get(name, TOO_MANY_DIGITS) for name in misfits}


@functools.cache
def pulled_schema(table: SyncedTable) -> type[Schema]:
    """A record as it is pulled: whole."""
    columns = _columns(table) | {"id": ID}
    for column in columns.values():
        column.required = True
    return Schema.from_dict(columns, name=f"{table.model.__name__}Record")


@functools.cache
def pushed_schema(table: SyncedTable) -> type[Schema]:
    """A record as the client pushes it: a column that is absent keeps what is stored."""
    columns = _columns(table) | {"id": ID, "_status": STATUS, "_changed": CHANGED}
    return Open.from_dict(columns, name=f"{table.model.__name__}Pushed")


@functools.cache
def pulled_changes() -> type[Schema]:
    """The changes object of this server's tables, as it is pulled."""
    tables: Fields = {
        n: _lists(t, pulled_schema(t), "Changes", True) for n, t in synced_tables().items()
    }
    return Schema.from_dict(tables, name="Changes")


@functools.cache
def pushed_changes() -> type[Schema]:
    """The same as it is pushed: a table or a list that is absent has no changes."""
    tables: Fields = {
        n: _lists(t, pushed_schema(t), "Push", False) for n, t in synced_tables().items()
    }
    return Schema.from_dict(tables, name="PushedChanges")


def _lists(table: SyncedTable, record: type[Schema], name: str, is_whole: bool) -> fields.Nested:
    records = fields.List(fields.Nested(record), required=is_whole)
    ids = fields.List(fields.String(metadata=ID.metadata), required=is_whole)
    lists: Fields = {"created": records, "updated": records, "deleted": ids}
    return fields.Nested(
        Schema.from_dict(lists, name=f"{table.model.__name__}{name}"), required=is_whole
    )
