"""Passwords: what is accepted, how it is kept, how it is checked."""

import functools
import itertools
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app

from melon_api import measures
from melon_api.bulkheads import TURN_SECONDS, sign_ins
from melon_api.errors import Unavailable, ValidationFailed

P = ParamSpec("P")
R = TypeVar("R")

# NIST SP 800-63B-4 §3.1.1.2: a length, no composition rules, a blocklist
MIN_LENGTH, MAX_LENGTH = 8, 128
LONGEST_RAW = 8 * MAX_LENGTH  # characters; NFKC puts together more than it takes apart
NICENESS = 5


def normalised(password: str) -> str:
    """The form that is hashed: the same on every keyboard (NIST SP 800-63B-4, NFKC).

    Nothing for what is far too long to be anybody's: NFKC takes quadratic time.
    """
    if len(password) > LONGEST_RAW:
        return ""
    return unicodedata.normalize("NFKC", password)


def check_strength(password: str, email: str, field: str = "password") -> str:
    """The password as it will be hashed, for the account of `email`. Raises ValidationFailed that
    names `field`."""
    password = normalised(password)  # nothing, when it is far too long
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValidationFailed({field: [f"Between {MIN_LENGTH} and {MAX_LENGTH} characters."]})
    if is_common(password.lower()):
        raise ValidationFailed({field: ["This is one of the most common passwords."]})
    if is_about(password.lower(), email):
        raise ValidationFailed({field: ["This is the app's name or your own, easy to guess."]})
    return password


def is_about(password: str, email: str) -> bool:
    """The app's name, the address or its first part, whatever digits and signs are around it
    (NIST SP 800-63B-4: context-specific words)."""
    words = (current_app.config["APP_NAME"], email, email.partition("@")[0])
    return _letters(password) in {_letters(word) for word in words}


def _letters(text: str) -> str:
    """All of it when there are none: a password of digits is not about anything."""
    return "".join(filter(str.isalpha, text.lower())) or text


def is_common(password: str) -> bool:
    """A leaked one or a word, one unit repeated (12341234), or a run (87654321)."""
    is_repeated = password in (password + password)[1:-1]
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(password)}
    return is_repeated or steps in ({1}, {-1}) or password in common_passwords()


@functools.cache
def common_passwords() -> frozenset[str]:
    """zxcvbn's lists of the most common leaked passwords, words and names."""
    # 2 MB that a worker needs only once somebody chooses a password
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    lists = itertools.chain.from_iterable(FREQUENCY_LISTS.values())
    return frozenset(word for word in lists if len(word) >= MIN_LENGTH)


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
