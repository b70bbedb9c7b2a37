"""The key that signs tokens: changed without signing anyone out, and the only thing that counts."""

import base64
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from conftest import NO_DATABASE, environment, make_app
from devices import Account, Device, created, project
from flask import Flask

from melon_api.auth.tokens import key_id

OLD, NEW = "old" * 30, "new" * 30  # long enough for any algorithm
Rotate = Callable[..., None]


@pytest.fixture
def keys(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    """Deploy with these keys, the one that signs first."""

    def deploy(*keys: str) -> None:
        monkeypatch.setitem(app.extensions, "token_keys", {key_id(key): key for key in keys})

    deploy(OLD)
    return deploy


def code(answer: Any) -> str:
    return str(answer.json["code"])


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def refreshed(phone: Device, token: str | None = None) -> Device:
    answer = phone.call("POST", "/auth/refresh", token or phone.refresh_token)
    assert answer.status_code == 200, answer.text
    return Device(phone.http.application, answer.json)


def test_nobody_is_signed_out_when_the_key_changes(keys: Rotate, app: Flask) -> None:
    phone = Account(app).first
    for deployed in ((OLD, NEW), (NEW, OLD)):
        keys(*deployed)
        assert phone.call("GET", "/users/me").status_code == 200
        phone = refreshed(phone)
        assert kid(phone.access_token) == kid(phone.refresh_token) == key_id(deployed[0])
    keys(NEW)
    assert phone.call("GET", "/users/me").status_code == 200
    assert refreshed(phone).call("GET", "/users/me").status_code == 200


def test_a_lost_answer_is_repeated_after_the_key_has_changed(keys: Rotate, app: Flask) -> None:
    """Contract, Accounts 2: the same successor, although another key signs now."""
    phone = Account(app).first
    lost = refreshed(phone)
    keys(NEW, OLD)
    again = refreshed(phone)
    assert again.refresh_token == lost.refresh_token
    assert refreshed(again).call("GET", "/users/me").status_code == 200


def test_a_page_goes_on_after_the_key_has_changed(keys: Rotate, app: Flask) -> None:
    phone = Account(app).first
    phone.push(projects=created(*(project() for _ in range(3))))
    first = phone.ask_pull(None, limit=2).json
    keys(NEW, OLD)
    rest = phone.ask_pull(None, limit=2, cursor=first["cursor"])
    assert rest.status_code == 200
    assert len(rest.json["changes"]["projects"]["created"]) == 1


def test_a_dropped_key_counts_no_more(keys: Rotate, app: Flask) -> None:
    phone = Account(app).first
    keys(NEW)
    assert code(phone.call("GET", "/users/me")) == "token_invalid"
    assert code(phone.call("POST", "/auth/refresh", phone.refresh_token)) == "token_invalid"


def forged(token: str, key: str, algorithm: str = "HS256", **header: Any) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm=algorithm, headers=header or None)


def test_a_token_without_a_key_id_is_of_the_current_key(keys: Rotate, app: Flask) -> None:
    """RFC 7515 §4.1.4: `kid` is optional."""
    phone = Account(app).first
    keys(NEW, OLD)
    assert phone.call("GET", "/users/me", forged(phone.access_token, NEW)).status_code == 200
    answer = phone.call("GET", "/users/me", forged(phone.access_token, OLD))
    assert code(answer) == "token_invalid"


@NO_DATABASE
@pytest.mark.parametrize("name", ["unknown", "", 7, None, ["x"], {"a": 1}, "../etc/passwd"])
def test_an_unknown_key_counts_for_nothing(keys: Rotate, app: Flask, name: Any) -> None:
    phone = Account(app).first
    head, claims, _ = phone.access_token.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    bad = base64.urlsafe_b64encode(json.dumps(header | {"kid": name}).encode()).decode().rstrip("=")
    signed = jwt.api_jws.PyJWS()._algorithms["HS256"]
    signature = signed.sign(f"{bad}.{claims}".encode(), OLD.encode())
    token = f"{bad}.{claims}." + base64.urlsafe_b64encode(signature).decode().rstrip("=")
    answer = phone.call("GET", "/users/me", token)
    assert (answer.status_code, code(answer)) == (401, "token_invalid")


