"""`/auth`: the sign-ins without a password."""

from typing import Any

from melon_api.auth.guard import device_of
from melon_api.auth.schemas import SignedInSchema
from melon_api.passwordless import docs, guests
from melon_api.passwordless.schemas import GuestSchema
from melon_api.web.calls import accepts, answers
from melon_api.web.limits import limited_anonymous
from melon_api.web.openapi.call import Blueprint
from melon_api.web.request import API

blueprint = Blueprint("passwordless", __name__, "Accounts", docs.calls, url_prefix=f"{API}/auth")


@blueprint.post("/guest")
@accepts(GuestSchema, needed=False)
@limited_anonymous("GUEST")
@answers(201, SignedInSchema)
def guest(body: dict[str, Any]) -> dict[str, Any]:
    """Open an account of nobody known yet; the phone is signed in and may sync

    Opens an account without address or password and signs the phone in with it. It syncs at once,
    and becomes somebody's by `POST /users/me/upgrade` or by linking an identity. Who signs out of
    it before has lost it.
    """
    return guests.open_guest(body["name"], device_of(body)).answer
