"""The bodies of `/sync` with the tables that this server has, made from the models.

What is pushed is read more leniently than it is described (contract push 5).
"""

import functools
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from melon_api.sync.rules.tables import SyncedTable, Tables
from melon_api.sync.schemas import HeldTableSchema, PushSchema, VerifySchema

Fields = dict[str, fields.Field[Any]]
ID = fields.String(required=True, metadata={"pattern": "^[A-Za-z0-9_.-]{1,36}$"})  # push 11
OWN_COLUMNS = {
    "_status": "WatermelonDB's own; it may stay in",
    "_changed": "the columns that were edited here, with commas between (push 3)",
}


class Open(Schema):
    """It may hold more than is named."""

    class Meta:
        unknown = EXCLUDE


def schema_of(named: Fields, name: str, base: type[Schema] = Schema) -> type[Schema]:
    """`Meta` is marshmallow's own word, and may be a table or a column."""
    if (field := named.get("Meta")) is not None:
        field.data_key = "Meta"
    return base.from_dict({{"Meta": "its Meta"}.get(n, n): f for n, f in named.items()}, name=name)


def pulled_schemas(tables: Tables) -> dict[str, type[Schema]]:
    """A record of each table as it is pulled: whole."""
    return {name: record_schema(table, is_whole=True) for name, table in tables.items()}


@functools.cache
def record_schema(table: SyncedTable, *, is_whole: bool) -> type[Schema]:
    """As it is pulled, or pushed: then a column that is absent keeps what is stored."""
    columns: Fields = {"id": ID}
    for column in table.columns:
        words = {"description": column.doc} if column.doc else {}
        columns[column.name] = column.kind.field(
            allow_none=column.optional, metadata=words, required=is_whole
        )
    if is_whole:
        return schema_of(columns, f"{table.model}Record")
    own = {name: fields.String(metadata={"description": d}) for name, d in OWN_COLUMNS.items()}
    return schema_of(columns | own, f"{table.model}Pushed", Open)


def changes_schema(tables: Tables, name: str, *, is_whole: bool) -> type[Schema]:
    """The changes object; as it is pushed, an absent table or list has no changes."""
    found: Fields = {}
    for table in tables.values():
        records = fields.List(
            fields.Nested(record_schema(table, is_whole=is_whole)), required=is_whole
        )
        ids = fields.List(fields.String(metadata=ID.metadata), required=is_whole)
        lists: Fields = {"created": records, "updated": records, "deleted": ids}
        schema = Schema.from_dict(lists, name=f"{table.model}{name}")
        found[table.name] = fields.Nested(schema, required=is_whole)
    return schema_of(found, "Changes" if is_whole else "PushedChanges")


def pull_answer_schema(tables: Tables) -> type[Schema]:
    """With the tables that this server has."""
    next_time = {"description": "the next `lastPulledAt`, in ms"}
    last_page = {"description": "of a paged pull; null on the last page"}
    whole: Fields = {
        "changes": fields.Nested(changes_schema(tables, "Changes", is_whole=True), required=True),
        "timestamp": fields.Integer(required=True, metadata=next_time),
        "experimentalStrategy": fields.String(validate=validate.OneOf(["replacement"])),
        "cursor": fields.String(allow_none=True, metadata=last_page),
    }
    return Schema.from_dict(whole, name="PullAnswer")


def with_tables(schema: type[Schema], name: str, **tables: type[Schema]) -> type[Schema]:
    """A schema whose Dict of tables is one of this server's."""
    named = {field: fields.Nested(inner, required=True) for field, inner in tables.items()}
    return Open.from_dict(dict(schema().fields) | named, name=name)


def push_schemas(tables: Tables) -> tuple[type[Schema], type[Schema]]:
    """In either form: the whole of it, or the changes alone."""
    changes = changes_schema(tables, "Push", is_whole=False)
    return with_tables(PushSchema, "Push", changes=changes), changes


def verify_schema(tables: Tables) -> type[Schema]:
    """`VerifySchema` with the tables that this server has."""
    content: Fields = {name: fields.Nested(HeldTableSchema) for name in tables}
    held = schema_of(content, "HeldTables")
    return with_tables(VerifySchema, "Verify", tables=held)
