"""`/users`: the caller's own account."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, request

from melon_api.auth.accounts import Profile
from melon_api.auth.guard import caller, signed_in
from melon_api.auth.schemas import SessionSchema, UserSchema
from melon_api.bulkheads import scans
from melon_api.passwordless import guests, identities, proofs
from melon_api.passwordless.schemas import IdTokenSchema, UpgradeSchema
from melon_api.spaces.schemas import SpaceSchema
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.users import docs, service
from melon_api.users.schemas import DeletionSchema, PasswordSchema, ProfileSchema
from melon_api.web.answer import respond
from melon_api.web.calls import accepts, answers
from melon_api.web.limits import limited, limited_mail
from melon_api.web.openapi.call import Blueprint
from melon_api.web.request import API

blueprint = Blueprint("users", __name__, "User", docs.calls, url_prefix=f"{API}/users")


@limited("LOGIN")
def _check_deletion(body: dict[str, str | None]) -> None:
    proofs.check(caller(), body, "password")


@limited("LOGIN")
def _check_change(body: dict[str, str | None]) -> None:
    service.check_change(caller(), body)


@limited("LOGIN", when=lambda body: "email" in body)
def _check_profile(body: dict[str, str | None]) -> None:
    service.check_profile(caller(), body)


@limited("LOGIN")
def _check_link(body: dict[str, Any]) -> None:
    token, provider = body.get("id_token"), (request.view_args or {})["provider"]
    if token is not None:
        identities.check_link(caller(), provider, token, body.get("nonce"))


@blueprint.get("/me")
@signed_in()
@answers(200, UserSchema)
def get_me() -> Profile:
    """The caller's account

    The caller's account. Times are in ISO 8601, UTC.
    """
    return service.profile(caller())


@blueprint.delete("/me")
@signed_in()
@accepts(DeletionSchema, _check_deletion, needed=False)
@limited("LOGIN")
@answers(204)
def delete_me(body: dict[str, str]) -> None:
    """Delete the account and all its data, for good

    Deletes the account and all its data, for good. Every phone is signed out.
    """
    service.delete_account(caller(), body)


@blueprint.post("/me/password")
@signed_in()
@accepts(PasswordSchema, _check_change)
@limited("LOGIN")
@limited_mail()
@answers(204)
def change_password(body: dict[str, str]) -> None:
    """Set a new password; every other phone is signed out

    Sets a new password; every other phone is signed out. A wrong `current_password` is 422: a 401
    would send the app to its refresh.
    """
    service.change_password(caller(), body)


@blueprint.get("/me/export")
@signed_in()
def export_me() -> Response:
    """Everything stored of the caller, as a download

    Everything that is stored of the caller, as a JSON download: the account, its sessions (those
    that have ended, too) and every record.
    """
    found = scans.run_for(caller().user_id, lambda: service.export(caller()))
    user = UserSchema().dump(found.user)
    sessions = SessionSchema(many=True).dump(found.sessions)
    spaces = SpaceSchema(many=True).dump(found.spaces)
    head = {"user": user, "sessions": sessions} | ({"spaces": spaces} if spaces else {})
    response = respond(_export(head, found.records), found.records)
    response.headers["Content-Disposition"] = 'attachment; filename="export.json"'
    return response


def _export(head: dict[str, Any], records: ChangesText) -> Iterator[bytes]:
    yield orjson.dumps(head)[:-1]
    for name in synced_tables():
        yield f',"{docs.EXPORTED_AS.get(name, name)}":['.encode()
        yield from records.values(name, "created")
        yield b"]"
    yield b"}"


@blueprint.post("/me/upgrade")
@signed_in()
@accepts(UpgradeSchema, guests.check_upgrade)
@limited("REGISTER")
@limited_mail()
@answers(200, UserSchema)
def upgrade(body: dict[str, Any]) -> Profile:
    """Give a guest an address, and a password if it likes; all that it has stays

    Gives a guest an address: it keeps its id, its sessions and its records, and has a way in from
    other phones, by the password or by a mailed code. A mail asks to confirm the address. 403 for
    an account that is no guest.
    """
    return guests.upgrade(caller(), body)


@blueprint.post("/me/identities/<provider>")
@signed_in()
@accepts(IdTokenSchema, _check_link)
@limited("LOGIN")
@answers(200, UserSchema)
def link_identity(body: dict[str, Any], provider: str) -> Profile:
    """Link an identity of a provider to the caller's account; signs nobody in

    Links an identity to the caller's account, which it leads into from then on. A guest is none any
    more; an account without an address takes the provider's verified one, if it is nobody's. One of
    each provider at most.
    """
    code = body["authorization_code"]
    return identities.link(caller(), provider, body["id_token"], body["nonce"], code)


@blueprint.delete("/me/identities/<provider>")
@signed_in()
@answers(204)
def unlink_identity(provider: str) -> None:
    """Take an identity away; 409 for the last way into the account

    Takes an identity away. 409 where nothing else leads into the account: no password with its
    address, no confirmed address, no other identity.
    """
    identities.unlink(caller(), provider)


@blueprint.patch("/me")
@signed_in()
@accepts(ProfileSchema, _check_profile)
@limited("LOGIN", when=lambda body: "email" in body)
@limited_mail(when=lambda body: "email" in body)
@answers(200, UserSchema)
def update_me(body: dict[str, Any]) -> Profile:
    """Change the name or, with the password, the e-mail address

    Changes the name, the address or both; what is absent stays. A new address needs
    `current_password`; the old one is told, the new one is asked to be confirmed.
    """
    return service.change_profile(caller(), body)
