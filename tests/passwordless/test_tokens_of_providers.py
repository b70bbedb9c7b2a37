"""Contract, Accounts 14: what is checked of an ID token, and when keys are fetched. By a real
issuer on loopback; no database has a part in it."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from devices import Account, guest
from flask import Flask
from issuer import Key, LocalIssuer
from providers import failure, known, link, sign_in

import config
from melon_api.passwordless.oidc import keys

NOW = 1_000.0


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with LocalIssuer() as served:
        yield served


@pytest.fixture
def app(plain_app: Flask, issuer: LocalIssuer) -> Iterator[Flask]:
    with known(plain_app, issuer):
        yield plain_app


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def forged(issuer: LocalIssuer, algorithm: str) -> str:
    """Unsigned, or signed with the public key as if it were a shared one."""
    _, body, _ = issuer.token().split(".")
    header = b64(json.dumps({"alg": algorithm, "kid": issuer.keys[0].kid}).encode())
    if algorithm == "none":
        return f"{header}.{body}."
    shown = (
        issuer.keys[0]
        .private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    said = f"{header}.{body}".encode()  # HMAC by hand: PyJWT would not sign so
    return f"{header}.{body}.{b64(hmac.digest(shown, said, 'sha256'))}"


def dated(claims: dict[str, Any]) -> dict[str, Any]:
    """With its times, which are given in seconds from now."""
    now = int(time.time())
    return {
        name: now + value if name in ("exp", "iat", "nbf") and isinstance(value, int) else value
        for name, value in claims.items()
    }


GOOD: list[dict[str, Any]] = [
    {},
    {"aud": "web.melon"},
    {"aud": ["app.melon"]},
    {"aud": ["web.melon", "app.melon"], "azp": "web.melon"},
    {"exp": -30},
    {"iat": 30},
    {"iat": -86_400},
]


@pytest.mark.parametrize("claims", GOOD)
def test_a_token_for_one_of_our_apps_counts(
    app: Flask, issuer: LocalIssuer, claims: dict[str, Any]
) -> None:
    """Contract, Accounts 14: with 60 s of leeway."""
    assert sign_in(app, issuer.token(**dated(claims))).status_code == 201


BAD: list[dict[str, Any]] = [
    {"aud": "another.app"},
    {"aud": ["app.melon", "another.app"]},
    {"aud": []},
    {"aud": None},
    {"aud": 7},
    {"azp": "another.app"},
    {"iss": "https://accounts.google.com"},
    {"iss": None},
    {"exp": -90},
    {"exp": None},
    {"iat": 120},
    {"iat": None},
    {"iat": "yesterday"},
    {"nbf": 120},
    {"sub": None},
    {"sub": ""},
    {"sub": "é"},
    {"sub": "x" * 256},
    {"sub": 7},
    {"nonce": "of another sign-in"},
]


@pytest.mark.parametrize("claims", BAD)
def test_a_token_of_another_app_or_an_old_one(
    app: Flask, issuer: LocalIssuer, claims: dict[str, Any]
) -> None:
    """Contract, Accounts 14: a threat. 401 for a stranger, 422 for who is signed in."""
    token = issuer.token(**dated(claims))
    assert failure(sign_in(app, token)) == (401, "invalid_credentials")
    answer = link(guest(app), token)
    assert failure(answer) == (422, "validation_failed")
    assert list(answer.json["errors"]) == ["id_token"]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512"])
def test_alg_none_or_hs256_with_the_public_key(
    app: Flask, issuer: LocalIssuer, algorithm: str
) -> None:
    """Contract, Accounts 14: a threat."""
    assert failure(sign_in(app, forged(issuer, algorithm))) == (401, "invalid_credentials")


def test_a_signature_of_another_key_or_none_at_all(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 14."""
    real = issuer.keys[0]
    thief = Key(number=1)
    thief.kid = real.kid
    whole = issuer.token()
    for token in (issuer.token(key=thief), whole[:-8], "", "x", "a.b.c", whole + "x" * 20_000):
        assert failure(sign_in(app, token)) == (401, "invalid_credentials")
    deep = f"{b64(b'[' * 12_000)}.{b64(b'{}')}.x"
    assert failure(sign_in(app, deep)) == (401, "invalid_credentials")
    elliptic = Key("ES256")
    elliptic.kid = real.kid
    assert failure(sign_in(app, issuer.token(key=elliptic))) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    ("given", "held", "is_good"),
    [
        ("n-1", "n-1", True),
        ("n-1", hashlib.sha256(b"n-1").hexdigest(), True),
        ("n-1", "n-2", False),
        ("n-1", None, False),
        (None, "n-1", False),
        (None, None, True),
        (hashlib.sha256(b"n-1").hexdigest(), "n-1", False),
        ("é", "é", True),
        ("n-1", 7, False),
        ("n-1", hashlib.sha256(b"n-1").hexdigest().upper(), False),
    ],
)
def test_a_token_replayed_with_another_nonce(
    app: Flask, issuer: LocalIssuer, given: str | None, held: Any, is_good: bool
) -> None:
    """Contract, Accounts 14: given in the body and in the token, or in neither; Apple's tokens hold
    its SHA-256."""
    answer = sign_in(app, issuer.token(nonce=held), nonce=given)
    assert answer.status_code == (201 if is_good else 401)


