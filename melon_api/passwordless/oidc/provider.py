"""A provider of identities, as the settings name it; whom it vouches for; and which addresses are
asked at all."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

# Google writes `iss` in two ways: "Verify the Google ID token on your server side".
ALSO_WRITTEN = {"https://accounts.google.com": ("accounts.google.com",)}


@dataclass(frozen=True)
class AppleKey:
    """What this server is to Apple: by it codes are exchanged, and what came of them revoked."""

    team_id: str
    key_id: str
    private_key: str


@dataclass(frozen=True)
class Provider:
    """`issuer` is its `iss` and where its discovery document is; `client_ids` are this server's
    apps there, one for each platform."""

    name: str
    issuer: str
    client_ids: frozenset[str]
    key: AppleKey | None = None

    @property
    def issuers(self) -> list[str]:
        """As its tokens write it."""
        return [self.issuer, *ALSO_WRITTEN.get(self.issuer, ())]


class BadToken(Exception):
    """It vouches for nobody here; why is for the log, not for who sent it."""


class Vouched(NamedTuple):
    """Whom the issuer vouches for: `subject` is its name for them. `email` is their address as it
    is stored, `verified_email` the same where the issuer says that it is theirs. `client_id`: which
    app the token is for; `issued_at` in s since 1970."""

    provider: str
    subject: str
    email: str | None
    verified_email: str | None
    client_id: str
    issued_at: float


def is_safe(url: str, *, loopback: bool) -> bool:
    """Whether a URL is https; with `loopback`, or http to this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or not url.isascii() or not url.isprintable() or parts.username:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and _is_here(host))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
