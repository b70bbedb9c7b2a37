"""Argon2id by libsodium, and by argon2-cffi what that cannot do.

libsodium uses what the processor has (AVX2, AVX-512) and takes its memory with one call, which it
gives back after each hash: half the time of argon2-cffi, which is built for any x86-64 and asks
malloc. It hashes with one lane only (docs/adr/18-libsodium-hashes.md).
"""

import re
from base64 import b64decode
from hmac import compare_digest

from argon2 import PasswordHasher
from nacl.pwhash import argon2id

# As both libraries write a hash by default, and within what libsodium takes: at least 8 KiB (here
# less than 10 GB), a salt of 16 bytes, 32 bytes of a hash.
ONE_LANE = re.compile(
    r"\$argon2id\$v=19\$m=([89]|[1-9]\d{1,6}),t=([1-9]\d{0,5}),p=1"
    r"\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})"
)


class Argon2id:
    """Hashes with these parameters; verifies with those of the hash."""

    def __init__(self, iterations: int, memory_kib: int, parallelism: int) -> None:
        self.iterations, self.memory_kib, self.parallelism = iterations, memory_kib, parallelism
        self._any = PasswordHasher(iterations, memory_kib, parallelism)  # Argon2id is its default

    def hash(self, password: str) -> str:
        """As text, with its parameters and a new salt."""
        if self.parallelism != 1:
            return self._any.hash(password)
        memory = self.memory_kib * 1024
        return argon2id.str(password.encode(), self.iterations, memory).decode()

    def verify(self, stored: str, password: str) -> bool:
        """Whether `stored` is a hash of `password`.

        Raises argon2's InvalidHashError, VerificationError for what is no such hash, and nacl's
        RuntimeError when there is no memory: nothing is known of the password then.
        """
        if not (found := ONE_LANE.fullmatch(stored)):
            return self._any.verify(stored, password)
        kib, iterations, salt, digest = found.groups()
        wanted = decoded(digest)
        secret, memory = password.encode(), int(kib) * 1024
        made = argon2id.kdf(len(wanted), secret, decoded(salt), int(iterations), memory)
        return compare_digest(made, wanted)

    def nobodys(self) -> str:
        """What takes as long to verify as a new hash, and is none of any password that is known."""
        parameters = f"m={self.memory_kib},t={self.iterations},p={self.parallelism}"
        return f"$argon2id$v=19${parameters}${'A' * 22}${'A' * 43}"

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters."""
        return self._any.check_needs_rehash(stored)


def decoded(text: str) -> bytes:
    """Base64 as PHC strings have it, without its padding."""
    return b64decode(text + "=" * (-len(text) % 4))
