"""What a review of shared spaces found, as stories that stay mended."""

from other_app import run_stories


def test_what_a_review_found_stays_mended() -> None:
    """Contract, push 1, 4 and 6, Spaces 2 and 4; the stories are in space_faults.py."""
    run_stories("app", "tests/spaces/space_faults.py")


def test_what_it_found_of_trees_and_of_two_parents_stays_mended() -> None:
    """Contract, push 7, Spaces 2 and 4; the stories are in shelf_faults.py."""
    run_stories("tests.shelf_app", "tests/spaces/shelf_faults.py")
