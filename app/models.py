"""The app's tables. Two for example: projects, and tasks that belong to them."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models import Synced, belongs_to, db


class Project(Synced, db.Model):
    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)


class Task(Synced, db.Model):
    __tablename__ = "tasks"

    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool]
    project_id: Mapped[str] = belongs_to("projects")
