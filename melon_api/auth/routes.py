"""`/auth`: register, login, refresh, logout; what goes by mail."""

from typing import Any

from flask import request

from melon_api.auth import docs, recovery, service
from melon_api.auth import sessions as devices
from melon_api.auth.guard import bearer_token, caller, claims, signed_in
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
from melon_api.auth.service import SignedIn
from melon_api.auth.sessions import Device, SignIn
from melon_api.auth.tokens import TokenPair
from melon_api.web.limits import limited, limited_anonymous
from melon_api.web.openapi.api import Blueprint
from melon_api.web.request import API

blueprint = Blueprint(
    "auth", __name__, url_prefix=f"{API}/auth", tag="Accounts", calls=lambda: docs.CALLS
)


@blueprint.post("/register")
@blueprint.arguments(RegisterSchema)
@limited_anonymous("REGISTER")
@blueprint.response(201, SignedInSchema)
def register(body: dict[str, Any]) -> dict[str, Any]:
    """Open an account; the phone is signed in with it"""
    answer = service.register(body["email"], body["password"], body["name"], _device(body))
    return _signed_in(answer)


@blueprint.post("/login")
@blueprint.arguments(LoginSchema)
@limited_anonymous("LOGIN")
@blueprint.response(200, SignedInSchema)
def login(body: dict[str, Any]) -> dict[str, Any]:
    """Sign a phone in; other phones of the account stay signed in"""
    return _signed_in(service.login(body["email"], body["password"], _device(body)))


@blueprint.post("/refresh")
@signed_in("refresh")
@limited("REFRESH")
@blueprint.response(200, TokenSchema)
def refresh() -> TokenPair:
    """Exchange the refresh token (as bearer) for a new pair; for 30 s a lost answer is repeated"""
    return service.refresh(caller(), bearer_token(), claims()["gen"])


@blueprint.post("/logout")
@signed_in("access", "refresh")
@blueprint.response(204)
def logout() -> None:
    """Sign this phone out; its tokens stop working at once"""
    devices.logout(caller())


@blueprint.post("/logout-all")
@signed_in()
@blueprint.response(204)
def logout_all() -> None:
    """Sign every phone out, this one too"""
    devices.logout_all(caller())


@blueprint.get("/sessions")
@signed_in()
@blueprint.response(200, SessionSchema(many=True))
def sessions() -> list[SignIn]:
    """The phones that are signed in"""
    return devices.sign_ins(caller())


@blueprint.delete("/sessions/<session_id>", parameters=[docs.SESSION_ID])
@signed_in()
@blueprint.response(204)
def end_session(session_id: str) -> None:
    """Sign one phone out; 404 for one that is not the caller's"""
    devices.end_session(caller(), session_id)


@blueprint.post("/password/forgot")
@blueprint.arguments(ForgotSchema)
@limited_anonymous("FORGOT")
@blueprint.response(202)
def forgot_password(body: dict[str, str]) -> None:
    """Mail a token to set a new password, if there is such an account; the answer does not tell"""
    recovery.forgot(body["email"])


@blueprint.post("/password/reset")
@blueprint.arguments(ResetSchema)
@limited_anonymous("LOGIN")
@blueprint.response(204)
def reset_password(body: dict[str, str]) -> None:
    """Set a new password by the mailed token, once; every phone is signed out"""
    recovery.reset(body["token"], body["new_password"])


@blueprint.post("/email/verify")
@blueprint.arguments(MailedTokenSchema)
@limited_anonymous("LOGIN")
@blueprint.response(204)
def verify_email(body: dict[str, str]) -> None:
    """Confirm an e-mail address by the mailed token"""
    recovery.verify(body["token"])


@blueprint.post("/email/resend")
@signed_in()
@limited("FORGOT")
@blueprint.response(202)
def resend_verification() -> None:
    """Mail another token to confirm the caller's address"""
    recovery.resend(caller())


def _device(body: dict[str, Any]) -> Device:
    return Device(body["device_id"], body["device_name"], request.headers.get("User-Agent"))


def _signed_in(answer: SignedIn) -> dict[str, Any]:
    return {**vars(answer.tokens), "user": answer.user}
