"""`/users`: the caller's own account."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response

from melon_api.auth.accounts import Profile
from melon_api.auth.guard import caller, signed_in
from melon_api.auth.schemas import SessionSchema, UserSchema
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.users import docs, service
from melon_api.users.schemas import DeletionSchema, ExportSchema, PasswordSchema, ProfileSchema
from melon_api.web.answer import respond
from melon_api.web.limits import limited
from melon_api.web.openapi.api import Blueprint
from melon_api.web.request import API

blueprint = Blueprint("users", __name__, url_prefix=f"{API}/users", tag="User", calls=docs.calls)


@blueprint.get("/me")
@signed_in()
@blueprint.response(200, UserSchema)
def me() -> Profile:
    """The caller's account"""
    return service.profile(caller())


@blueprint.delete("/me")
@signed_in()
@blueprint.arguments(DeletionSchema)
@limited("LOGIN")
@blueprint.response(204)
def delete_me(body: dict[str, str]) -> None:
    """Delete the account and all its data, for good"""
    service.delete_account(caller(), body["password"])


@blueprint.post("/me/password")
@signed_in()
@blueprint.arguments(PasswordSchema)
@limited("LOGIN")
@blueprint.response(204)
def change_password(body: dict[str, str]) -> None:
    """Set a new password; every other phone is signed out"""
    service.change_password(caller(), body["current_password"], body["new_password"])


@blueprint.get("/me/export")
@signed_in()
@blueprint.response(200, ExportSchema)
def export() -> Response:
    """Everything stored of the caller, as a download"""
    found = service.export(caller())
    user = UserSchema().dump(found.user)
    sessions = SessionSchema(many=True).dump(found.sessions)
    response = respond(_export(user, sessions, found.records), found.records)
    response.headers["Content-Disposition"] = 'attachment; filename="export.json"'
    return response


def _export(user: Any, sessions: Any, records: ChangesText) -> Iterator[bytes]:
    yield orjson.dumps({"user": user, "sessions": sessions})[:-1]
    for name in synced_tables():
        yield f',"{name}":['.encode()
        yield from records.values(name, "created")
        yield b"]"
    yield b"}"


@blueprint.patch("/me")
@signed_in()
@blueprint.arguments(ProfileSchema)
@limited("LOGIN", when=lambda body: "email" in body)
@blueprint.response(200, UserSchema)
def change_me(body: dict[str, Any]) -> Profile:
    """Change the name or, with the password, the e-mail address"""
    return service.change_profile(caller(), body)
