"""The base of every table that syncs. A new synced table is one class:

class Tag(Synced, db.Model):
    __tablename__ = "tags"
    name: Mapped[str] = mapped_column(String(255))
    task_id: Mapped[str] = belongs_to("tasks")
"""

import inspect
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Table
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, LongText, db

BELONGS_TO = "belongs_to"
ON_DELETE = "on_delete"
apps: list[str] = []  # whose tables are here: of one app, once room.load() has imported them
# Columns that the server alone writes and no app ever sees (contract pull 4).
COMMON = ("id", "created_at", "updated_at")
CLOCKS = (
    "created_at_ms",
    "created_by",
    "updated_at_ms",
    "updated_by",
    "rival_at_ms",
    "is_deleted",
)
INTERNAL = ("user_id", *CLOCKS)


def belongs_to(table: str, on_delete: str = "cascade", **options: Any) -> MappedColumn[Any]:
    """A column that names the parent record in `table`, within the same account.

    `on_delete`, what a deletion of the parent does (contract push 4): "cascade" deletes the record,
    too; "clear" makes this column null; "keep" leaves it as it is, whatever it names.

    The engine looks after it, under the account's lock; the database has no foreign key for it,
    because a tombstone may outlive its parent (docs/architecture.md).
    """
    return mapped_column(Id, info={BELONGS_TO: table, ON_DELETE: on_delete}, **options)


class Synced:
    """Mixed into a model, makes its table a synced one: account-clustered key, clocks, tombstone.

    `created_at` and `updated_at` are the app's own times; a JavaScript number, so a double keeps
    every value exactly (contract pull 4). The `…_ms` columns are sync clocks of the account.
    """

    __table__: Table
    __table_args__: Any = TABLE_OPTIONS

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, sort_order=-2
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True, sort_order=-1)
    created_at: Mapped[float] = mapped_column(Double, default=0, sort_order=90)
    updated_at: Mapped[float] = mapped_column(Double, default=0, sort_order=91)
    created_at_ms: Mapped[int] = mapped_column(BigInteger, sort_order=92)
    created_by: Mapped[int] = mapped_column(BigInteger, sort_order=93)  # sessions.device_number
    updated_at_ms: Mapped[int] = mapped_column(BigInteger, sort_order=94)
    updated_by: Mapped[int] = mapped_column(BigInteger, sort_order=95)  # sessions.session_number
    # When a session other than `updated_by` changed it last; of a tombstone, when it was deleted,
    # which `updated_at_ms` is not when the deletion was told again (contract push 3).
    rival_at_ms: Mapped[int] = mapped_column(BigInteger, default=0, sort_order=96)
    is_deleted: Mapped[bool] = mapped_column(default=False, sort_order=97)

    redefined: ClassVar[tuple[str, ...]] = ()  # by a subclass, which it must not (models/checks)

    def __init_subclass__(cls, **options: Any) -> None:
        own = {*cls.__dict__, *inspect.get_annotations(cls)}
        cls.redefined = tuple(name for name in (*INTERNAL, *COMMON) if name in own)
        super().__init_subclass__(**options)
        table = cls.__table__
        Index(f"idx_{table.name}_updated_at_ms", table.c.user_id, table.c.updated_at_ms)
        for column in table.columns:
            if BELONGS_TO in column.info:
                Index(f"idx_{table.name}_{column.name}", table.c.user_id, column)


class SyncPush(db.Model):
    """The log of pushes: which device, and which session of it, moved the account's clock to which
    value."""

    __tablename__ = "sync_pushes"
    __table_args__ = TABLE_OPTIONS

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    clock: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    device: Mapped[int] = mapped_column(BigInteger)
    session: Mapped[int | None] = mapped_column(BigInteger)  # null: pushed before it was noted
    as_sent: Mapped[bool]  # all of it was stored as the device has it
    # {table: [ids]} that the device had of its own although another one had made them first
    adopted: Mapped[str | None] = mapped_column(LongText)
