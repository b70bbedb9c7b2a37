"""Bodies of the account calls."""

from marshmallow import Schema, fields

from melon_api.auth.schemas import NEW_PASSWORD, PASSWORD, EmailAddress, Name
from melon_api.models.user import NAME_LENGTH


class PasswordSchema(Schema):
    current_password = fields.String(metadata=PASSWORD)
    new_password = fields.String(required=True, metadata=NEW_PASSWORD)


class DeletionSchema(Schema):
    password = fields.String(metadata=PASSWORD)


class ProfileSchema(Schema):
    """A change of the profile; what is absent stays."""

    name = Name(NAME_LENGTH)
    email = EmailAddress()
    current_password = fields.String(metadata=PASSWORD | {"description": "needed with email"})
