"""Accounts, and who they are to providers: to Apple, say, beside an address."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import (
    EMAIL_LENGTH,
    TABLE_OPTIONS,
    Id,
    UTCDateTime,
    ascii_key,
    db,
    new_id,
    now_ms,
    utc_now,
)

NAME_LENGTH = 255
PROVIDER_LENGTH = 32
SUBJECT_LENGTH = 255  # OpenID Connect Core §2: at most 255 ASCII characters
PROVIDERS_LENGTH = 700  # 20 names
CLOCK = "clock"  # the cache's name for the sync clock
NO_PASSWORD = "!"  # noqa: S105 - no hash: nobody signs in with one, before one is set


def _same_clock(context: Any) -> int:
    """Of a new account, which nobody has pushed to."""
    return int(context.get_current_parameters()["last_modified_at"])


class User(db.Model):
    """An account: who signs in, and the sync clock of all that it owns."""

    __tablename__ = "users"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    # Lower case; null: a guest's, or that of an account whose provider verified none.
    email: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH), unique=True)
    password: Mapped[str] = mapped_column(String(255))  # its hash, or NO_PASSWORD
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    is_active: Mapped[bool] = mapped_column(default=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Of its identities the providers, in order, with commas between: the profile tells them.
    providers: Mapped[str] = mapped_column(
        ascii_key(PROVIDERS_LENGTH), default="", server_default=""
    )
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
    # Whose the newest pushes are (rules/history.py:Run), up to which clock, and up to which nobody
    # has pushed since: where neither is the account's own, the release before has moved it.
    run_session: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    run_since: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    run_clock: Mapped[int] = mapped_column(
        BigInteger, default=_same_clock, server_default=text("0")
    )
    quiet_clock: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    # A clock from which on its timestamps stand for more than the own space: 0 for nearly all, who
    # share none (models/space.py).
    shared_clock: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))

    @property
    def has_password(self) -> bool:
        return self.password != NO_PASSWORD


class Identity(db.Model):
    """One account's at one provider, by the provider's name for them (`sub`), never an address."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("user_id", "provider", name="uq_identities_user_id_provider"),
        TABLE_OPTIONS,
    )

    provider: Mapped[str] = mapped_column(ascii_key(PROVIDER_LENGTH), primary_key=True)
    subject: Mapped[str] = mapped_column(ascii_key(SUBJECT_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    # What Apple gave for an authorization_code, and to which app: to be revoked with the account.
    # Worth nothing without OIDC_APPLE_PRIVATE_KEY, which is in no table.
    client_id: Mapped[str | None] = mapped_column(String(255))
    refresh_token: Mapped[str | None] = mapped_column(Text)


class Revocation(db.Model):
    """Written with an account's deletion, deleted when the provider has taken it."""

    __tablename__ = "revocations"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    provider: Mapped[str] = mapped_column(ascii_key(PROVIDER_LENGTH))
    client_id: Mapped[str] = mapped_column(String(255))
    refresh_token: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
