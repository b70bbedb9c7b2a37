"""Bodies of the calls of spaces."""

from marshmallow import Schema, fields, post_dump, validate

from melon_api.auth.schemas import EmailAddress
from melon_api.models.space import ROLES, SPACE_NAME_LENGTH
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.tables import ID


class SpaceName(fields.String):
    """1 to 255 characters."""

    def __init__(self) -> None:
        super().__init__(required=True, validate=validate.Length(1, SPACE_NAME_LENGTH))


class Role(fields.String):
    """What somebody may do: owners all, editors change records, readers read them."""

    def __init__(self) -> None:
        super().__init__(required=True, validate=validate.OneOf(ROLES))


class RenamedSpaceSchema(Schema):
    name = SpaceName()


class NewSpaceSchema(RenamedSpaceSchema):
    id = fields.String(
        validate=validate.Regexp(ID, error=BAD_ID[0]),
        metadata={
            "description": "Chosen by the app, so that the call may be repeated",
            "pattern": "^[A-Za-z0-9_.-]{1,36}$",  # as JavaScript writes it
        },
    )


class RoleSchema(Schema):
    role = Role()


class NewInvitationSchema(RoleSchema):
    email = EmailAddress(
        load_default=None, allow_none=True, metadata={"description": "where it is mailed"}
    )


class JoinSchema(Schema):
    token = fields.String(required=True, metadata={"description": "of an invitation"})


class SpaceSchema(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    role = Role()
    members = fields.Integer(required=True, metadata={"description": "how many"})
    created_at = fields.DateTime(required=True, format="iso")


class MemberSchema(Schema):
    user_id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    role = Role()
    joined_at = fields.DateTime(required=True, format="iso")


class InvitationSchema(Schema):
    id = fields.String(required=True)
    role = Role()
    email = fields.Email(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, format="iso")


class NewlyInvitedSchema(InvitationSchema):
    """With its token, unless that was mailed."""

    token = fields.String()

    @post_dump
    def _without_mailed(self, shown: dict[str, object], **_: object) -> dict[str, object]:
        return {name: value for name, value in shown.items() if (name, value) != ("token", None)}
