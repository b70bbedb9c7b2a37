"""The app's rules: what a record must be before it is stored, and what follows when it is
(docs/your-code.md). One for example."""

import re

from app.models import Task
from melon_api.logic import Changes, before_push

CARD_NUMBER = re.compile(r"\b[45]\d{3}([ -]?)\d{4}\1\d{4}\1\d{4}\b")  # Visa's and Mastercard's


@before_push(Task)
def no_card_number_in_a_list(tasks: Changes) -> None:
    """A list is shown to others, and PCI DSS forbids to keep what is so easily lost."""
    for task in tasks.saved:
        for column in ("title", "description"):
            if CARD_NUMBER.search(task[column] or ""):
                task.refuse("A card number is not safe in a list: take it out.", column)
