"""What was mailed: tokens to set a new password or to verify an address, codes of six digits."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import (
    EMAIL_LENGTH,
    TABLE_OPTIONS,
    Id,
    UTCDateTime,
    ascii_key,
    db,
    utc_now,
)


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


class MailedCode(db.Model):
    """The newest code of an address, whether or not there is an account. Only a keyed hash of it is
    stored: of a million codes each could be tried."""

    __tablename__ = "mailed_codes"
    __table_args__ = TABLE_OPTIONS

    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(ascii_key(64))
    wrong: Mapped[int] = mapped_column(default=0)  # guesses so far
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
