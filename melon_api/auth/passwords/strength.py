"""Which passwords are accepted, and in which form they are hashed (NIST SP 800-63B-4)."""

import functools
import itertools
import unicodedata

from flask import current_app

from melon_api.errors import ValidationFailed

# NIST SP 800-63B-4 §3.1.1.2: a length, no composition rules, a blocklist
MIN_LENGTH, MAX_LENGTH = 8, 128
LONGEST_RAW = 8 * MAX_LENGTH  # characters; NFKC puts together more than it takes apart


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
