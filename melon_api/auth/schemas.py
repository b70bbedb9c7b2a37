"""Bodies of the sign-in calls."""

import re
from typing import Any

import idna
from marshmallow import Schema, fields, validate

from melon_api.auth.passwords.strength import MAX_LENGTH, MIN_LENGTH
from melon_api.models.base import EMAIL_LENGTH
from melon_api.models.session import LABEL_LENGTH
from melon_api.models.user import NAME_LENGTH

DEVICE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
PASSWORD = {"format": "password", "minLength": 1}
NEW_PASSWORD = {"format": "password", "minLength": MIN_LENGTH, "maxLength": MAX_LENGTH}


class EmailAddress(fields.Email):
    """An address in the form it is stored in: unique regardless of case, its domain as IDNA 2008
    has it (RFC 5891). Bounded before all else: what follows takes more than linear time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._bound = validate.Length(max=EMAIL_LENGTH)
        self.validators.append(self._bound)  # of the stored form as well

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        address: str = super()._deserialize(value, *args, **kwargs).strip()
        local, _, domain = self._bound(address).rpartition("@")
        # Another address in a mail's header, and what mail servers without SMTPUTF8 do not take:
        # before lower(), which makes a k of the KELVIN SIGN.
        if '"' in local or "=?" in local or not local.isascii():
            raise self.make_error("invalid")
        try:
            return f"{local.lower()}@{_ascii(domain.lower())}"
        except UnicodeError:
            raise self.make_error("invalid") from None


def _ascii(domain: str) -> str:
    """Raises UnicodeError."""
    if domain.isascii():
        return domain
    return idna.encode(domain, uts46=True).decode()


class Name(fields.String):
    """Words for people, or null."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        super().__init__(allow_none=True, validate=validate.Length(max=longest), **kwargs)


class DeviceSchema(Schema):
    """What a phone says of itself."""

    device_name = Name(LABEL_LENGTH, load_default=None)
    device_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(DEVICE_ID, error="Up to 64 of A-Z a-z 0-9 _ . -"),
        metadata={
            "description": "Chosen by the app: the same phone with the same local database, "
            "signed out and in again",
            "pattern": "^[A-Za-z0-9_.-]{1,64}$",  # as JavaScript writes it
        },
    )


class LoginSchema(DeviceSchema):
    email = EmailAddress(required=True)
    password = fields.String(required=True, metadata={"format": "password"})


class RegisterSchema(LoginSchema):
    password = fields.String(required=True, metadata=NEW_PASSWORD)
    name = Name(NAME_LENGTH, load_default=None)


class ForgotSchema(Schema):
    email = EmailAddress(required=True)


class MailedTokenSchema(Schema):
    token = fields.String(required=True, metadata={"description": "from the mail"})


class ResetSchema(MailedTokenSchema):
    new_password = fields.String(required=True, metadata=NEW_PASSWORD)


class UserSchema(Schema):
    id = fields.String(required=True)
    email = fields.Email(required=True, allow_none=True)
    name = fields.String(required=True, allow_none=True)
    is_active = fields.Boolean(required=True)
    is_guest = fields.Boolean(
        required=True, metadata={"description": "no address, no password, no identity"}
    )
    has_password = fields.Boolean(required=True)
    email_verified = fields.Boolean(required=True)
    identities = fields.List(
        fields.String(), required=True, metadata={"description": "providers that know them"}
    )
    created_at = fields.DateTime(required=True, format="iso")
    updated_at = fields.DateTime(required=True, format="iso")


class SessionSchema(Schema):
    """A device that is signed in."""

    id = fields.String(required=True)
    device_name = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True, format="iso")
    last_used_at = fields.DateTime(required=True, format="iso")
    current = fields.Boolean(required=True, metadata={"description": "the one that asks"})


class TokenSchema(Schema):
    """The token answer, with the names of RFC 6749 §5.1."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})


class SignedInSchema(TokenSchema):
    user = fields.Nested(UserSchema, required=True)
