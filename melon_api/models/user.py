"""Accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, UTCDateTime, db, new_id, now_ms, utc_now

EMAIL_LENGTH = 254  # RFC 5321 §4.5.3.1.3
NAME_LENGTH = 255
NO_PASSWORD = "!"  # noqa: S105 - no hash: nobody signs in with one, before one is set


def _same_clock(context: Any) -> int:
    """Of a new account, which nobody has pushed to."""
    return int(context.get_current_parameters()["last_modified_at"])


class User(db.Model):
    """An account: who signs in, and the sync clock of all that it owns."""

    __tablename__ = "users"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)  # lower case
    password: Mapped[str] = mapped_column(String(255))  # its hash, or NO_PASSWORD
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    is_active: Mapped[bool] = mapped_column(default=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Grows with every change of the columns above, for the cache. Has a default in the database:
    # the release before this column still makes accounts while this one is deployed.
    version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, onupdate=utc_now)
    # The sync clock, up to which of its ticks deletions have been purged (sync/sql/purge.py), and
    # up to which the release before must not trust its log of pushes (ms). The columns keep their
    # first names.
    sync_clock: Mapped[int] = mapped_column("last_modified_at", BigInteger, default=now_ms)
    purged_clock: Mapped[int] = mapped_column("purged_at_ms", BigInteger, default=0)
    log_purged_clock: Mapped[int] = mapped_column("log_purged_at_ms", BigInteger, default=0)
    # Whose the newest pushes are (rules/history.py:Run), and as of which clock: where that is not
    # the account's own, the release before has moved it.
    run_session: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    run_since: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    run_clock: Mapped[int] = mapped_column(
        BigInteger, default=_same_clock, server_default=text("0")
    )
    # Its newest clock at which a timestamp began to stand for more than the own space: 0 for nearly
    # all, who share none (models/space.py).
    shared_clock: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
