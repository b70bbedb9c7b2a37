"""The end of an app's models: tables and columns of names that only phones can have, or that SQL,
Python, JavaScript or this server has as well; and a column of every kind.

Not imported here; `test_own_tables.py` puts it behind a copy's `app/models.py`.
"""

from sqlalchemy import BigInteger, Double, SmallInteger, String, Text, Unicode, UnicodeText
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models import JsonText, Synced, belongs_to, db, phone_name

LONG = "a_name_that_is_longer_than_a_name_may_be_in_mysql_which_is_64_letters"


class Person(Synced, db.Model):
    __tablename__ = "people"
    __phone_name__ = "users"

    metadata_: Mapped[str | None] = mapped_column("metadata", Text)
    _id: Mapped[str] = mapped_column(String(40))
    _updated_at: Mapped[float] = mapped_column(Double)
    own_user_id: Mapped[str | None] = belongs_to(
        "people", on_delete="clear", info=phone_name("user_id")
    )
    author: Mapped[str] = mapped_column(String(40), info=phone_name("created_by"))
    editor: Mapped[str] = mapped_column(String(40), info=phone_name("updated_by"))
    is_gone: Mapped[bool] = mapped_column(info=phone_name("is_deleted"))


class Visit(Synced, db.Model):
    __tablename__ = "visits"
    __phone_name__ = "sessions"

    whose: Mapped[str] = belongs_to("people", info=phone_name("user_id"))
    seen: Mapped[int] = mapped_column(info=phone_name("updated_at_ms"))
    of_a_table: Mapped[str | None] = belongs_to("select", on_delete="keep", info=phone_name(LONG))


class Select(Synced, db.Model):
    """Names that the database has as they are, quoted where they are its words."""

    __tablename__ = "select"
    __phone_name__ = LONG + "_table"

    group: Mapped[str] = mapped_column(String(9))
    class_: Mapped[str] = mapped_column("class", String(9))
    Order: Mapped[str] = mapped_column(String(9))
    _: Mapped[str] = mapped_column(String(9))
    _1: Mapped[str] = mapped_column(String(9))
    Meta: Mapped[str] = mapped_column(String(9))
    Constructor: Mapped[str] = mapped_column(String(9))
    toJSON: Mapped[str] = mapped_column(String(9))
    length: Mapped[str] = mapped_column(String(9))
    since: Mapped[str] = mapped_column(String(9))
    device: Mapped[str] = mapped_column(String(9))
    foo: Mapped[str] = mapped_column(String(9))
    foo_2: Mapped[str] = mapped_column(String(9), info=phone_name("Foo"))
    swap: Mapped[str] = mapped_column(String(9), info=phone_name("swop"))
    swop: Mapped[str] = mapped_column(String(9), info=phone_name("swap"))


class Meta(Synced, db.Model):
    __tablename__ = "a" * 64  # MySQL's longest, and an index's name is longer
    __phone_name__ = "Meta"

    b: Mapped[str | None] = belongs_to("a" * 64)


class WithText(Synced, db.Model):
    __abstract__ = True

    text: Mapped[str] = mapped_column(String(40))


class Changes(WithText):
    __tablename__ = "changes"


class User(WithText):
    """Named as Melon's own class is."""

    __tablename__ = "_"
    __phone_name__ = "user"


class Kind(Synced, db.Model):
    """A column of every kind."""

    __tablename__ = "kinds"

    string: Mapped[str] = mapped_column(String(40))
    unicode: Mapped[str] = mapped_column(Unicode(40))
    text: Mapped[str] = mapped_column(Text)
    unicode_text: Mapped[str] = mapped_column(UnicodeText)
    text_100: Mapped[str] = mapped_column(Text(100))
    text_60000: Mapped[str] = mapped_column(Text(60_000))
    text_70000: Mapped[str] = mapped_column(Text(70_000))
    text_30000000: Mapped[str] = mapped_column(Text(30_000_000))
    json: Mapped[str] = mapped_column(JsonText)
    json_10: Mapped[str] = mapped_column(JsonText(10))
    json_70000: Mapped[str] = mapped_column(JsonText(70_000))
    flag: Mapped[bool]
    small: Mapped[int] = mapped_column(SmallInteger)
    whole: Mapped[int]
    large: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[float] = mapped_column(Double)
    reference: Mapped[str | None] = belongs_to("changes")
    optional: Mapped[str | None] = mapped_column(Text(70_000))
    defaulted: Mapped[bool] = mapped_column(server_default="0")
