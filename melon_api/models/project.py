"""Example of a synced table: projects."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import db
from melon_api.models.synced import Synced


class Project(Synced, db.Model):
    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