def test_elliptic_keys_count_too(app: Flask, issuer: LocalIssuer) -> None:
    issuer.keys = [Key("ES256"), Key(number=1)]
    assert sign_in(app, issuer.token()).status_code == 201
    assert sign_in(app, issuer.token(key=issuer.keys[1])).status_code == 201
    bare = jwt.encode({"sub": "x"}, issuer.keys[1].private, algorithm="RS256")
    assert failure(sign_in(app, bare)) == (401, "invalid_credentials")  # of two keys it names none


def test_a_body_is_named(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Errors 4."""
    answer = sign_in(app, 7, nonce=7, device_id="é", more=1)  # type: ignore[arg-type]
    assert failure(answer) == (422, "validation_failed")
    assert set(answer.json["errors"]) == {"id_token", "nonce", "device_id", "more"}
    assert issuer.asked == {}


def test_a_provider_that_is_none_is_not_found(app: Flask, issuer: LocalIssuer) -> None:
    assert failure(sign_in(app, issuer.token(), provider="github")) == (404, "not_found")
    assert failure(link(guest(app), issuer.token(), provider="github")) == (404, "not_found")


# keys


def test_keys_are_fetched_once(app: Flask, issuer: LocalIssuer) -> None:
    """Contract, Accounts 14; many at once wait for the same answer."""
    tokens = [issuer.token() for _ in range(8)]
    issuer.sleeps["/keys"] = 0.2
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda token: sign_in(app, token).status_code, tokens))
    assert found == [201] * 8
    assert sign_in(app, issuer.token()).status_code == 201
    assert issuer.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


def test_a_key_not_known_is_fetched_at_most_once_a_minute(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 14: a threat, made-up keys under load; within the minute 401."""
    clock = [NOW]
    monkeypatch.setattr(keys.time, "monotonic", lambda: clock[0])
    assert sign_in(app, issuer.token()).status_code == 201
    issuer.keys = [Key(number=1)]  # the issuer has a new one
    assert sign_in(app, issuer.token()).status_code == 201
    assert issuer.asked["/keys"] == 2
    made_up = Key()
    for _ in range(20):
        assert failure(sign_in(app, issuer.token(key=made_up))) == (401, "invalid_credentials")
    assert issuer.asked["/keys"] == 2
    clock[0] += keys.AGAIN_SECONDS
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda token: sign_in(app, token), [issuer.token(key=made_up)] * 40)
        assert {failure(answer) for answer in found} == {(401, "invalid_credentials")}
    assert issuer.asked["/keys"] == 3
    assert sign_in(app, issuer.token()).status_code == 201  # and the known one counts meanwhile


