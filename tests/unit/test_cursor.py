"""The page tokens of a pull."""

import pytest

from melon_api.sync.rules import cursor
from melon_api.sync.rules.walk import Walk
from melon_api.sync.spaces.parts import RETOLD


def read_again(walk: Walk) -> Walk | None:
    return cursor.read(cursor.write(walk, "user", ["key"]), "user", ["key"], ["tasks"])


@pytest.mark.parametrize("part", [(0, ""), (1, "space"), RETOLD])
@pytest.mark.parametrize("is_short", [False, True])
def test_a_walk_goes_on(part: tuple[int, str], is_short: bool) -> None:
    walk = Walk(1, 2, table="tasks", after="t1", part=part, is_short=is_short)
    assert read_again(walk) == walk


def test_one_of_a_release_before_in_a_space_begins_anew() -> None:
    """It would be behind all parts, and nothing of them would be told."""
    assert read_again(Walk(1, 2, table="tasks", part=(1_700_000_000_000, "space"))) is None
