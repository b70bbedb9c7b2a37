"""What `flask seed` gives the demo account: projects, and tasks in them."""

import random
from collections.abc import Iterator
from typing import Any

PROJECTS = ("Kitchen renovation", "Trip to Lisbon", "Website relaunch", "Garden", "Tax return 2025")
VERBS = ("Call", "Order", "Compare", "Draft", "Book", "Measure", "Pay", "Fix", "Plan", "Send")
THINGS = ("the tiles", "two quotes", "the invoice", "train tickets", "a new lamp", "the contract")
NOTES = (
    "",
    "Ask Müller first.",
    "Before Friday, or it gets expensive. 📅",
    "See the e-mail of Monday.",
)
RECORDS_PER_PUSH = 10_000
FIRST_MS = 1_767_225_600_000  # 2026-01-01: fixed, so that a second run pushes the same records
DAY_MS = 86_400_000


def pushes(records: int) -> Iterator[dict[str, Any]]:
    """The `changes` of each push, about so many records in all; the same at every call."""
    dice = random.Random(2026)  # noqa: S311 - the same demo every time
    yield {"projects": {"created": [_project(i, dice) for i in range(len(PROJECTS))]}}
    for start in range(0, records, RECORDS_PER_PUSH):
        indices = range(start, min(start + RECORDS_PER_PUSH, records))
        yield {"tasks": {"created": [_task(i, dice) for i in indices]}}


def _project(index: int, dice: random.Random) -> dict[str, Any]:
    record = {"id": f"seed-project-{index}", "name": PROJECTS[index]}
    return record | {"description": dice.choice(NOTES)} | _times(index, dice)


def _task(index: int, dice: random.Random) -> dict[str, Any]:
    return {
        "id": f"seed-task-{index}",
        "title": f"{dice.choice(VERBS)} {dice.choice(THINGS)}",
        "description": dice.choice(NOTES),
        "is_completed": dice.random() < 0.3,
        "project_id": f"seed-project-{dice.randrange(len(PROJECTS))}",
    } | _times(index, dice)


def _times(index: int, dice: random.Random) -> dict[str, int]:
    created = FIRST_MS + index * 60_000
    return {"created_at": created, "updated_at": created + dice.randrange(30 * DAY_MS)}
