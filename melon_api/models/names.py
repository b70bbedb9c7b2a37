"""What a table and its columns are called: by phones, and in the database.

Mostly it is one name. Where the database cannot have the phone's, because it is taken there or too
long, the class says what phones call it (docs/own-tables.md). The Python attribute is a third
thing: SQLAlchemy has one of those for itself.
"""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import MappedColumn

PHONE_NAME = "phone_name"
MOST_LETTERS = 64  # of a name in MySQL
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# WatermelonDB's own rules for tables and columns: its validateName and checkName.
PHONE = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*\Z")
RESERVED = {"id", "_changed", "_status", "local_storage", "rowid", "oid", "_rowid_"}
RESERVED |= {"sqlite_master"}  # in any case
RESERVED_AS_WRITTEN = {
    *("constructor", "prototype", "hasOwnProperty", "isPrototypeOf"),
    *("toString", "toLocaleString", "valueOf"),
    "propertyIsEnumerable",  # its schema takes that one, and then it throws a TypeError
}
SQLALCHEMYS = "metadata"  # an attribute of every model, which no column may have
ALEMBICS = "alembic_version"


class ModelError(Exception):
    """A model that cannot sync; the message says what to change."""


def phone_name(name: str) -> dict[str, Any]:
    """What phones call a column, for its `info`: `mapped_column(…, info=phone_name("user_id"))`,
    `belongs_to("projects", info=phone_name("user_id"))`. A table says `__phone_name__`."""
    return {PHONE_NAME: name}


def on_phones(thing: "Table | Column[Any]") -> str:
    """A table's or a column's name there."""
    return str(thing.info.get(PHONE_NAME, thing.name))


def class_problems(
    cls: type[Any], engines: Iterable[str], bases: Iterable[type[Any]], tables: Iterable[str]
) -> Iterator[str]:
    """What SQLAlchemy could not map, or would map over what is the engine's; before it tries.

    `engines`: columns of the engine's own; `bases`: classes that are not the app's; `tables`: all
    that are there already.
    """
    own = set(engines)
    for attribute, name in _declared(cls, set(bases)):
        if attribute in own or name.lower() in own:
            yield _belongs(name if name.lower() in own else attribute)
        elif attribute == SQLALCHEMYS:
            yield (
                f"the attribute {attribute!r} is SQLAlchemy's; write "
                f'{attribute}_: … = mapped_column("{attribute}", …)'
            )
    table = cls.__dict__.get("__tablename__")
    if isinstance(table, str) and table.lower() in {ALEMBICS, *(name.lower() for name in tables)}:
        yield (
            f"there is a table {table!r} already (names are one in any case); take another, and "
            f'if phones call it so: __tablename__ = "app_{table}", __phone_name__ = "{table}"'
        )


def _belongs(name: str) -> str:
    if name in ("id", "created_at", "updated_at"):
        return f"the column {name!r} belongs to the sync engine; leave it to Synced, which makes it"
    return (
        f"the column {name!r} belongs to the sync engine; if phones have one of that name: "
        f'own_{name}: … = mapped_column(…, info=phone_name("{name}"))'
    )


def _declared(cls: type[Any], bases: set[type[Any]]) -> Iterator[tuple[str, str]]:
    """(attribute, column) of a class and the app's mixins."""
    for one in cls.__mro__:
        if one in bases:
            continue
        values = {**dict.fromkeys(inspect.get_annotations(one)), **one.__dict__}
        for attribute, value in values.items():
            if not attribute.startswith("__"):
                column = value.column if isinstance(value, MappedColumn) else value
                named = isinstance(column, Column) and column.name
                yield attribute, str(named or attribute)


def name_problems(table: Table, hidden: Iterable[str]) -> Iterator[str]:
    """Names that phones or the databases could not have; `hidden` are columns no phone sees."""
    if table.schema:
        yield f"it is in the schema {table.schema!r}; leave that out: there is one database"
    columns = [column for column in table.columns if column.name not in set(hidden)]
    things: tuple[Any, ...] = (table, *columns)
    for thing in things:
        yield from _phone_problems(on_phones(thing))
        yield from _database_problems(thing)
    for name, count in Counter(map(on_phones, columns)).items():
        if count > 1:
            yield f"{count} columns are {name!r} on phones; give each a phone_name of its own"
    for name, count in Counter(str(column.name).lower() for column in table.columns).items():
        if count > 1:
            yield (
                f"{count} columns are {name!r} in the database, whatever their case; give one "
                "another name there, and info=phone_name(…)"
            )


def _phone_problems(name: str) -> Iterator[str]:
    low = name.lower()
    is_reserved = low in RESERVED or low.startswith("sqlite_stat") or name in RESERVED_AS_WRITTEN
    if is_reserved or not PHONE.match(name):
        yield f"the name {name!r} is reserved or not a name; WatermelonDB could not take it"


def _database_problems(thing: "Table | Column[Any]") -> Iterator[str]:
    name = str(thing.name)
    is_table, told = isinstance(thing, Table), f"{name[:MOST_LETTERS]}…"
    told = name if len(name) <= MOST_LETTERS else told
    fix = '__tablename__ = "short", __phone_name__ = …'
    fix = fix if is_table else 'mapped_column("short", …, info=phone_name(…))'
    if len(name) > MOST_LETTERS:
        yield f"the name {told!r} has more than {MOST_LETTERS} letters, MySQL's most; say {fix}"
    elif not DATABASE.match(name):
        yield f"{name!r} is no name for the database: letters, digits and _ are; say {fix}"
    elif is_table and name.lower().startswith("sqlite_"):
        yield f"the table name {name!r} is reserved in SQLite; say {fix}"