@NO_DATABASE
@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_no_other_algorithm_counts(keys: Rotate, app: Flask, algorithm: str) -> None:
    """RFC 8725 §3.1: the algorithm is ours to choose, not the token's."""
    phone = Account(app).first
    key = "" if algorithm == "none" else OLD
    token = forged(phone.access_token, key, algorithm, kid=key_id(OLD))
    assert code(phone.call("GET", "/users/me", token)) == "token_invalid"


def test_a_public_key_is_no_shared_secret(keys: Rotate, app: Flask) -> None:
    """An RS256 header over an HS256 signature, the classic confusion."""
    phone = Account(app).first
    _, claims, signature = phone.access_token.split(".")
    header = {"alg": "RS256", "typ": "JWT", "kid": key_id(OLD)}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    answer = phone.call("GET", "/users/me", f"{head}.{claims}.{signature}")
    assert code(answer) == "token_invalid"


def signed(head: Any, claims: Any) -> str:
    """A token with any header and any claims, rightly signed."""
    parts = [json.dumps(part).encode() for part in (head, claims)]
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(OLD.encode(), message, "sha256")
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture
def phone(plain_app: Flask) -> Device:
    plain_app.extensions["token_keys"] = {key_id(OLD): OLD}
    return Account(plain_app).first


HEAD = {"alg": "HS256", "typ": "JWT", "kid": key_id(OLD)}
ODD_HEADS: list[Any] = [[], "x", 7, None, {}, {"kid": key_id(OLD)}, HEAD | {"kid": "x" * 9999}]
ODD_HEADS += [HEAD | {"alg": alg} for alg in (None, 7, ["HS256"], {"HS256": 1}, "", "hs256")]
ODD_HEADS += [HEAD | {"b64": False}, HEAD | {"b64": False, "crit": ["b64"]}]
ODD_HEADS += [HEAD | {"crit": crit} for crit in (["x"], [], "x", 7)]


def test_odd_headers_are_refused(phone: Device) -> None:
    """However well they are signed; never a 500."""
    claims = jwt.decode(phone.access_token, options={"verify_signature": False})
    assert phone.call("GET", "/users/me", signed(HEAD, claims)).status_code == 200
    for head in ODD_HEADS:
        answer = phone.call("GET", "/users/me", signed(head, claims))
        assert (answer.status_code, code(answer)) == (401, "token_invalid"), head


ODD_VALUES = (None, True, 7, -1, 9e9, 1e300, float("inf"), "", "x", "ü", [1], {}, "9" * 30)
NAMES = ("exp", "iat", "nbf", "sub", "sid", "type", "jti", "aud", "iss", "fresh", "gen")


def test_odd_claims_are_no_crash(phone: Device) -> None:
    """Of a token that nobody but us could have signed."""
    good = jwt.decode(phone.access_token, options={"verify_signature": False})
    tokens = [good | {name: value} for name in NAMES for value in ODD_VALUES]
    tokens += [{k: v for k, v in good.items() if k != name} for name in good]
    for claims in (*tokens, [], "x", 7, None, {}):
        for method, path in (("GET", "/users/me"), ("POST", "/auth/refresh")):
            answer = phone.call(method, path, signed(HEAD, claims))
            assert answer.status_code in (200, 401), (path, claims)


def test_the_key_changes_by_the_settings(tmp_path: Path) -> None:
    """docs/security.md, step by step: nobody is signed out, and the old key is out in the end."""

    def deploy(key: str, *former: str) -> Flask:
        keys = {"JWT_SECRET_KEY": key, "JWT_PREVIOUS_KEYS": ",".join(former)}
        url = f"sqlite:///{tmp_path}/keys.db"
        return make_app(environment("sqlite", url, **keys), tmp_path)

    phone = Account(deploy(OLD)).first
    first = phone.access_token
    for app in (deploy(OLD, NEW), deploy(NEW, OLD), deploy(NEW)):
        phone.http = app.test_client()
        assert phone.call("GET", "/users/me").status_code == 200
        phone = refreshed(phone)
    assert kid(phone.access_token) == kid(phone.refresh_token) == key_id(NEW)
    assert code(phone.call("GET", "/users/me", first)) == "token_invalid"
