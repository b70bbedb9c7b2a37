"""How a password is kept and checked: Argon2id, as many at once as memory is meant for."""

import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app

from melon_api import measures
from melon_api.auth.passwords.strength import LONGEST_RAW, normalised
from melon_api.bulkheads import TURN_SECONDS, sign_ins
from melon_api.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

NICENESS = 5


def hash_password(password: str) -> str:
    """Raises Unavailable while too many others are hashed."""
    return _in_turn(_hasher().hash, password)


def verify(stored: str | None, password: str) -> bool:
    """Whether `password` is the one; takes as long when there is no account. Raises Unavailable."""
    try:
        is_it = _in_turn(_verify, _hasher(), stored, normalised(password))
    except (VerificationError, InvalidHashError):
        return False
    return is_it and stored is not None and len(password) <= LONGEST_RAW


def _verify(hasher: PasswordHasher, stored: str | None, password: str) -> bool:
    return hasher.verify(stored or _hash_of_nothing(hasher), password)


def rehashed(stored: str, password: str) -> str | None:
    """A new hash when `stored` was made with other parameters than today's settings."""
    if not _hasher().check_needs_rehash(stored):
        return None
    return hash_password(normalised(password))


def _in_turn(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Each hash takes ARGON2_MEMORY_KIB: no more than ARGON2_AT_ONCE of them in a process."""
    threads = _threads(current_app.config["ARGON2_AT_ONCE"])
    with measures.timed(measures.hashed), sign_ins.seat():
        hashing = threads.submit(work, *args, **kwargs)
        try:
            return hashing.result(TURN_SECONDS)
        except TimeoutError:
            if hashing.cancel():
                raise Unavailable("Too many people are signing in; try again.") from None
            return hashing.result()  # its turn has come


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "argon2", initializer=_step_back)


def _step_back() -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _hasher() -> PasswordHasher:
    settings = current_app.config
    return _hasher_for(
        settings["ARGON2_ITERATIONS"], settings["ARGON2_MEMORY_KIB"], settings["ARGON2_PARALLELISM"]
    )


@functools.cache
def _hasher_for(iterations: int, memory_kib: int, parallelism: int) -> PasswordHasher:
    return PasswordHasher(iterations, memory_kib, parallelism)  # Argon2id is its default


@functools.cache
def _hash_of_nothing(hasher: PasswordHasher) -> str:
    return hasher.hash("")
