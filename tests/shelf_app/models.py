"""Folders in folders; projects with tasks, which may have a label, and are linked to each other."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models import Shareable, Synced, belongs_to, db


class Folder(Shareable, db.Model):
    __tablename__ = "folders"

    name: Mapped[str] = mapped_column(String(255))
    folder_id: Mapped[str | None] = belongs_to("folders")


class Label(Shareable, db.Model):
    __tablename__ = "labels"

    name: Mapped[str] = mapped_column(String(255))


class Project(Shareable, db.Model):
    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(255))


class Task(Synced, db.Model):
    __tablename__ = "tasks"

    name: Mapped[str] = mapped_column(String(255))
    project_id: Mapped[str] = belongs_to("projects")
    label_id: Mapped[str | None] = belongs_to("labels", on_delete="clear")


class Link(Synced, db.Model):
    __tablename__ = "links"

    name: Mapped[str] = mapped_column(String(255))
    from_id: Mapped[str] = belongs_to("tasks")
    to_id: Mapped[str] = belongs_to("tasks")
