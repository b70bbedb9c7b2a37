"""Sign-ins: one row for each device of an account."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, DeviceKey, Id, UTCDateTime, db, new_id, utc_now

LABEL_LENGTH = 255


class Session(db.Model):
    """A sign-in on one device: its refresh token's hash, its beginning and its end."""

    __tablename__ = "sessions"
    __table_args__ = (Index("idx_sessions_user_id", "user_id"), TABLE_OPTIONS)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    device: Mapped[str] = mapped_column(DeviceKey)  # which phone this is, for the sync engine
    device_name: Mapped[str | None] = mapped_column(String(LABEL_LENGTH))
    user_agent: Mapped[str | None] = mapped_column(String(LABEL_LENGTH))
    # SHA-256 of the current refresh token, and what it was made from: with the server's secret the
    # same token can be made again for a phone that lost the answer (contract, Accounts 2).
    refresh_hash: Mapped[str] = mapped_column(String(64))
    generation: Mapped[int] = mapped_column(default=0)
    # The newest generation whose tokens were used (contract, Accounts 2). null: a release without
    # this column opened the session, and all of them count as used.
    used_generation: Mapped[int | None] = mapped_column(default=0)
    rotated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # however often it is refreshed
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Of its newest push that carried one (contract push 8); 0: none did.
    push_number: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
