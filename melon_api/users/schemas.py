"""Bodies of the account calls."""

from marshmallow import Schema, fields, validate

from melon_api.auth.schemas import (
    NEW_PASSWORD,
    PASSWORD,
    EmailAddress,
    Name,
    SessionSchema,
    UserSchema,
)
from melon_api.models.user import EMAIL_LENGTH, NAME_LENGTH
from melon_api.sync.described_schemas import pulled_schema
from melon_api.sync.discovery import synced_tables


class PasswordSchema(Schema):
    current_password = fields.String(required=True, metadata=PASSWORD)
    new_password = fields.String(required=True, metadata=NEW_PASSWORD)


class DeletionSchema(Schema):
    password = fields.String(required=True, metadata=PASSWORD)


class ProfileSchema(Schema):
    """A change of the profile; what is absent stays."""

    name = Name(NAME_LENGTH)
    email = EmailAddress(validate=validate.Length(max=EMAIL_LENGTH))
    current_password = fields.String(metadata=PASSWORD | {"description": "needed with email"})


ExportSchema = Schema.from_dict(
    {
        "user": fields.Nested(UserSchema, required=True),
        "sessions": fields.List(fields.Nested(SessionSchema), required=True),
        **{
            name: fields.List(fields.Nested(pulled_schema(table)), required=True)
            for name, table in synced_tables().items()
        },
    },
    name="Export",
)
