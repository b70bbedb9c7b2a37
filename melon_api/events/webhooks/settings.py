"""Webhooks: whom to tell, of what, with which secret; and how long a dead worker's work rests."""

import base64
import binascii
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import urlsplit

from environ import Settings, flag, listed, number, setting
from melon_api.events.webhooks.addresses import is_public

NO_SECRET = "it must be whsec_ and 24 to 64 bytes in base64"  # noqa: S105 - a sentence
URL = re.compile(r"https?://[!-~]+")


def _urls(urls: list[str]) -> list[str]:
    wrong = [n for n, url in enumerate(urls, 1) if not (URL.fullmatch(url) and _is_whole(url))]
    if wrong:  # by number: an address may hold a secret
        raise ValueError(*(f"address {n} is no https://host/path" for n in wrong))
    return list(dict.fromkeys(urls))


def _is_whole(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port != 0 and not (parts.username or parts.fragment))
    except ValueError:
        return False


def _secret(text: str) -> str:
    """As Standard Webhooks says it, Symmetric signatures."""
    try:
        octets = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError(NO_SECRET) from None
    if not (text.startswith("whsec_") and 24 <= len(octets) <= 64):
        raise ValueError(NO_SECRET)
    return text


class EventSettings(Settings):
    RUNS_EVENTS: ClassVar[bool] = False  # beside the requests, without a worker

    WEBHOOK_URLS: list[str] = listed(
        _urls,
        "who is told of [what is committed](your-code.md#webhooks), with commas between: https,"
        " at public addresses",
    )
    WEBHOOK_SECRET: str | None = setting(
        _secret,
        "signs what they are told: `whsec_` and 24 to 64 bytes in base64; needed with"
        " `WEBHOOK_URLS`",
    )
    WEBHOOK_TABLES: list[str] = listed(
        list, "of which tables they are told, by the phones' names", shown="all"
    )
    WEBHOOK_ALLOW_LOOPBACK: bool = flag(
        "`true`: they may be on this machine, with http, too; not in staging and production"
    )
    EVENT_LEASE_SECONDS: int = number(
        "how long the events wait that a killed [worker](operations.md#the-worker) was telling",
        30,
        least=3,
        most=3600,
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        if self.WEBHOOK_URLS and not self.WEBHOOK_SECRET and not environ.get("WEBHOOK_SECRET"):
            self.problems.append(f"WEBHOOK_SECRET: {NO_SECRET}")
        if self.WEBHOOK_ALLOW_LOOPBACK and self.NEEDS_SERVERS:
            self.problems.append("WEBHOOK_ALLOW_LOOPBACK: not in staging and production")
        self.problems += [
            f"WEBHOOK_URLS: address {number} is not https, at a public address"
            for number, url in enumerate(self.WEBHOOK_URLS, 1)
            if not self._is_reachable(url)
        ]

    def _is_reachable(self, url: str) -> bool:
        """As far as the text says it; names are looked up at each try."""
        parts = urlsplit(url)
        if parts.scheme == "http" and not self.WEBHOOK_ALLOW_LOOPBACK:
            return False
        try:
            address = ip_address(parts.hostname or "")
        except ValueError:
            return True
        return is_public(address) or (self.WEBHOOK_ALLOW_LOOPBACK and address.is_loopback)
