"""The application with the example's rule, which the demo shows; the engine's tests have none."""

import re

from melon_api.logic import Changes, before_push
from tests.example.models import Task
from wsgi import app

__all__ = ["app"]

CARD_NUMBER = re.compile(r"\b4\d{3}( \d{4}){3}\b")


@before_push(Task)
def no_card_number_in_a_list(tasks: Changes) -> None:
    for task in tasks.saved:
        if CARD_NUMBER.search(task["description"] or ""):
            text = "A card number is not safe in a list: take it out."
            task.refuse(text, "description")