def test_a_withdrawn_key_counts_for_a_day(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [NOW]
    monkeypatch.setattr(keys.time, "monotonic", lambda: clock[0])
    stolen = issuer.keys[0]
    assert sign_in(app, issuer.token(key=stolen)).status_code == 201
    issuer.keys = [Key(number=1)]
    clock[0] += keys.OLD_SECONDS + 1
    sign_in(app, issuer.token(key=stolen))  # it is looked for behind this one
    found = app.extensions["oidc"]["google"]
    found._flight.result(10)
    assert failure(sign_in(app, issuer.token(key=stolen))) == (401, "invalid_credentials")
    assert sign_in(app, issuer.token()).status_code == 201


@pytest.mark.parametrize("path", ["/keys", "/.well-known/openid-configuration"])
@pytest.mark.parametrize("status", [500, 404, 302])
def test_the_issuer_away(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    """Contract, Accounts 14: a threat. 503 with Retry-After, also for who is signed in; and when
    it is back, so are we."""
    clock = [NOW]
    monkeypatch.setattr(keys.time, "monotonic", lambda: clock[0])
    issuer.answers[path] = status
    token, phone = issuer.token(), guest(app)
    for _ in range(10):
        answer = sign_in(app, token)
        assert failure(answer) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert failure(link(phone, token)) == (503, "unavailable")
    proof = phone.call("DELETE", "/users/me", json={"id_token": token})
    assert failure(proof) == (503, "unavailable")
    assert issuer.asked[path] == 1  # it is left in peace for some seconds
    assert int(answer.headers["Retry-After"]) >= keys.RETRY_SECONDS  # who waits so long is served
    issuer.answers.clear()
    clock[0] += keys.RETRY_SECONDS
    assert sign_in(app, token).status_code == 201


def test_an_issuer_that_goes_away_leaves_known_keys(
    app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 14: a key that may be a new one is 503 then, no 401."""
    clock = [NOW]
    monkeypatch.setattr(keys.time, "monotonic", lambda: clock[0])
    known_key = issuer.keys[0]
    assert sign_in(app, issuer.token()).status_code == 201
    issuer.keys.append(Key(number=1))
    issuer.answers["/keys"] = 503
    for _ in range(5):
        new = sign_in(app, issuer.token(key=issuer.keys[1]))
        assert failure(new) == (503, "unavailable")
        assert sign_in(app, issuer.token(key=known_key)).status_code == 201
    assert issuer.asked["/keys"] == 2
    issuer.answers.clear()
    clock[0] += keys.AGAIN_SECONDS
    assert sign_in(app, issuer.token(key=issuer.keys[1])).status_code == 201


def test_the_issuer_slow(app: Flask, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threat: who waits for it waits not for ever, and others find room."""
    monkeypatch.setattr(keys, "PATIENCE_SECONDS", 0.2)
    issuer.sleeps["/keys"] = 2
    with ThreadPoolExecutor(4) as threads:
        tokens = [issuer.token() for _ in range(4)]
        answers = list(threads.map(lambda token: sign_in(app, token), tokens))
    assert {failure(answer) for answer in answers} == {(503, "unavailable")}
    assert issuer.asked["/keys"] == 1
    assert Account(app).device()


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"jwks_uri": "http://192.0.2.7/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
)
def test_a_document_that_leads_elsewhere_is_none(
    app: Flask, issuer: LocalIssuer, says: dict[str, Any]
) -> None:
    """OpenID Connect Discovery 1.0 §4.3; and no plain http beyond this machine."""
    issuer.document_says = says
    assert failure(sign_in(app, issuer.token())) == (503, "unavailable")


# settings

SERVERS = {
    "DATABASE_URL": "mysql://u:p@db.example.com/melon",
    "REDIS_URL": "redis://cache.example.com",
    "JWT_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


def load(folder: Path, **environ: str) -> Any:
    return config.load(environ, folder)


def test_providers_are_what_the_settings_name(tmp_path: Path) -> None:
    """Contract, Accounts 14: `apple`, `google`, or one that the settings name."""
    assert load(tmp_path).OIDC_PROVIDERS == {}
    found = load(
        tmp_path,
        OIDC_APPLE_CLIENT_IDS="com.example.a, com.example.b",
        OIDC_GOOGLE_CLIENT_IDS="g",
        OIDC_MY_OWN_CLIENT_IDS="m",
        OIDC_MY_OWN_ISSUER="https://id.example.com/realm/",
    ).OIDC_PROVIDERS
    assert {name: one.issuer for name, one in found.items()} == {
        "apple": "https://appleid.apple.com",
        "google": "https://accounts.google.com",
        "my_own": "https://id.example.com/realm/",
    }
    assert found["apple"].client_ids == {"com.example.a", "com.example.b"}
    assert set(found["google"].issuers) == {found["google"].issuer, "accounts.google.com"}


@pytest.mark.parametrize("name", ["staging", "production"])
@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9400", "http://id.example.com"])
def test_an_http_issuer_stops_the_start(tmp_path: Path, name: str, issuer: str) -> None:
    """Contract, Accounts 14."""
    own = {"OIDC_GOOGLE_CLIENT_IDS": "g", "OIDC_GOOGLE_ISSUER": issuer}
    with pytest.raises(config.ConfigError, match="OIDC_GOOGLE_ISSUER"):
        load(tmp_path, APP_ENV=name, **SERVERS, **own)
    https = own | {"OIDC_GOOGLE_ISSUER": "https://id.example.com"}
    assert load(tmp_path, APP_ENV=name, **SERVERS, **https).OIDC_PROVIDERS


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OIDC_MINE_CLIENT_IDS": "m"}, "OIDC_MINE_ISSUER"),
        ({"OIDC_MINE_ISSUER": "https://id.example.com"}, "OIDC_MINE_CLIENT_IDS"),
        (
            {"OIDC_MINE_CLIENT_IDS": " , ", "OIDC_MINE_ISSUER": "https://i.e"},
            "OIDC_MINE_CLIENT_IDS",
        ),
        (
            {"OIDC_GOOGLE_CLIENT_IDS": "g", "OIDC_GOOGLE_ISSUER": "http://i.example"},
            "GOOGLE_ISSUER",
        ),
        ({"OIDC_GOOGLE_CLIENT_IDS": "g", "OIDC_GOOGLE_ISSUER": "ftp://127.0.0.1"}, "GOOGLE_ISSUER"),
        ({"OIDC_GOOGLE_CLIENT_IDS": "g", "OIDC_GOOGLE_ISSUER": "https://x/?y"}, "GOOGLE_ISSUER"),
        ({"OIDC_APPLE_CLIENT_IDS": "a", "OIDC_APPLE_KEY_ID": "K"}, "OIDC_APPLE_PRIVATE_KEY"),
        ({"OIDC_APPLE_CLIENT_IDS": "a", "OIDC_APPLE_PRIVATE_KEY": "pem"}, "OIDC_APPLE_PRIVATE_KEY"),
    ],
)
def test_a_wrong_provider_is_named(tmp_path: Path, environ: dict[str, str], named: str) -> None:
    with pytest.raises(config.ConfigError, match=named):
        load(tmp_path, **environ)


def test_on_this_machine_http_will_do_in_development(tmp_path: Path) -> None:
    for host in ("127.0.0.1:9400", "localhost:9400", "[::1]:9400"):
        own = {"OIDC_GOOGLE_CLIENT_IDS": "g", "OIDC_GOOGLE_ISSUER": f"http://{host}"}
        assert load(tmp_path, **own).OIDC_PROVIDERS["google"].issuer == f"http://{host}"
