"""What devices have sent where the app's own code stored something else."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, LongText, db


class Alteration(db.Model):
    """Of one push, in parts; so that the same values sent again, before the device was told, are
    known to be no edit (contract push 1)."""

    __tablename__ = "alterations"
    __table_args__ = TABLE_OPTIONS

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)  # an account, or a shared space
    clock: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    device: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[str] = mapped_column(LongText)  # {table: {id: {column: digest}}}
