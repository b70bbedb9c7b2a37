"""What became of calls of sync: a row for each, or for several that were refused alike."""

from sqlalchemy import BigInteger, Index, Integer, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, ascii_key, db

CODE_LENGTH = 64


class SyncCall(db.Model):
    """See `Entry`. No foreign key to accounts: to check one, a row is locked that pushes want."""

    __tablename__ = "sync_history"
    __table_args__ = (Index("idx_sync_history_at_ms", "at_ms"), TABLE_OPTIONS)

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    # From a beginning by chance, and so unlike that of any other process.
    part: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    first_ms: Mapped[int] = mapped_column(BigInteger)
    session_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(ascii_key(8))
    status: Mapped[int] = mapped_column(SmallInteger)
    code: Mapped[str | None] = mapped_column(ascii_key(CODE_LENGTH))
    times: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str] = mapped_column(ascii_key(64))
    facts: Mapped[str] = mapped_column(Text)  # JSON
