"""`/auth`: register, login, refresh, logout."""

from typing import Any

from flask import request

from melon_api.auth import service
from melon_api.auth.guard import bearer_token, caller, claims, signed_in
from melon_api.auth.schemas import (
    LoginSchema,
    RegisterSchema,
    SessionSchema,
    SignedInSchema,
    TokenSchema,
)
from melon_api.auth.service import Device, SignedIn, SignIn
from melon_api.auth.tokens import TokenPair, digest
from melon_api.extensions import limiter
from melon_api.http import API
from melon_api.ops.openapi import Blueprint


def _token_digest() -> str:
    """Many phones refresh through one address: each token has a limit of its own."""
    return digest(request.headers.get("Authorization", ""))


blueprint = Blueprint("auth", __name__, url_prefix=f"{API}/auth", description="Sign in and out")


@blueprint.post("/register")
@limiter.limit("30/minute")
@blueprint.arguments(RegisterSchema)
@blueprint.response(201, SignedInSchema)
def register(body: dict[str, Any]) -> dict[str, Any]:
    """Open an account; the phone is signed in with it"""
    answer = service.register(body["email"], body["password"], body["name"], _device(body))
    return _signed_in(answer)


@blueprint.post("/login")
@limiter.limit("30/minute")
@blueprint.arguments(LoginSchema)
@blueprint.response(200, SignedInSchema)
def login(body: dict[str, Any]) -> dict[str, Any]:
    """Sign a phone in; other phones of the account stay signed in"""
    return _signed_in(service.login(body["email"], body["password"], _device(body)))


@blueprint.post("/refresh")
@limiter.limit("30/minute", key_func=_token_digest)
@signed_in("refresh")
@blueprint.response(200, TokenSchema)
def refresh() -> TokenPair:
    """Exchange the refresh token (as bearer) for a new pair; for 30 s a lost answer is repeated"""
    return service.refresh(caller(), bearer_token(), claims()["gen"])


@blueprint.post("/logout")
@signed_in("access", "refresh")
@blueprint.response(204)
def logout() -> None:
    """Sign this phone out; its tokens stop working at once"""
    service.logout(caller())


@blueprint.post("/logout-all")
@signed_in()
@blueprint.response(204)
def logout_all() -> None:
    """Sign every phone out, this one too"""
    service.logout_all(caller())


@blueprint.get("/sessions")
@signed_in()
@blueprint.response(200, SessionSchema(many=True))
def sessions() -> list[SignIn]:
    """The phones that are signed in"""
    return service.sign_ins(caller())


@blueprint.delete("/sessions/<session_id>")
@signed_in()
@blueprint.response(204)
def end_session(session_id: str) -> None:
    """Sign one phone out; 404 for one that is not the caller's"""
    service.end_session(caller(), session_id)


def _device(body: dict[str, Any]) -> Device:
    return Device(body["device_id"], body["device_name"], request.headers.get("User-Agent"))


def _signed_in(answer: SignedIn) -> dict[str, Any]:
    return {**vars(answer.tokens), "user": answer.user}
