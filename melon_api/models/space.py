"""Shared spaces: sets of records of several accounts, who is in them, and what each account's
timestamps stand for. An account's own space has no row here: it has the account's id, and its
clock is the account's (contract, Spaces)."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
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

SPACE_NAME_LENGTH = 255
OWNER, EDITOR, READER = ROLES = ("owner", "editor", "reader")
CATALOGUE = "catalogue"  # of all catalogue tables: there from the start, with no member


class Space(db.Model):
    """A shared space and its sync clock. One that was deleted stays: its id is never another
    space's (contract, Spaces, calls)."""

    __tablename__ = "spaces"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(SPACE_NAME_LENGTH))
    created_by: Mapped[str | None] = mapped_column(Id)  # an account, which may be gone
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # As of an account: models/user.py.
    sync_clock: Mapped[int] = mapped_column(BigInteger, default=0)
    purged_clock: Mapped[int] = mapped_column(BigInteger, default=0)


class Membership(db.Model):
    """An account in a space, or one that was. `…_tick` are clocks of the account, `…_clock` of
    the space: when it joined for the first time and when it last did. `left_tick` is None while it
    is a member."""

    __tablename__ = "memberships"
    __table_args__ = (Index("idx_memberships_space_id", "space_id", "left_tick"), TABLE_OPTIONS)

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    space_id: Mapped[str] = mapped_column(Id, ForeignKey("spaces.id"), primary_key=True)
    role: Mapped[str] = mapped_column(ascii_key(8))
    joined_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    joined_tick: Mapped[int] = mapped_column(BigInteger)
    first_clock: Mapped[int] = mapped_column(BigInteger)
    joined_clock: Mapped[int] = mapped_column(BigInteger)
    left_tick: Mapped[int | None] = mapped_column(BigInteger)


class Invitation(db.Model):
    """A token that makes who has it a member; only its SHA-256 is stored."""

    __tablename__ = "invitations"
    __table_args__ = (Index("idx_invitations_space_id", "space_id"), TABLE_OPTIONS)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    space_id: Mapped[str] = mapped_column(Id, ForeignKey("spaces.id"))
    digest: Mapped[str] = mapped_column(ascii_key(64), unique=True)
    role: Mapped[str] = mapped_column(ascii_key(8))
    email: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH))  # whom it was mailed to
    created_by: Mapped[str | None] = mapped_column(Id)  # an owner, who may be gone
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_by: Mapped[str | None] = mapped_column(Id)  # an account, which may be gone


class SyncPoint(db.Model):
    """What a timestamp of an account stands for in another space than its own: that space's clock,
    None where the account was no member any more. Of the account's own space (its id), only where
    its clock is lower than the timestamp (sync/spaces/points.py)."""

    __tablename__ = "sync_points"
    __table_args__ = TABLE_OPTIONS

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    space_id: Mapped[str] = mapped_column(Id, primary_key=True)
    timestamp: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    space_clock: Mapped[int | None] = mapped_column(BigInteger)


class Retelling(db.Model):
    """A record that an account is told again, as the server has it or as deleted: a push brought
    another one that it may not store (contract, Spaces 2 and 5)."""

    __tablename__ = "retellings"
    __table_args__ = (Index("idx_retellings_record", "user_id", "tablename", "id"), TABLE_OPTIONS)

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    timestamp: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tablename: Mapped[str] = mapped_column(ascii_key(64), primary_key=True)  # the phone's name
    id: Mapped[str] = mapped_column(Id, primary_key=True)
