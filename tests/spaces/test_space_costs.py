"""What sharing costs, with the example app."""

from other_app import run_stories


def test_what_sharing_costs() -> None:
    """Contract, Spaces 2 and 6; the counts are in space_costs.py."""
    run_stories("app", "tests/spaces/space_costs.py")
