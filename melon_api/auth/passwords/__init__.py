"""Passwords: what is accepted, how it is kept, how it is checked."""

from melon_api.auth.passwords.hashing import hash_password, rehashed, verify
from melon_api.auth.passwords.strength import MAX_LENGTH, MIN_LENGTH, check_strength

__all__ = ["MAX_LENGTH", "MIN_LENGTH", "check_strength", "hash_password", "rehashed", "verify"]
