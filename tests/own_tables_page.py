"""docs/own-tables.md, followed: its classes in a copy's `app/models.py`, and its commands."""

import re
from pathlib import Path

from config import ROOT

PAGE = (ROOT / "docs" / "own-tables.md").read_text()


def block(name: str) -> str:
    (text,) = re.findall(rf"```\w+ {name}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(text)


def add_tables(copy: Path) -> None:
    """As a developer puts them there: the imports at the top, the classes at the end."""
    models = copy / "app" / "models.py"
    doc, _, rest = models.read_text().partition("\n\n")
    classes = rest[rest.index("class ") :]
    models.write_text(f"{doc}\n\n{block('imports')}\n\n{classes}\n\n{block('classes')}")
