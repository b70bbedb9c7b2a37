"""What the history tells of who shares."""

from pathlib import Path

from other_app import run_stories

STORIES = Path(__file__).parents[1] / "spaces" / "history_stories.py"


def test_the_history_of_who_shares() -> None:
    run_stories("tests.shared_app", str(STORIES))
