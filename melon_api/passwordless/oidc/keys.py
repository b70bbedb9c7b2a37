"""A provider's published keys, found by discovery (OpenID Connect Discovery 1.0 §4).

They are fetched once, and again for a key that is not known yet, at most once a minute in each
process (contract, Accounts 14): strangers' tokens with made-up keys cost the provider nothing, and
us a look. Whoever waits for them holds no thread.
"""

import logging
import threading
import time
from concurrent.futures import Future
from typing import Any, cast

from flask import Flask, current_app

from melon_api.bulkheads import Bulkhead
from melon_api.errors import Unavailable
from melon_api.passwordless.oidc import fetching
from melon_api.passwordless.oidc.fetching import NotFetched
from melon_api.passwordless.oidc.provider import Provider

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60  # between two fetches for a key that is not known
RETRY_SECONDS = 5  # while there are none at all
OLD_SECONDS = 86_400  # what a provider has withdrawn does not count for ever
PATIENCE_SECONDS = 2 * fetching.SECONDS + 2  # document and keys
LONG_AGO = float("-inf")
KINDS = ("RSA", "EC", "OKP")  # no symmetric one is published

Jwk = dict[str, Any]
waiting = Bulkhead(16, "Too many wait for a provider's keys.")


class UnknownKey(Exception):
    """No key of the provider's, as far as may be asked now."""


class Issuer:
    """A provider, and what it publishes of itself. `loopback`: it may be on this machine."""

    def __init__(self, provider: Provider, *, loopback: bool) -> None:
        self.provider, self.loopback = provider, loopback
        self.document: dict[str, Any] = {}
        self._keys: list[Jwk] | None = None
        self._guard = threading.Lock()
        self._flight: Future[None] | None = None
        self._tried = self._tried_again = self._fetched = LONG_AGO
        self._is_away = False

    def key(self, kid: str | None) -> Jwk:
        """The key of this name; without one, the only key there is (OpenID Connect Core §10.1).
        Raises UnknownKey, Unavailable."""
        found = self._find(kid)
        if found is None and (self._keys is None or kid is not None):
            self._wait_for(self._fetch())
            found = self._find(kid)
        if found is None:
            raise UnknownKey
        return found

    def endpoint(self, name: str) -> str | None:
        """An address that the discovery document names. Raises Unavailable."""
        if self._keys is None:
            self._wait_for(self._fetch())
        return self.document.get(name)

    def _find(self, kid: str | None) -> Jwk | None:
        keys = self._keys or []
        if keys and time.monotonic() - self._fetched > OLD_SECONDS:
            self._look_again()
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.get("kid") == kid), None)

    def _look_again(self) -> None:
        """Behind this request, which goes by those that are there."""
        with self._guard:
            if time.monotonic() - self._tried_again >= AGAIN_SECONDS:
                self._tried_again = time.monotonic()
                self._start()

    def _fetch(self) -> "Future[None]":
        """The fetch that is under way, or a new one. Raises UnknownKey, Unavailable when it is too
        early for one."""
        with self._guard:
            if self._flight is not None and not self._flight.done():
                return self._flight
            now = time.monotonic()
            if self._keys is None:
                if now - self._tried < RETRY_SECONDS:
                    raise self._unavailable()
                self._tried = now
            else:
                if now - self._tried_again < AGAIN_SECONDS:
                    raise self._unavailable() if self._is_away else UnknownKey
                self._tried_again = now
            return self._start()

    def _start(self) -> "Future[None]":
        if self._flight is not None and not self._flight.done():
            return self._flight
        flight: Future[None] = Future()
        self._flight = flight
        threading.Thread(target=self._fly, args=[flight], name="oidc", daemon=True).start()
        return flight

    def _fly(self, flight: "Future[None]") -> None:
        try:
            self.document, self._keys = self._published()
            self._fetched, self._is_away = time.monotonic(), False
            flight.set_result(None)
        except NotFetched as error:
            self._is_away = True
            log.warning("no keys of %s: %s", self.provider.name, error)
            flight.set_exception(error)
        except BaseException as error:
            flight.set_exception(error)
            raise

    def _published(self) -> tuple[dict[str, Any], list[Jwk]]:
        """The discovery document, and the keys to sign with. Raises NotFetched."""
        issuer = self.provider.issuer
        where = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        document = fetching.get(where, loopback=self.loopback)
        if document.get("issuer") != issuer:  # OpenID Connect Discovery 1.0 §4.3
            raise NotFetched("its document is another issuer's")
        keys = fetching.get(str(document.get("jwks_uri")), loopback=self.loopback).get("keys")
        if not isinstance(keys, list):
            raise NotFetched("there are no keys in its answer")
        return document, [key for key in keys if _is_to_sign(key)]

    def _wait_for(self, flight: "Future[None]") -> None:
        try:
            if flight.done():
                return flight.result()
            with waiting.seat():
                return flight.result(PATIENCE_SECONDS)
        except (NotFetched, TimeoutError):
            raise self._unavailable() from None

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"The keys of {self.provider.name} cannot be fetched at the moment.")


def _is_to_sign(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in KINDS and key.get("use", "sig") == "sig"


def init_app(app: Flask) -> None:
    loopback = not app.config["NEEDS_SERVERS"]
    app.extensions["oidc"] = {
        name: Issuer(provider, loopback=loopback)
        for name, provider in app.config["OIDC_PROVIDERS"].items()
    }


def issuers() -> dict[str, Issuer]:
    """Of the providers that the settings name, by their names."""
    return cast(dict[str, Issuer], current_app.extensions["oidc"])
