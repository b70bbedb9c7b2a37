"""Bodies of the account calls."""

from marshmallow import Schema, fields, validate

from melon_api.auth.schemas import EmailAddress, Name, SessionSchema, UserSchema
from melon_api.models.user import EMAIL_LENGTH, NAME_LENGTH
from melon_api.sync.records import record_schema
from melon_api.sync.tables import synced_tables


class PasswordSchema(Schema):
    current_password = fields.String(required=True)
    new_password = fields.String(required=True)


class DeletionSchema(Schema):
    password = fields.String(required=True)


class ProfileSchema(Schema):
    """A change of the profile; what is absent stays."""

    name = Name(NAME_LENGTH)
    email = EmailAddress(validate=validate.Length(max=EMAIL_LENGTH))
    current_password = fields.String(metadata={"description": "needed with email"})


ExportSchema = Schema.from_dict(
    {
        "user": fields.Nested(UserSchema),
        "sessions": fields.List(fields.Nested(SessionSchema)),
        **{n: fields.List(fields.Nested(record_schema(t))) for n, t in synced_tables().items()},
    },
    name="Export",
)
