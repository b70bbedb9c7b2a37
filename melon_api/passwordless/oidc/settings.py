"""Who may vouch for people: providers of OpenID Connect, each with the apps that it vouches for."""

import re
from collections.abc import Mapping

from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm

from environ import Settings, listed, setting, text
from melon_api.passwordless.oidc.provider import AppleKey, Provider, is_safe

NAMED = re.compile(r"OIDC_([A-Z0-9][A-Z0-9_]{0,31})_(?:CLIENT_IDS|ISSUER)")
MOST_PROVIDERS = 20


def _private_key(pem: str) -> str:
    """As Apple's .p8 file has it; `\\n` for line ends, where a platform takes one line alone."""
    whole = pem.replace("\\n", "\n")
    try:
        ECAlgorithm(ECAlgorithm.SHA256).prepare_key(whole)
    except (InvalidKeyError, ValueError, TypeError):
        raise ValueError("it must be the text of the .p8 file") from None
    return whole


class OidcSettings(Settings):
    OIDC_APPLE_CLIENT_IDS: list[str] = listed(
        list,
        "who may sign in [with Apple](signing-in.md#with-apple): the app's bundle id, and the id of"
        " its Services for the web, with commas between",
    )
    OIDC_APPLE_ISSUER: str = text("for tests", default="https://appleid.apple.com")
    OIDC_APPLE_TEAM_ID: str = text(
        "with the next two: an `authorization_code` is exchanged, and revoked with the account"
    )
    OIDC_APPLE_KEY_ID: str = text("the id of the key below")
    OIDC_APPLE_PRIVATE_KEY: str | None = setting(_private_key, "the text of its .p8 file")
    OIDC_GOOGLE_CLIENT_IDS: list[str] = listed(
        list,
        "who may sign in [with Google](signing-in.md#with-google): the client ids of all platforms,"
        " with commas between",
    )
    OIDC_GOOGLE_ISSUER: str = text(
        "for tests; any other provider is two settings like these: `OIDC_<NAME>_CLIENT_IDS` and"
        " `OIDC_<NAME>_ISSUER`, https but for this machine in development and testing",
        default="https://accounts.google.com",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        names = {found[1] for name in environ if (found := NAMED.fullmatch(name))}
        asked = sorted(name for name in names if self._is_asked(name, environ))
        self.OIDC_PROVIDERS = {name.lower(): self._provider(name, environ) for name in asked}
        if len(asked) > MOST_PROVIDERS:
            self.problems.append(f"OIDC_…_CLIENT_IDS: at most {MOST_PROVIDERS} providers")

    def _is_asked(self, name: str, environ: Mapping[str, str]) -> bool:
        return any(environ.get(f"OIDC_{name}_{part}") for part in ("CLIENT_IDS", "ISSUER"))

    def _provider(self, name: str, environ: Mapping[str, str]) -> Provider:
        ids, issuer = f"OIDC_{name}_CLIENT_IDS", f"OIDC_{name}_ISSUER"
        given = environ.get(ids, "").split(",")
        clients = frozenset(client.strip() for client in given if client.strip())
        url = environ.get(issuer) or str(getattr(self, issuer, ""))
        if not clients:
            self.problems.append(f"{ids}: needed with {issuer}")
        if not is_safe(url, loopback=not self.NEEDS_SERVERS) or {"?", "#"} & set(url):
            here = "" if self.NEEDS_SERVERS else ", or http on this machine"
            self.problems.append(f"{issuer}: an https://… address is needed{here}")
        return Provider(name.lower(), url, clients, self._key() if name == "APPLE" else None)

    def _key(self) -> AppleKey | None:
        parts = (self.OIDC_APPLE_TEAM_ID, self.OIDC_APPLE_KEY_ID, self.OIDC_APPLE_PRIVATE_KEY)
        if all(parts):
            return AppleKey(*parts)  # type: ignore[arg-type]
        if any(parts):
            self.problems.append(
                "OIDC_APPLE_TEAM_ID, OIDC_APPLE_KEY_ID, OIDC_APPLE_PRIVATE_KEY: all three or none"
            )
        return None
