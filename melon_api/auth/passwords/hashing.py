"""How a password is kept and checked: Argon2id, as many at once as memory is meant for."""

import functools
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app

from melon_api import measures
from melon_api.auth.passwords import foreign
from melon_api.auth.passwords.argon2id import Argon2id
from melon_api.auth.passwords.strength import LONGEST_RAW, normalised
from melon_api.bulkheads import ThreadPoolBulkhead, sign_ins

P = ParamSpec("P")
R = TypeVar("R")


def hash_password(password: str) -> str:
    """Raises Unavailable while too many others are hashed."""
    return _in_turn(_hasher().hash, password)


def verify(stored: str | None, password: str, decoy: str | None = None) -> bool:
    """Whether `password` is the one. Takes as long when there is none: `decoy` is checked then,
    another account's hash (decoys.py). Raises Unavailable."""
    is_one = stored is not None and foreign.is_hash(stored)
    checked = stored if is_one else decoy
    is_short = len(password) <= LONGEST_RAW
    forms = dict.fromkeys([normalised(password), password if is_short else ""])
    is_it = _in_turn(_is_any, _hasher(), checked, forms)
    return is_it and is_one and is_short


def _is_any(hasher: Argon2id, stored: str | None, forms: Iterable[str]) -> bool:
    """As ours are hashed, or as it was typed: so do others' hashes."""
    if stored is None or not foreign.is_hash(stored):
        stored = hasher.nobodys()
    return any(_is_one(hasher, stored, form) for form in forms)


def _is_one(hasher: Argon2id, stored: str, form: str) -> bool:
    if foreign.is_bcrypt(stored):
        return foreign.is_of_bcrypt(stored, form)
    try:
        return hasher.verify(stored, form)
    except (VerificationError, InvalidHashError):
        return False


def rehashed(stored: str, password: str) -> str | None:
    """A new hash when `stored` was made with other parameters than today's settings, or by
    bcrypt."""
    if not foreign.is_bcrypt(stored) and not _hasher().is_outdated(stored):
        return None
    return hash_password(normalised(password))


def _in_turn(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Each hash takes ARGON2_MEMORY_KIB: no more than ARGON2_AT_ONCE of them in a process."""
    with measures.timed(measures.hashed):
        return _pool(current_app.config["ARGON2_AT_ONCE"]).run(lambda: work(*args, **kwargs))


@functools.cache
def _pool(threads: int) -> ThreadPoolBulkhead:
    return ThreadPoolBulkhead(threads, "argon2", sign_ins)


def _hasher() -> Argon2id:
    settings = current_app.config
    return _hasher_for(
        settings["ARGON2_ITERATIONS"], settings["ARGON2_MEMORY_KIB"], settings["ARGON2_PARALLELISM"]
    )


@functools.cache
def _hasher_for(iterations: int, memory_kib: int, parallelism: int) -> Argon2id:
    return Argon2id(iterations, memory_kib, parallelism)
