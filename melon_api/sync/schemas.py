"""Bodies and queries of pull, push and verify, as Marshmallow checks and `/docs` shows them."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

MOST_PER_PAGE = 100_000
MOST_WRONG = 100  # values of one list that an error names
MOST_PUSH_NUMBER = 2**53 - 1  # JavaScript's whole numbers end there
NOTHING = (None, "", "null", "undefined")  # how JavaScript writes "none" into a URL
DIGITS = re.compile(r"[0-9]{1,16}")
FLAGS = {"1": True, "true": True, "0": False, "false": False}
CLOCK = {"minimum": 0, "description": "`timestamp` of the last pull, in ms"}
VERSION: dict[str, Any] = {
    "validate": validate.Length(max=64),
    "metadata": {"description": "the app's, for the rules on the server (push 10)"},
}
CLOCK_WORD = "^([0-9]{1,16}|null|undefined)?$"  # NOTHING or DIGITS, as JavaScript writes it


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


def _first_wrong(
    items: Iterable[tuple[Any, Any]], load: Callable[[Any], Any]
) -> tuple[list[Any], dict[Any, Any]]:
    """What is right of these, each with its place, up to the MOST_WRONGth wrong one; what is said
    of those. It takes many times their own memory (contract, Requests 3)."""
    right, wrong = [], {}
    for place, value in items:
        try:
            right.append((place, load(value)))
        except ValidationError as error:
            wrong[place] = error.messages
            if len(wrong) == MOST_WRONG:
                break
    return right, wrong


class BoundedList(fields.List[Any]):
    """Names its first wrong values."""

    def _deserialize(self, value: Any, *_: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        found, wrong = _first_wrong(enumerate(value), partial(self.inner.deserialize, **kwargs))
        right = [each for _, each in found]
        if wrong:
            raise ValidationError(wrong, valid_data=right)
        return right


class BoundedTables(fields.Dict):
    """The same of an object whose keys are names of tables."""

    value_field: fields.Field[Any]

    def _deserialize(self, value: Any, *_: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        load = partial(self.value_field.deserialize, **kwargs)
        found, wrong = _first_wrong(value.items(), load)
        if wrong:
            said = {name: {"value": messages} for name, messages in wrong.items()}
            raise ValidationError(said, valid_data=dict(found))
        return dict(found)


class MigrationColumnsSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    table = fields.String(required=True)
    columns = BoundedList(fields.String(), required=True)


class MigrationSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    old_version = fields.Raw(
        data_key="from",
        metadata={"type": "integer", "description": "the schema's version before"},
    )
    tables = BoundedList(fields.String(), load_default=list)
    columns = BoundedList(fields.Nested(MigrationColumnsSchema), load_default=list)


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
    pushNumber = fields.Integer(
        load_default=None,
        allow_none=True,
        strict=True,
        validate=validate.Range(1, MOST_PUSH_NUMBER),
        metadata={"description": "raised by the session with every new push (push 8)"},
    )
    appVersion = fields.String(load_default=None, allow_none=True, **VERSION)


PULL, PUSH = PullSchema(), PushSchema()


class HeldTableSchema(Schema):
    """What a device holds of one table."""

    class Meta:
        unknown = EXCLUDE

    columns = BoundedList(fields.String(), load_default=None, allow_none=True)
    count = fields.Integer(required=True, strict=True, validate=validate.Range(0))
    checksum = fields.Integer(required=True, strict=True, validate=validate.Range(0))


class VerifySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    lastPulledAt = ClockField(required=True, allow_none=True, metadata=CLOCK)
    tables = BoundedTables(fields.String(), fields.Nested(HeldTableSchema), required=True)


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
        "push_number": fields.Integer(
            metadata={
                "minimum": 1,
                "maximum": MOST_PUSH_NUMBER,
                "description": "raised by the session with every new push (push 8)",
            }
        ),
        "app_version": fields.String(**VERSION),
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
    rejected = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String()),
        metadata={"description": "{table: {id: code}}, the codes as of errors"},
    )
    errors = fields.Dict(metadata={"description": "why, by place"})
