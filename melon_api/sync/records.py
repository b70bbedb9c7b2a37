"""The records of each synced table as Marshmallow schemas, made from the models: one definition."""

import functools
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate
from marshmallow_sqlalchemy import ModelConverter
from sqlalchemy import Text, inspect

from melon_api.models.synced import INTERNAL
from melon_api.sync.discovery import TEXT_BYTES
from melon_api.sync.rules.tables import Column, SyncedTable

TOO_MANY_DIGITS = ["It has more digits than a JavaScript number."]


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
    return Schema.from_dict(columns_of(table), name=f"{table.model.__name__}Columns")()


def columns_of(table: SyncedTable) -> dict[str, Any]:
    """A new field for the id and each column of the app's schema; none of them is required."""
    made = RecordConverter().fields_for_model(
        cast(Any, table.model), include_fk=True, exclude=INTERNAL
    )
    attributes = cast(Any, inspect(table.model)).column_attrs
    made = {a.columns[0].name: made[a.key] for a in attributes if a.key in made}
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
