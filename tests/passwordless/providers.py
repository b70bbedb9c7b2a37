"""A local issuer as this server's `google` and `apple`, and what people do with its tokens."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devices import API, Device, note_tokens
from flask import Flask
from issuer import LocalIssuer

from melon_api.passwordless.oidc.keys import Issuer
from melon_api.passwordless.oidc.provider import AppleKey, Provider

CLIENTS = frozenset({"app.melon", "web.melon"})


@contextmanager
def known(app: Flask, issuer: LocalIssuer, key: AppleKey | None = None) -> Iterator[None]:
    """The application knows two providers, as its settings would name them; no keys yet."""
    before = app.extensions["oidc"]
    app.extensions["oidc"] = {
        name: Issuer(Provider(name, issuer.url, CLIENTS, key), loopback=True)
        for name in ("google", "apple")
    }
    try:
        yield
    finally:
        app.extensions["oidc"] = before


def address() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.json["code"]


def sign_in(app: Flask, token: str, provider: str = "google", **more: Any) -> Any:
    body = {"id_token": token, **more}
    answer = app.test_client().post(f"{API}/auth/oidc/{provider}", json=body)
    if answer.status_code < 300:
        note_tokens(answer.json["access_token"], answer.json["refresh_token"])
    return answer


def link(device: Device, token: str, provider: str = "google", **more: Any) -> Any:
    body = {"id_token": token, **more}
    return device.call("POST", f"/users/me/identities/{provider}", json=body)


def unlink(device: Device, provider: str = "google") -> Any:
    return device.call("DELETE", f"/users/me/identities/{provider}")


def me(device: Device) -> dict[str, Any]:
    return dict(device.call("GET", "/users/me").json)


def ways(user: dict[str, Any]) -> tuple[Any, ...]:
    names = ("email", "is_guest", "has_password", "email_verified", "identities")
    return tuple(user[name] for name in names)
