"""Ada's examples of the calls of `/users`. Their words are the views' docstrings."""

from marshmallow import Schema, fields

from melon_api.auth.docs import ADA, NEW_PASSWORD, SESSION, TOO_SHORT, USER
from melon_api.auth.schemas import SessionSchema, UserSchema
from melon_api.passwordless.docs import BY_TOKEN, PROVIDER
from melon_api.passwordless.sentences import BAD_TOKEN, HAS_ANOTHER, NO_PROVIDER, NOT_LINKED
from melon_api.spaces.schemas import SpaceSchema
from melon_api.sync.discovery import synced_tables
from melon_api.sync.docs.examples import records
from melon_api.sync.docs.schemas import pulled_schemas, schema_of
from melon_api.web.openapi.call import Call, Example, Problem

# An app's tables of the names that an export has itself: no table has a dot in its name.
EXPORTED_AS = {name: f"records.{name}" for name in ("user", "sessions", "spaces")}

NEW_ADDRESS = {"email": "ada.lovelace@example.com", "current_password": ADA["password"]}
CHANGE = {"current_password": ADA["password"], "new_password": NEW_PASSWORD}
DELETION = {"password": ADA["password"]}
WRONG = ["This is not the account's password."]
NOT_HERS = {"current_password": "wrong"}
ME = {"user": Example("The caller", USER)}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    refused = {"current_password": WRONG}
    everything = {"user": USER, "sessions": [SESSION]}
    everything |= {EXPORTED_AS.get(name, name): found for name, found in records().items()}
    return {
        "upgrade": Call(
            requests={
                "whole": Example("With a password and a name", ADA | {"name": "Ada"}),
                "shortest": Example("The least", {"email": ADA["email"]}),
            },
            answers=ME,
            problems={
                "email_taken": Problem({"email": ADA["email"]}),
                "forbidden": Problem({"email": ADA["email"]}),
                "validation_failed": Problem(ADA | {"password": "short"}, TOO_SHORT),
            },
        ),
        "link_identity": Call(
            requests={"link": Example("What the provider gave", BY_TOKEN)},
            answers={"user": Example("The caller", USER | {"identities": ["google"]})},
            path={"provider": PROVIDER},
            problems={
                "not_found": Problem(detail=NO_PROVIDER),
                "identity_taken": Problem(BY_TOKEN, detail=HAS_ANOTHER),
                "validation_failed": Problem({"id_token": "no"}, {"id_token": [BAD_TOKEN]}),
            },
        ),
        "unlink_identity": Call(
            path={"provider": PROVIDER},
            problems={"not_found": Problem(detail=NOT_LINKED), "last_identity": Problem()},
        ),
        "get_me": Call(answers=ME),
        "update_me": Call(
            requests={
                "name": Example("Another name", {"name": "Ada"}),
                "email": Example("Another address", NEW_ADDRESS),
            },
            answers=ME,
            problems={
                "email_taken": Problem(NEW_ADDRESS),
                "validation_failed": Problem(NEW_ADDRESS | NOT_HERS, refused),
            },
        ),
        "delete_me": Call(
            requests={"delete": Example("With the password", DELETION)},
            problems={"validation_failed": Problem({"password": "wrong"}, {"password": WRONG})},
        ),
        "change_password": Call(
            requests={"change": Example("A new password", CHANGE)},
            problems={"validation_failed": Problem(CHANGE | NOT_HERS, refused)},
        ),
        "export_me": Call(
            gives=export_schema(), answers={"export": Example("All of it", everything)}
        ),
    }


def export_schema() -> type[Schema]:
    """With the tables that this server has."""
    sessions = fields.List(fields.Nested(SessionSchema), required=True)
    tables = {
        EXPORTED_AS.get(name, name): fields.List(fields.Nested(schema), required=True)
        for name, schema in pulled_schemas(synced_tables()).items()
    }
    user = fields.Nested(UserSchema, required=True)
    spaces = fields.List(fields.Nested(SpaceSchema))
    head = {"user": user, "sessions": sessions, "spaces": spaces}
    return schema_of({**head, **tables}, "Export")
