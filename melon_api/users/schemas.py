"""Bodies of the account calls."""

from marshmallow import Schema, fields

from melon_api.auth.schemas import NEW_PASSWORD, PASSWORD, EmailAddress, Name
from melon_api.models.user import NAME_LENGTH


class ProofSchema(Schema):
    """What proves oneself in place of the password (contract, Accounts 18)."""

    id_token = fields.String(
        metadata={"description": "of a linked identity, in place of the password; of 5 minutes"}
    )
    nonce = fields.String(allow_none=True, metadata={"description": "goes with id_token"})
    code = fields.String(metadata={"description": "mailed, in place of the password"})


class PasswordSchema(ProofSchema):
    current_password = fields.String(metadata=PASSWORD)
    new_password = fields.String(required=True, metadata=NEW_PASSWORD)


class DeletionSchema(ProofSchema):
    password = fields.String(metadata=PASSWORD)


class ProfileSchema(ProofSchema):
    """A change of the profile; what is absent stays."""

    name = Name(NAME_LENGTH)
    email = EmailAddress()
    current_password = fields.String(
        metadata=PASSWORD | {"description": "or another proof: needed with email"}
    )
