"""How a page of an account with spaces is read."""

from math import ceil

import pytest

from melon_api.sync.spaces.told import ROWS_AT_A_TIME, rows_at_a_time


@pytest.mark.parametrize("limit", [1, 2, 100, 499, 500, 501, 1_000, 5_000])
def test_a_page_and_one_more_are_read_and_little_else(limit: int) -> None:
    size = rows_at_a_time(limit)
    assert size <= ROWS_AT_A_TIME
    reads = ceil((limit + 1) / size)
    assert limit + 1 <= reads * size < limit + 1 + reads


def test_what_is_not_paged_is_read_in_large_parts() -> None:
    assert rows_at_a_time(None) == ROWS_AT_A_TIME
