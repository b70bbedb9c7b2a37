"""Accounts."""

from datetime import datetime

from sqlalchemy import BigInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, UTCDateTime, db, new_id, now_ms, utc_now

EMAIL_LENGTH = 254  # RFC 5321 §4.5.3.1.3
NAME_LENGTH = 255


class User(db.Model):
    """An account: who signs in, and the sync clock of all that it owns."""

    __tablename__ = "users"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)  # lower case
    password: Mapped[str] = mapped_column(String(255))  # an Argon2id hash
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    is_active: Mapped[bool] = mapped_column(default=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Grows with every change of the columns above, for the cache. Has a default in the database:
    # the release before this column still makes accounts while this one is deployed.
    version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, onupdate=utc_now)
    # The sync clock, and up to which of its ticks deletions and the log of pushes have been purged
    # (ms); see sync/sql/clock.py and sync/sql/purge.py. The columns keep their first names.
    sync_clock: Mapped[int] = mapped_column("last_modified_at", BigInteger, default=now_ms)
    purged_clock: Mapped[int] = mapped_column("purged_at_ms", BigInteger, default=0)
    log_purged_clock: Mapped[int] = mapped_column("log_purged_at_ms", BigInteger, default=0)
