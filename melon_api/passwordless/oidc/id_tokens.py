"""What is checked of an ID token: OpenID Connect Core 1.0 §3.1.3.7, and what is taken from it."""

import hashlib
import hmac
import time
from typing import Any

import jwt
from jwt import PyJWK, PyJWTError
from marshmallow import ValidationError

from melon_api.auth.schemas import EmailAddress
from melon_api.models.user import SUBJECT_LENGTH
from melon_api.passwordless.oidc.keys import Issuer, UnknownKey, issuers
from melon_api.passwordless.oidc.provider import BadToken, Vouched

# Signed with a key that only the issuer has: neither `none` nor one that both sides know.
ALGORITHMS = {
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
}
LEEWAY_SECONDS = 60
PROOF_SECONDS = 300  # contract, Accounts 18
MOST_CHARACTERS = 16_384
NEEDED = ["iss", "sub", "aud", "exp", "iat"]
UNREADABLE = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
_address = EmailAddress()


def check(issuer: Issuer, token: str, nonce: str | None) -> Vouched:
    """Raises BadToken; Unavailable where the issuer's keys cannot be had."""
    if len(token) > MOST_CHARACTERS:
        raise BadToken("too long")
    try:
        claims = _verified(issuer, token)
    except (*UNREADABLE, UnknownKey) as error:
        raise BadToken(type(error).__name__) from None
    audience = _audience(issuer.provider.client_ids, claims)
    _check_nonce(nonce, claims.get("nonce"))
    subject = claims["sub"]
    if not (subject.isascii() and 0 < len(subject) <= SUBJECT_LENGTH):
        raise BadToken("sub")
    email = _email(claims.get("email"))
    said = claims.get("email_verified")
    proved = email if said is True or said == "true" else None  # 1 is neither
    return Vouched(issuer.provider.name, subject, email, proved, audience, float(claims["iat"]))


def check_proof(token: str, nonce: str | None) -> list[Vouched]:
    """The same for one that was issued just now, by the provider that it names: two may have one
    issuer. Raises BadToken, Unavailable."""
    try:
        claims = jwt.decode(token[:MOST_CHARACTERS], options={"verify_signature": False})
    except UNREADABLE as error:
        raise BadToken(type(error).__name__) from None
    said, found = claims.get("iss"), []
    reason = BadToken("iss")
    for issuer in (one for one in issuers().values() if said in one.provider.issuers):
        try:
            found.append(check(issuer, token, nonce))
        except BadToken as error:
            reason = error
    if not found:
        raise reason
    if found[0].issued_at < time.time() - PROOF_SECONDS:
        raise BadToken("too old for a proof")
    return found


def _verified(issuer: Issuer, token: str) -> dict[str, Any]:
    """Raises what PyJWT raises, UnknownKey, Unavailable."""
    header = jwt.get_unverified_header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or not (kid is None or isinstance(kid, str)):
        raise BadToken("alg")
    jwk = issuer.key(kid)
    if jwk.get("alg", algorithm) != algorithm:
        raise BadToken("alg")
    return jwt.decode(
        token,
        PyJWK(jwk, algorithm),
        algorithms=[algorithm],
        audience=sorted(issuer.provider.client_ids),
        issuer=issuer.provider.issuers,
        leeway=LEEWAY_SECONDS,
        options={"require": NEEDED},
    )


def _audience(accepted: frozenset[str], claims: dict[str, Any]) -> str:
    """The app that it is for: all of its audiences are ours, and so is who asked for it (`azp`)."""
    named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    party = claims.get("azp", named[0])
    if not all(isinstance(one, str) and one in accepted for one in (*named, party)):
        raise BadToken("aud")
    return str(named[0])


def _check_nonce(given: str | None, held: Any) -> None:
    """In both or in neither; the token may hold its SHA-256 in hex."""
    if given is None and held is None:
        return
    if given is None or not isinstance(held, str):
        raise BadToken("nonce")
    forms = (given.encode(), hashlib.sha256(given.encode()).hexdigest().encode())
    if not any(hmac.compare_digest(form, held.encode()) for form in forms):
        raise BadToken("nonce")


def _email(said: Any) -> str | None:
    """None for what could not be an account's address."""
    try:
        return str(_address.deserialize(said)) if isinstance(said, str) else None
    except ValidationError:
        return None
