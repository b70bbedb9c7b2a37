"""Tokens that were mailed: to set a new password, to verify an address."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, UTCDateTime, ascii_key, db, utc_now
from melon_api.models.user import EMAIL_LENGTH


class MailedToken(db.Model):
    """A token on its way to somebody's mailbox; only its SHA-256 is stored."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (Index("idx_mailed_tokens_user_id", "user_id"), TABLE_OPTIONS)

    digest: Mapped[str] = mapped_column(ascii_key(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(ascii_key(16))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))  # where it was sent
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
