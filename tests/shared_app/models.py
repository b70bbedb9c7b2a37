"""Projects that may be shared, tasks in them, steps of those; folders in folders; diaries of one's
own; templates."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models import Catalogue, Shareable, Synced, belongs_to, db


class Project(Shareable, db.Model):
    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)


class Task(Synced, db.Model):
    __tablename__ = "tasks"

    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool]
    project_id: Mapped[str] = belongs_to("projects")


class Step(Synced, db.Model):
    __tablename__ = "steps"

    name: Mapped[str] = mapped_column(String(255))
    task_id: Mapped[str] = belongs_to("tasks")


class Folder(Shareable, db.Model):
    __tablename__ = "folders"

    name: Mapped[str] = mapped_column(String(255))
    folder_id: Mapped[str | None] = belongs_to("folders")


class Diary(Synced, db.Model):
    __tablename__ = "diaries"

    name: Mapped[str] = mapped_column(String(255))


class Template(Catalogue, db.Model):
    __tablename__ = "templates"

    name: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
