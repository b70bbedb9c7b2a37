"""What all tables share: naming, character set, and the column types of this project."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Integer, MetaData, String, Text, literal_column
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

ID_LENGTH = 36
DEVICE_LENGTH = 66
EMAIL_LENGTH = 254  # RFC 5321 §4.5.3.1.3
TEXT_BYTES = 65_535  # what MySQL's TEXT holds
MOST_JSON_BYTES = 1 << 20  # to check it takes some twenty times as much memory

# Constraints have names, so that a later migration can drop them on every database.
NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
}
# Said per table: a database made by a PaaS may have another default, and cut an emoji.
TABLE_OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


def ascii_key(length: int) -> TypeEngine[str]:
    """Text for keys: on MySQL one byte a character, and 'a' is not 'A'."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql"
    )


Id = ascii_key(ID_LENGTH)
DeviceKey = ascii_key(DEVICE_LENGTH)
LongText = Text().with_variant(mysql.LONGTEXT(), "mysql")
# Of each database's own clock, in s since 1970: hosts' clocks may differ.
DATABASE_NOW: dict[str, Any] = {
    "sqlite": literal_column("CAST(strftime('%s', 'now') AS INTEGER)", Integer),
    "mysql": literal_column("UNIX_TIMESTAMP()", Integer),
}


class JsonText(TypeDecorator[str]):
    """JSON as the text that the app wrote (WatermelonDB's `@json`), at most `length` bytes of it.

    Not the databases' own JSON types: they write it anew, and the phone's text would differ.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int = TEXT_BYTES) -> None:
        super().__init__()
        if not 0 < length <= MOST_JSON_BYTES:
            raise ValueError(f"JsonText({length}): 1 to {MOST_JSON_BYTES} bytes")
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_long = dialect.name == "mysql" and self.length > TEXT_BYTES
        return dialect.type_descriptor(mysql.MEDIUMTEXT() if is_long else Text())


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC to the millisecond; always aware in Python."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None else None


def now_ms() -> int:
    """Now, in ms since the epoch."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime:
    """Now, to the millisecond: what is answered is what will be stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_id() -> str:
    return str(uuid.uuid4())
