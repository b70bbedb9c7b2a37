"""The rules by which one number stands for many clocks, alone: sync_points_model.py beside it."""

import pytest
import sync_points_model

SEEDS = 1_500
SELDOM = {"left_own": 4_000, "uncovered": 600}  # near the first seed that needs the rule
AT_MOST = 2_000


def test_no_device_ends_with_anything_but_what_it_may_see() -> None:
    """Contract, Spaces 1 to 5: whatever is in flight, lost, purged, moved, hidden."""
    assert not [found for seed in range(SEEDS) if (found := sync_points_model.play(seed))]


@pytest.mark.parametrize("rule", sync_points_model.RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """Without it some device ends with something else, or an edit in another record."""
    first = SELDOM.get(rule, 0)
    plays = (sync_points_model.play(seed, rule) for seed in range(first, first + AT_MOST))
    assert next(filter(None, plays), None), sync_points_model.RULES[rule]
