"""`/auth`: the sign-ins without a password."""

from typing import Any

from melon_api.auth import recovery
from melon_api.auth.guard import device_of
from melon_api.auth.schemas import SignedInSchema
from melon_api.passwordless import docs, guests, identities, sign_ins
from melon_api.passwordless.entrance import Entry
from melon_api.passwordless.schemas import CodeSchema, CodeSignInSchema, GuestSchema, IdTokenSchema
from melon_api.web.calls import Created, accepts, answers
from melon_api.web.limits import limited_anonymous, limited_mail, may_mail
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


@blueprint.post("/oidc/<provider>")
@accepts(IdTokenSchema)
@limited_anonymous("LOGIN")
@answers(200, SignedInSchema, creates=True)
def sign_in_with_provider(body: dict[str, Any], provider: str) -> Any:
    """Sign a phone in by an ID token of Apple, Google or another provider; 201 where it is new

    Signs a phone in by an ID token that the app has of the provider, and opens an account where
    there is none. Where the provider calls an address verified that an account here has not
    confirmed, what was set up there before is void; one that was confirmed is linked.
    """
    entry = identities.sign_in(provider, body, device_of(body))
    user = entry.signed_in.user
    unproved = user.email if entry.is_new and not user.email_verified else None
    if unproved and may_mail(unproved):  # or it is asked for later, by `resend`
        recovery.send_verification(user.id, unproved)
    return _told(entry)


@blueprint.post("/code")
@accepts(CodeSchema)
@limited_mail()  # first: of the codes of a day those count that are mailed
@limited_anonymous("CODE")
@answers(202)
def request_code(body: dict[str, str]) -> None:
    """Mail a code of six digits; the answer does not tell whether there is an account

    Mails a code of six digits that signs in, or proves that the caller is the account's holder. It
    works once, for 10 minutes; a new one ends the one before, as five wrong guesses do.
    """
    sign_ins.request_code(body["email"])


@blueprint.post("/code/verify")
@accepts(CodeSignInSchema)
@limited_anonymous("LOGIN")
@answers(200, SignedInSchema, creates=True)
def sign_in_with_code(body: dict[str, Any]) -> Any:
    """Sign a phone in by a mailed code; 201 where the account is new

    Signs a phone in by the code that was mailed to the address, and opens an account where there is
    none. Where an account has the address without having confirmed it, what was set up before is
    void: password, sessions, identities.
    """
    return _told(sign_ins.by_code(body["email"], body["code"], body["name"], device_of(body)))


def _told(entry: Entry) -> Any:
    answer = entry.signed_in.answer
    return Created(answer) if entry.is_new else answer
