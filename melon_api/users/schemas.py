"""Bodies of the account calls."""

from marshmallow import Schema, fields, validate

from melon_api.auth.schemas import EmailAddress, Name
from melon_api.models.user import EMAIL_LENGTH, NAME_LENGTH


class ProfileSchema(Schema):
    """A change of the profile; what is absent stays."""

    name = Name(NAME_LENGTH)
    email = EmailAddress(validate=validate.Length(max=EMAIL_LENGTH))
    current_password = fields.String(metadata={"description": "needed with email"})
