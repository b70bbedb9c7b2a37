"""Example of a synced table: tasks, which belong to projects."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import db
from melon_api.models.synced import Synced, belongs_to


class Task(Synced, db.Model):
    __tablename__ = "tasks"

    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool]
    project_id: Mapped[str] = belongs_to("projects")
