"""docs/own-tables.md, followed: its classes in a copy's `app/models.py`, and its commands; and
others of an app's own."""

import re
import textwrap
from pathlib import Path

from config import ROOT

HEAD = """
from typing import Any
from sqlalchemy import *
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column
from melon_api.models import Synced, belongs_to, db, phone_name
"""

REFERENCES = f"""{HEAD}
class Label(Synced, db.Model):
    __tablename__ = "labels"
    text: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[str | None] = belongs_to("projects", on_delete="clear")
    like_id: Mapped[str | None] = belongs_to("labels", on_delete="clear")
    under_id: Mapped[str | None] = belongs_to("labels")


class Memo(Synced, db.Model):
    __tablename__ = "memos"
    text: Mapped[str] = mapped_column(String(40))
    task_id: Mapped[str | None] = belongs_to("tasks", on_delete="clear")
    label_id: Mapped[str | None] = belongs_to("labels")
    project_id: Mapped[str] = belongs_to("projects", on_delete="keep")


class Book(Synced, db.Model):
    __tablename__ = "books"
    text: Mapped[str] = mapped_column(Text(30_000_000))
    title: Mapped[str] = mapped_column(String(40))
"""


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


def add(copy: Path, text: str) -> None:
    models = copy / "app" / "models.py"
    models.write_text(models.read_text() + text)
