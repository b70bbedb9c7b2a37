"""The base of every table that syncs. A new synced table is one class:

class Tag(Synced, db.Model):
    __tablename__ = "tags"
    name: Mapped[str] = mapped_column(String(255))
    task_id: Mapped[str] = belongs_to("tasks")
"""

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Double, Index, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from melon_api.models.base import TABLE_OPTIONS, Id, LongText, db
from melon_api.models.names import MOST_LETTERS, PHONE_NAME, ModelError, class_problems

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


def belongs_to(
    table: str, on_delete: str = "cascade", info: dict[str, Any] | None = None, **options: Any
) -> MappedColumn[Any]:
    """A column that names the parent record in `table` (its `__tablename__`), within the same
    account; `info` may say what phones call it (`phone_name`).

    `on_delete`, what a deletion of the parent does (contract push 4): "cascade" deletes the record,
    too; "clear" makes this column null; "keep" leaves it as it is, whatever it names.

    The engine looks after it, under the account's lock; the database has no foreign key for it,
    because a tombstone may outlive its parent (docs/architecture.md).
    """
    own = {BELONGS_TO: table, ON_DELETE: on_delete}
    return mapped_column(Id, info=(info or {}) | own, **options)


def index_name(table: str, column: str) -> str:
    """Of the index over the account and this column; both are the database's names."""
    name = f"idx_{table}_{column}"
    if len(name) <= MOST_LETTERS:
        return name
    return f"{name[: MOST_LETTERS - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class Synced:
    """Mixed into a model, makes its table a synced one: account-clustered key, clocks, tombstone.

    `created_at` and `updated_at` are the app's own times; a JavaScript number, so a double keeps
    every value exactly (contract pull 4). The `…_ms` columns are sync clocks of the account.
    """

    __table__: Table
    __table_args__: Any = TABLE_OPTIONS

    # The space: an account's own has the account's id. No foreign key: a shared one is no account.
    user_id: Mapped[str] = mapped_column(Id, primary_key=True, sort_order=-2)
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

    __phone_name__: ClassVar[str | None] = None  # where phones call the table otherwise

    def __init_subclass__(cls, **options: Any) -> None:
        if cls.__dict__.get("__abstract__"):  # what several tables have in common
            super().__init_subclass__(**options)
            return
        bases = {*Synced.__mro__, *db.Model.__mro__}
        found = [*_base_problems(cls)] or [
            *class_problems(cls, (*INTERNAL, *COMMON), bases, db.metadata.tables)
        ]
        if found:
            raise ModelError("\n".join(f"{cls.__name__}: {sentence}" for sentence in found))
        try:
            super().__init_subclass__(**options)
        except SQLAlchemyError as error:
            raise ModelError(f"{cls.__name__}: {str(error).partition(chr(10))[0]}") from error
        table = cls.__table__
        if cls.__phone_name__ is not None:
            table.info[PHONE_NAME] = cls.__phone_name__
        Index(index_name(table.name, "updated_at_ms"), table.c.user_id, table.c.updated_at_ms)
        for column in table.columns:
            if BELONGS_TO in column.info:
                Index(index_name(table.name, column.name), table.c.user_id, column)


class Shareable(Synced):
    """In place of Synced, makes a root table one whose records may be shared: `space_id` names the
    space that a record is in, null the account's own (contract, Spaces 1)."""

    __abstract__ = True

    space_id: Mapped[str | None] = mapped_column(Id, sort_order=89)


class Catalogue(Synced):
    """In place of Synced, makes a table one that every account reads and the server alone writes
    (contract, Spaces 6)."""

    __abstract__ = True


def has_catalogue() -> bool:
    """Whether the app has a table that every account reads."""
    return bool(Catalogue.__subclasses__())


def is_synced(model: Any) -> bool:
    """Whether it is a model whose records sync."""
    return isinstance(model, type) and issubclass(model, Synced) and model is not Synced


def _base_problems(cls: type[Any]) -> Iterator[str]:
    lines = cls.__mro__
    if db.Model not in lines or lines.index(db.Model) < lines.index(Synced):
        yield f"it inherits in another order than class {cls.__name__}(Synced, db.Model)"
    for one in lines[1:]:
        if "__table__" in vars(one):
            yield (
                f"it inherits {one.__name__}, which is a table itself; a class for what several "
                "tables have in common says `__abstract__ = True`"
            )


class Adoption(db.Model):
    """What a push at this clock brought that its device had of its own although another one had
    made it first.

    The release before logged every push here, and serves beside this one while it is deployed."""

    __tablename__ = "sync_pushes"
    __table_args__ = TABLE_OPTIONS

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)  # an account, or a shared space
    clock: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    device: Mapped[int] = mapped_column(BigInteger)
    session: Mapped[int | None] = mapped_column(BigInteger)  # that release's
    as_sent: Mapped[bool]  # that release's
    adopted: Mapped[str | None] = mapped_column(LongText)  # {table: [ids]}; null: that release's
