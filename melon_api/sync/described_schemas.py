"""The bodies of `/sync` with the tables that this server has, for `/openapi.json`.

What is pushed is read more leniently than it is described (contract push 5).
"""

import functools
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable
from melon_api.sync.schemas import HeldTableSchema, PushSchema, VerifySchema

Fields = dict[str, fields.Field[Any]]
ID = fields.String(required=True, metadata={"pattern": "^[A-Za-z0-9_.-]{1,36}$"})  # push 11
STATUS = fields.String(metadata={"description": "WatermelonDB's own; it may stay in"})
CHANGED = fields.String(
    metadata={"description": "the columns that were edited here, with commas between (push 3)"}
)


class Open(Schema):
    """It may hold more than is named."""

    class Meta:
        unknown = EXCLUDE


@functools.cache
def pulled_schema(table: SyncedTable) -> type[Schema]:
    """A record as it is pulled: whole."""
    columns = {"id": ID} | _fields(table, required=True)
    return Schema.from_dict(columns, name=f"{table.model}Record")


@functools.cache
def pushed_schema(table: SyncedTable) -> type[Schema]:
    """A record as the client pushes it: a column that is absent keeps what is stored."""
    columns = {"id": ID} | _fields(table) | {"_status": STATUS, "_changed": CHANGED}
    return Open.from_dict(columns, name=f"{table.model}Pushed")


def _fields(table: SyncedTable, **options: Any) -> Fields:
    return {
        column.name: column.kind.field(
            allow_none=column.optional,
            metadata={"description": column.doc} if column.doc else {},
            **options,
        )
        for column in table.columns
    }


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
    return fields.Nested(Schema.from_dict(lists, name=f"{table.model}{name}"), required=is_whole)


def pull_answer_schema() -> type[Schema]:
    return Schema.from_dict(
        {
            "changes": fields.Nested(pulled_changes(), required=True),
            "timestamp": fields.Integer(
                required=True, metadata={"description": "the next `lastPulledAt`, in ms"}
            ),
            "experimentalStrategy": fields.String(validate=validate.OneOf(["replacement"])),
            "cursor": fields.String(
                allow_none=True, metadata={"description": "of a paged pull; null on the last page"}
            ),
        },
        name="PullAnswer",
    )


def verify_schema() -> type[Schema]:
    """`VerifySchema` with the tables that this server has, for `/openapi.json`."""
    tables: Fields = {name: fields.Nested(HeldTableSchema) for name in synced_tables()}
    held = fields.Nested(Schema.from_dict(tables, name="HeldTables"), required=True)
    declared = dict(VerifySchema().fields) | {"tables": held}
    return Open.from_dict(declared, name="Verify")


def push_schema() -> type[Schema]:
    """`PushSchema` with the tables that this server has, for `/openapi.json`: what is pushed is
    read leniently (contract push 5)."""
    declared = dict(PushSchema().fields)
    declared["changes"] = fields.Nested(pushed_changes(), required=True)
    return Open.from_dict(declared, name="Push")
