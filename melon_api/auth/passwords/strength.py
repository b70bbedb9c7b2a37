"""Which passwords are accepted, and in which form they are hashed (NIST SP 800-63B-4)."""

import functools
import itertools
import unicodedata
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

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
    is_listed = "\n" not in password and f"\n{password}\n" in common_passwords()
    return is_repeated or steps in ({1}, {-1}) or is_listed


@functools.cache
def common_passwords() -> str:
    """zxcvbn's lists of the most common leaked passwords, words and names, each between two line
    feeds: 0.4 MB, and looked through in 0.1 ms."""
    words = {word for words in _zxcvbns_lists() for word in words if len(word) >= MIN_LENGTH}
    return "\n".join(["", *sorted(words), ""])


def _zxcvbns_lists() -> Iterable[list[str]]:
    """By their own module alone, which is forgotten: a worker that imports zxcvbn, once somebody
    chooses a password, keeps 15 MB of lists and tables."""
    package = find_spec("zxcvbn")
    folder = package.submodule_search_locations if package else None
    found = PathFinder.find_spec("frequency_lists", folder)
    if found is None or found.loader is None:
        raise ModuleNotFoundError("zxcvbn has no frequency_lists")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    lists: dict[str, list[str]] = module.FREQUENCY_LISTS
    return lists.values()
