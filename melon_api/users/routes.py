"""`/users`: the caller's own account."""

from typing import Any

from melon_api.auth.guard import caller, signed_in
from melon_api.auth.schemas import UserSchema
from melon_api.http import API
from melon_api.models.user import User
from melon_api.ops.openapi import Blueprint
from melon_api.users import service
from melon_api.users.schemas import ProfileSchema

blueprint = Blueprint("users", __name__, url_prefix=f"{API}/users", description="Own account")


@blueprint.get("/me")
@signed_in()
@blueprint.response(200, UserSchema)
def me() -> User:
    """The caller's account"""
    return service.profile(caller())


@blueprint.patch("/me")
@signed_in()
@blueprint.arguments(ProfileSchema)
@blueprint.response(200, UserSchema)
def change_me(body: dict[str, Any]) -> User:
    """Change the name or, with the password, the e-mail address"""
    return service.change_profile(caller(), body)
