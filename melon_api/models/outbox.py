"""What was committed and is still to be told: to the app's jobs, and to webhooks."""

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, LongText, ascii_key, db

TARGET_LENGTH = 120
CREATED, UPDATED, DELETED = KINDS = ("created", "updated", "deleted")
Ids = dict[str, dict[str, list[str]]]  # {table: {kind: ids}}; what is empty is left out


class OutboxEvent(db.Model):
    """A part of what one commit did, for one target; gone when that has taken it.

    In the order of the key it is told. What is set aside is told no more, unless by command.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("idx_outbox_created_at_ms", "is_set_aside", "created_at_ms"),
        TABLE_OPTIONS,
    )

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)  # an account, or a shared space
    target: Mapped[str] = mapped_column(ascii_key(TARGET_LENGTH), primary_key=True)
    is_set_aside: Mapped[bool] = mapped_column(primary_key=True, default=False)
    clock: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Id)  # the event's, whomever it is told
    session: Mapped[int] = mapped_column(BigInteger)  # sessions.session_number
    causes: Mapped[str] = mapped_column(Text)  # [targets] because of which it was written
    ids: Mapped[str] = mapped_column(LongText)  # an `Ids` in JSON
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)  # why it was set aside


class EventQueue(db.Model):
    """What waits of one account for one target; there while something does. Times are in s since
    1970, by the database's clock."""

    __tablename__ = "event_queues"
    __table_args__ = (Index("idx_event_queues_due_at", "due_at"), TABLE_OPTIONS)

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)  # an account, or a shared space
    target: Mapped[str] = mapped_column(ascii_key(TARGET_LENGTH), primary_key=True)
    newest: Mapped[int] = mapped_column(BigInteger)  # clock of the newest event
    # When it may be taken. Who takes it puts that off, again and again while it works.
    due_at: Mapped[int] = mapped_column(BigInteger)
    holder: Mapped[int | None] = mapped_column(BigInteger)  # a number of who took it
    attempts: Mapped[int] = mapped_column(default=0)  # that failed, one after the other
    failing_since: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)  # of the last one
