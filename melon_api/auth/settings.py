"""Sign-ins: the keys of the tokens, and how long they live."""

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from environ import InFolder, listed, number, setting

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: an HS256 key is at least as long as its hash


def _previous_keys(keys: list[str]) -> list[str]:
    short = [n for n, key in enumerate(keys, 1) if len(key.encode()) < MIN_SECRET_BYTES]
    if short:
        raise ValueError(*(f"key {n} has fewer than {MIN_SECRET_BYTES} bytes" for n in short))
    return keys


class TokenSettings(InFolder):
    JWT_SECRET_KEY: str = setting(
        str, "at least 32 bytes; signs the tokens", shown="made once in `instance/`"
    )
    JWT_PREVIOUS_KEYS: list[str] = listed(
        _previous_keys,
        "keys whose tokens still count, with commas between:"
        " [changing the key](security.md#changing-the-key)",
    )
    SESSION_LIFETIME: timedelta = number(
        "after this a sign-in ends for good, however much it is used",
        180,
        most=36_500,
        unit=timedelta(days=1),
        name="SESSION_LIFETIME_DAYS",
    )
    ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
    REFRESH_TOKEN_LIFETIME = timedelta(days=7)
    JWT_ALGORITHM = "HS256"
    JWT_DECODE_ALGORITHMS: ClassVar[list[str]] = ["HS256"]  # and no other, whatever a token says
    JWT_TOKEN_LOCATION = ("headers",)
    JWT_COOKIE_CSRF_PROTECT = False  # no cookies; and its claim would make tokens random
    JWT_ENCODE_NBF = False  # two hosts' clocks differ: a fresh token must work on both

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        if not self.JWT_SECRET_KEY and not self.NEEDS_SERVERS:
            self.JWT_SECRET_KEY = _kept_secret(self.INSTANCE_PATH / "jwt_secret_key")
        elif len((self.JWT_SECRET_KEY or "").encode()) < MIN_SECRET_BYTES:
            self.problems.append(
                f"JWT_SECRET_KEY: a secret of at least {MIN_SECRET_BYTES} bytes is needed"
            )


def _kept_secret(path: Path) -> str:
    """A random secret that this checkout keeps, so that all workers and restarts share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48))
    try:
        os.link(
            draft, path
        )  # atomic: the first of several workers wins, the others read its secret
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()
