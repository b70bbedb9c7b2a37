"""A provider of OpenID Connect on loopback: what it publishes, tokens, and a consent that is always
given. For tests and development; knows nobody and stores nothing.

`python tests/issuer.py --port 9400` runs it alone; its `/authorize` signs in whoever it is told to
(`login_hint`, an address), and asks for one where the app says `prompt=select_account`.
"""

import argparse
import base64
import hashlib
import html
import json
import os
import secrets
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

HOST = "127.0.0.1"
HERE = {HOST, "localhost"}
LOOK_SECONDS = 0.5
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>A provider on this machine</title><link rel="icon" href="data:,">
<h1>Who are you?</h1><form action="/authorize">{}<label>Address
<input name="login_hint" type="email" value="ada@example.com" required></label>
<button>Go on</button></form></html>"""
HIDDEN = '<input type="hidden" name="{}" value="{}">'
RSA_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


class Key:
    """One to sign with, of a name."""

    def __init__(self, algorithm: str = "RS256", number: int = 0) -> None:
        self.kid, self.algorithm = secrets.token_hex(8), algorithm
        is_ec = algorithm == "ES256"
        self.private: Any = ec.generate_private_key(ec.SECP256R1()) if is_ec else RSA_KEYS[number]
        to_jwk: Any = ECAlgorithm.to_jwk if is_ec else RSAAlgorithm.to_jwk
        facts = {"kid": self.kid, "alg": algorithm, "use": "sig"}
        self.public: dict[str, Any] = json.loads(to_jwk(self.private.public_key())) | facts


class LocalIssuer:
    """Serves while the `with` lasts. `asked` counts what was fetched, by path; `answers` are other
    answers than its own, by path: a status, or seconds to sleep."""

    def __init__(self, port: int = 0) -> None:
        self.keys = [Key()]
        self.asked: dict[str, int] = {}
        self.forms: list[dict[str, str]] = []  # that were posted
        self.answers: dict[str, int] = {}
        self.sleeps: dict[str, float] = {}
        self.redirect_uris: list[str] = []
        self.document_says: dict[str, Any] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, key: Key | None = None, header: Any = None, **claims: Any) -> str:
        """An ID token; a claim that is None is left out."""
        now, key = int(time.time()), key or self.keys[0]
        whole = {"iss": self.url, "aud": "app.melon", "sub": secrets.token_hex(8)}
        whole |= {"iat": now, "exp": now + 600, **claims}
        held = {name: value for name, value in whole.items() if value is not None}
        names = {"kid": key.kid} | (header or {})
        return jwt.encode(held, key.private, algorithm=key.algorithm, headers=names)

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """A status and JSON, or an address to go on to."""
        self.asked[path] = self.asked.get(path, 0) + 1
        if method == "POST":
            self.forms.append(query)
        time.sleep(self.sleeps.get(path, 0))
        if path in self.answers:
            return self.answers[path], {"error": "so it is told"}
        found: dict[str, Any] = {
            "GET /.well-known/openid-configuration": self._document,
            "GET /keys": self._published,
            "GET /authorize": self._authorize,
            "POST /token": self._exchange,
            "POST /revoke": lambda _: (200, {}),
        }
        return found.get(f"{method} {path}", lambda _: (404, {}))(query)  # type: ignore[no-any-return]

    def _document(self, _: dict[str, str]) -> tuple[int, Any]:
        return 200, {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
            **self.document_says,
        }

    def _published(self, _: dict[str, str]) -> tuple[int, Any]:
        return 200, {"keys": [key.public for key in self.keys]}

    def _authorize(self, query: dict[str, str]) -> tuple[int, Any]:
        """RFC 6749 §4.1.2, with PKCE (RFC 7636); `prompt` as in OpenID Connect Core §3.1.2.1."""
        if query.pop("prompt", None) == "select_account":
            return 200, PAGE.format("".join(map(HIDDEN.format, *_escaped(query))))
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = {"code": code, "iss": self.url}
        back |= {"state": query["state"]} if "state" in query else {}
        return 302, f"{query['redirect_uri']}?{urlencode(back)}"

    def _exchange(self, form: dict[str, str]) -> tuple[int, Any]:
        """RFC 6749 §4.1.3."""
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked.get("code_challenge", challenge) != challenge:
            return 400, {"error": "invalid_grant"}
        email = asked.get("login_hint", "ada@example.com")
        subject = hashlib.sha256(email.encode()).hexdigest()[:24]
        claims = {"aud": form["client_id"], "sub": subject, "nonce": asked.get("nonce")}
        token = self.token(email=email, email_verified=True, **claims)
        tokens = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer"}
        return 200, tokens | {"id_token": token, "refresh_token": "r", "expires_in": 600}

    def code(self, **query: str) -> str:
        """As if somebody had consented: an authorization code."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return code


def _escaped(query: dict[str, str]) -> tuple[list[str], list[str]]:
    """For HTML: names and values."""
    return [html.escape(name) for name in query], [html.escape(said) for said in query.values()]


def _handler(issuer: LocalIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer("GET", parts.path, parts.query)

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self._answer("POST", urlsplit(self.path).path, form)

        def _answer(self, method: str, path: str, said: str) -> None:
            query = {name: values[0] for name, values in parse_qs(said).items()}
            status, found = issuer.answer(method, path, query)
            is_page = isinstance(found, str)
            body = b"" if status == 302 else (found if is_page else json.dumps(found)).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", found)
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            self.send_header("Content-Length", str(len(body)))
            if urlsplit(origin := self.headers.get("Origin", "")).hostname in HERE:
                # to no page from elsewhere: whoever reads a token is whoever it likes
                self.send_header("Access-Control-Allow-Origin", origin)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=9400, help="0: any that is free")
    options.add_argument("--beside", action="store_true", help="ends with who started it")
    asked = options.parse_args()
    parent = os.getppid()
    with LocalIssuer(asked.port) as issuer, suppress(KeyboardInterrupt):
        print(f"OIDC_GOOGLE_ISSUER={issuer.url} OIDC_GOOGLE_CLIENT_IDS=app.melon", flush=True)
        while not asked.beside or os.getppid() == parent:
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
