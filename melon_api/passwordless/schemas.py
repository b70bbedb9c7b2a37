"""Bodies of the calls without a password."""

from marshmallow import Schema, fields

from melon_api.auth.schemas import NEW_PASSWORD, DeviceSchema, EmailAddress, Name
from melon_api.models.user import NAME_LENGTH


class GuestSchema(DeviceSchema):
    name = Name(NAME_LENGTH, load_default=None)


class CodeSchema(Schema):
    email = EmailAddress(required=True)


class CodeSignInSchema(GuestSchema, CodeSchema):
    code = fields.String(required=True, metadata={"description": "from the mail"})


class IdTokenSchema(DeviceSchema):
    """What a provider gave the app."""

    id_token = fields.String(required=True, metadata={"description": "as the provider gave it"})
    nonce = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "as the app made it: the token holds it, or its SHA-256 in hex"},
    )
    authorization_code = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "Apple's: exchanged, and revoked when the account is deleted"},
    )
    name = Name(NAME_LENGTH, load_default=None)


class UpgradeSchema(Schema):
    """An address for a guest; what is absent stays."""

    email = EmailAddress(required=True)
    password = fields.String(metadata=NEW_PASSWORD)
    name = Name(NAME_LENGTH)
