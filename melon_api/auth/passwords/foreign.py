"""Hashes that another server wrote: which of them are taken, and how one is checked.

A hash of that server's own keeps its promise only as it was made: bcrypt counts the first 72 bytes
of what was typed, in the form in which it was typed.
"""

import base64
import re

import bcrypt

from melon_api.auth.passwords.argon2id import decoded

BCRYPT_BYTES = 72  # of a password count; JavaScript's, PHP's and Python's older ones cut silently
# A sign-in checks a hash before it knows who it is: none may hold a worker's thread for long.
MOST_BCRYPT_COST = 14  # 1 s and a half; each step more doubles it
MOST_ARGON2_KIB = 262_144  # libsodium's "moderate"
MOST_ARGON2_KIB_PASSES = 4 * MOST_ARGON2_KIB
MOST_ARGON2_LANES = 16
LEAST_SALT, LEAST_DIGEST = 8, 16  # bytes: RFC 9106 §3.1, and what cannot be hit by chance
MOST_LETTERS = 255  # of the column

_bcrypt = re.compile(r"\$2[aby]\$([0-9]{2})\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})\Z")
_argon2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=(0|[1-9][0-9]{0,8}),t=(0|[1-9][0-9]{0,8})"
    r",p=(0|[1-9][0-9]{0,8})"  # PHC strings: with leading zeros no library reads it
    r"\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)\Z"
)
_BCRYPT_LETTERS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def is_bcrypt(stored: str) -> bool:
    return stored.startswith("$2")


def is_hash(stored: str) -> bool:
    """Else no password is the one."""
    return stored.startswith(("$2", "$argon2"))


def is_of_bcrypt(stored: str, typed: str) -> bool:
    """Whether the server that made the hash would have let this password in."""
    return bcrypt.checkpw(typed.encode()[:BCRYPT_BYTES], stored.encode())


def accepted(text: str) -> str:
    """The hash as it is stored. Raises ValueError for what is none, or would cost too much."""
    if found := _bcrypt.match(text):
        cost, salt, digest = found.groups()
        if not 4 <= int(cost) <= MOST_BCRYPT_COST:
            raise ValueError(f"A bcrypt cost of {cost}; 4 to {MOST_BCRYPT_COST} are taken.")
        return f"{text[:7]}{_without_rest(salt, 4)}{_without_rest(digest, 2)}"
    if found := _argon2.match(text):
        if len(text) > MOST_LETTERS:
            raise ValueError(f"A hash of more than {MOST_LETTERS} characters.")
        _check_argon2(*found.groups())
        return text
    raise ValueError("Neither bcrypt ($2a$, $2b$, $2y$) nor Argon2 ($argon2id$, $argon2i$, …).")


def _check_argon2(kib: str, passes: str, lanes: str, salt: str, digest: str) -> None:
    memory, times, threads = int(kib), int(passes), int(lanes)
    if not (threads and 8 * threads <= memory and times):  # RFC 9106 §3.1
        raise ValueError("No parameters of Argon2.")
    if (
        memory > MOST_ARGON2_KIB
        or memory * times > MOST_ARGON2_KIB_PASSES
        or threads > MOST_ARGON2_LANES
    ):
        raise ValueError(
            f"Argon2 with m={memory}, t={times}, p={threads}; at most m={MOST_ARGON2_KIB}, "
            f"m × t={MOST_ARGON2_KIB_PASSES} and p={MOST_ARGON2_LANES} are taken."
        )
    for text, least in ((salt, LEAST_SALT), (digest, LEAST_DIGEST)):
        found = decoded(text) if len(text) % 4 != 1 else b""
        if len(found) < least or base64.b64encode(found).decode().rstrip("=") != text:
            raise ValueError("The salt or the digest is damaged or too short.")


def _without_rest(text: str, bits: int) -> str:
    """With the last bits 0, which count for nothing: not every library left them so, and ours wants
    it."""
    last = _BCRYPT_LETTERS.index(text[-1])
    return text[:-1] + _BCRYPT_LETTERS[last >> bits << bits]
