"""Which passwords are among the most common ones, and what it takes to know."""

import subprocess
import sys
from pathlib import Path

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from melon_api.auth.passwords.strength import MIN_LENGTH, common_passwords, is_common

WORDS = {word for words in FREQUENCY_LISTS.values() for word in words}


def test_every_word_of_the_lists_that_is_long_enough_is_common() -> None:
    assert set(common_passwords().split("\n")) - {""} == {w for w in WORDS if len(w) >= MIN_LENGTH}
    assert not any("\n" in word for word in WORDS)
    assert is_common("password1")
    assert is_common(next(word for word in WORDS if len(word) >= MIN_LENGTH))


@pytest.mark.parametrize("place", ["front", "back", "both", "middle"])
def test_a_part_of_the_lists_is_no_word_of_them(place: str) -> None:
    one, other = common_passwords().split("\n")[5:7]
    joined = {"front": f"\n{one}", "back": f"{one}\n", "both": f"\n{one}\n"}
    assert not is_common(joined.get(place, f"{one}\n{other}"))
    assert not is_common(one[1:] + "\n" + other)


ASK = """
import sys
from melon_api.auth.passwords.strength import common_passwords, is_common
assert is_common("trustno1")
print(*sorted(name for name in sys.modules if "zxcvbn" in name or "frequency" in name))
print(sys.getsizeof(common_passwords()))
"""


def test_a_worker_keeps_the_words_alone() -> None:
    """Not zxcvbn's tables of them, 15 MB in each worker."""
    folder = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, capture_output=True, text=True, check=True
    )
    modules, size = done.stdout.split("\n")[:2]
    assert modules == ""
    assert int(size) < 500_000
