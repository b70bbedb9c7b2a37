"""Who could not tell Redis of a change, and so long nobody believes what Redis says."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, db


class Doubt(db.Model):
    """A process's word that Redis is not to be believed; one that has ended means nothing."""

    __tablename__ = "redis_doubts"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    ends_at: Mapped[int] = mapped_column(BigInteger)  # s since 1970, by the database's clock
