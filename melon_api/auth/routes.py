"""`/auth`: register, login, refresh, logout; what goes by mail."""

from typing import Any

from melon_api.auth import docs, recovery, service
from melon_api.auth import sessions as devices
from melon_api.auth.guard import bearer_token, caller, claims, device_of, signed_in
from melon_api.auth.schemas import (
    ForgotSchema,
    LoginSchema,
    MailedTokenSchema,
    RegisterSchema,
    ResetSchema,
    SessionSchema,
    SignedInSchema,
    TokenSchema,
)
from melon_api.auth.sessions import SignIn
from melon_api.auth.tokens import TokenPair
from melon_api.web.calls import accepts, answers
from melon_api.web.limits import limited, limited_anonymous, limited_mail, may_mail
from melon_api.web.openapi.call import Blueprint
from melon_api.web.request import API

blueprint = Blueprint("auth", __name__, "Accounts", docs.calls, url_prefix=f"{API}/auth")


@limited_anonymous("LOGIN")
def _check_reset(body: dict[str, str | None]) -> None:
    recovery.check_reset(body.get("token"), body.get("new_password"))


@limited_anonymous("LOGIN")
def _check_verification(body: dict[str, str | None]) -> None:
    recovery.check_verification(body.get("token"))


@blueprint.post("/register")
@accepts(RegisterSchema, service.check_registration)
@limited_anonymous("REGISTER")
@limited_mail()
@answers(201, SignedInSchema)
def register(body: dict[str, Any]) -> dict[str, Any]:
    """Open an account; the phone is signed in with it

    Opens an account and signs the phone in with it. An address is unique regardless of case. A
    password has 8 to 128 characters, any Unicode, and is none of the most common ones. `device_id`,
    chosen by the app, tells that a later sign-in is the same phone with the same local database. A
    mail asks to confirm the address.
    """
    return service.register(body["email"], body["password"], body["name"], device_of(body)).answer


@blueprint.post("/login")
@accepts(LoginSchema)
@limited_anonymous("LOGIN")
@answers(200, SignedInSchema)
def login(body: dict[str, Any]) -> dict[str, Any]:
    """Sign a phone in; other phones of the account stay signed in

    Signs a phone in; other phones of the account stay signed in. An unknown address and a wrong
    password answer alike, in body, status and time.
    """
    return service.login(body["email"], body["password"], device_of(body)).answer


@blueprint.post("/refresh")
@signed_in("refresh")
@limited("REFRESH")
@answers(200, TokenSchema)
def refresh() -> TokenPair:
    """Exchange the refresh token (as bearer) for a new pair; for 30 s a lost answer is repeated

    Exchanges the refresh token, sent as bearer, for a new pair. A refresh token works once; its
    direct predecessor is answered with the same pair for 30 seconds, for a phone that lost the
    answer. The use of an older one ends the session.
    """
    return service.refresh(caller(), bearer_token(), claims()["gen"])


@blueprint.post("/logout")
@signed_in("access", "refresh")
@answers(204)
def logout() -> None:
    """Sign this phone out; its tokens stop working at once

    Signs this phone out, by its access or its refresh token; both stop working at once.
    """
    devices.logout(caller())


@blueprint.post("/logout-all")
@signed_in()
@answers(204)
def logout_all() -> None:
    """Sign every phone out, this one too

    Signs every phone of the account out, this one too, at once.
    """
    devices.logout_all(caller())


@blueprint.get("/sessions")
@signed_in()
@answers(200, SessionSchema, many=True)
def list_sessions() -> list[SignIn]:
    """The phones that are signed in

    The phones that are signed in, each of them one session; `current` is the one that asks.
    """
    return devices.sign_ins(caller())


@blueprint.delete("/sessions/<session_id>")
@signed_in()
@answers(204)
def end_session(session_id: str) -> None:
    """Sign one phone out; 404 for one that is not the caller's

    Signs one phone out, as `GET /auth/sessions` names it. 404 for a session that is not the
    caller's, or has ended.
    """
    devices.end_session(caller(), session_id)


@blueprint.post("/password/forgot")
@accepts(ForgotSchema)
@limited_anonymous("FORGOT")
@answers(202)
@limited_mail(quietly=True)
def forgot_password(body: dict[str, str]) -> None:
    """Mail a token to set a new password, if there is such an account; the answer does not tell

    Mails a token to set a new password, if there is such an account. The answer is 202 whether or
    not there is.
    """
    recovery.forgot(body["email"])


@blueprint.post("/password/reset")
@accepts(ResetSchema, _check_reset)
@limited_anonymous("LOGIN")
@answers(204)
def reset_password(body: dict[str, str]) -> None:
    """Set a new password by the mailed token, once; every phone is signed out

    Sets a new password by the mailed token: once, within 30 minutes. Every phone is signed out.
    """
    email = recovery.reset(body["token"], body["new_password"])
    if may_mail(email):  # or the mails with its tokens are what its owner has been told
        recovery.notify("password_changed", email)


@blueprint.post("/email/verify")
@accepts(MailedTokenSchema, _check_verification)
@limited_anonymous("LOGIN")
@answers(204)
def verify_email(body: dict[str, str]) -> None:
    """Confirm an e-mail address by the mailed token

    Confirms an address by the mailed token, within 3 days. A second time is fine, too: the first
    answer may have been lost.
    """
    recovery.verify(body["token"])


@blueprint.post("/email/resend")
@signed_in()
@limited("FORGOT")
@answers(202)
def resend_verification() -> None:
    """Mail another token to confirm the caller's address

    Mails another token to confirm the caller's address; nothing where that is done.
    """
    recovery.resend(caller())
