"""docs/own-tables.md, followed: its classes in a copy's `app/models.py`, and its commands."""

import re
import textwrap
from pathlib import Path

from config import ROOT


def block(name: str) -> str:
    return named_block("own-tables.md", name)


def named_block(page: str, name: str) -> str:
    """The text of a page's code block of this name, as it stands there or in a list."""
    text = (ROOT / "docs" / page).read_text()
    (found,) = re.findall(rf"^( *)```\w+ {name}\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(found[1])


def add_tables(copy: Path) -> None:
    """As a developer puts them there: the imports at the top, the classes at the end."""
    models = copy / "app" / "models.py"
    doc, _, rest = models.read_text().partition("\n\n")
    classes = rest[rest.index("class ") :]
    models.write_text(f"{doc}\n\n{block('imports')}\n\n{classes}\n\n{block('classes')}")
